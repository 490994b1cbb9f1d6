"""The README.md of a data set and of a model: a YAML header that the hub reads, and what a person has to know before using either.

Every number is from the run's tables (`facts`), every text of others is escaped (`markdown`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

import promptcot.exporting.sections as of
from promptcot.exporting.facts import Facts
from promptcot.exporting.licenses import expression
from promptcot.exporting.markdown import fenced, plain, sections, table
from promptcot.licenses import NONE, parts
from promptcot.material import Material

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"))
HUB = frozenset({"apache-2.0", "mit", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc0-1.0", "gpl-3.0", "bsd-3-clause", "openrail"})
"""Licenses that the hub knows by these names."""
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")

USE = """- Meant for research on post-training: traces for supervised fine-tuning, pairs for preference training, labeled problems for
  reinforcement learning with a verifier.
- Not meant for measuring models: what a model wrote and a model labeled ranks models by how far they agree with it.
- Not meant as a source of facts about mathematics, programming or anything else.
"""
LIMITS = """- Problems were written by a model, unless their `source` says otherwise. A label is what a reference, a majority of solutions
  or a suite of tests says, not what a person checked: an ill-posed problem can have one, and majorities can be wrong together.
- Nothing here tells which share of the problems is well posed: the screens look at wording, not at mathematics.
- `level` is what the generator was asked for, not a measured difficulty.
- Only the evaluation sets named above were compared, and by shared words in a row only.
- A row's `license` is that of what it is made of, as far as the inputs and the models' entries in the recipe state it.
- Texts are a model's and were not looked through for what may offend or harm.
"""
MODEL_LIMITS = """- Trained on what models wrote; its answers can be wrong, and sound sure.
- Scores stand above with their intervals, or were not measured. Nothing else is known of what it can do, and safety was not looked at.
- The base model's limits and license remain.
"""


def header(fields: Mapping[str, Any]) -> str:
    """The YAML header."""
    return f"---\n{yaml.safe_dump(dict(fields), sort_keys=False, allow_unicode=True, width=1000)}---\n"


def license_fields(expression: str, *, several: bool = False) -> dict[str, Any]:
    """A license as the hub wants it: one of its own names (or, for a data set, `several` of them); else `other`, with a name as the hub
    accepts it."""
    known = parts(expression)
    if known == [NONE]:
        return {"license": "unknown"}
    names = [name.lower() for name in known]
    if set(names) <= HUB and (several or len(names) == 1):
        return {"license": names if len(names) > 1 else names[0]}
    return {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", expression.lower()).strip("-.") or "unnamed"}


def size_category(rows: int) -> str:
    """The hub's name for a number of rows."""
    return next((name for limit, name in SIZES if rows < limit), "n>10M")


def data_card(facts: Facts, material: Material, configs: Mapping[str, tuple[int, str]], left_out: Mapping[str, int]) -> str:
    """A data set's card. `configs`: number of rows and file, by name; `left_out`: rows that were not allowed, by license."""
    rows = {"problems": material.problems, "labels": tuple(material.labels.values()), "traces": material.traces, "pairs": material.pairs}
    everything = [row for found in rows.values() for row in found]
    domains = sorted({row.domain for row in everything})
    fields = {
        **license_fields(expression(everything), several=True),
        "pretty_name": facts.name,
        "task_categories": ["text-generation"],
        "tags": ["synthetic", *domains, "reasoning", "promptcot"],
        "size_categories": [size_category(max((count for count, _ in configs.values()), default=0))],
        "configs": [
            {"config_name": key, "data_files": [{"split": "train", "path": file}]} | ({"default": True} if n == 0 else {})
            for n, (key, (_, file)) in enumerate(configs.items())
        ],
    }
    counts = {kind: Counter(row.license for row in found) for kind, found in rows.items()}
    by = Counter(p.generator for p in material.problems)
    body = [
        ("What it is for", USE),
        ("How it was made", of.made(facts)),
        ("Models", of.models_table(facts, by)),
        ("Human problems behind it", of.sources_table(facts)),
        ("Prompts", of.prompts_text(facts, domains)),
        ("What became of the rows", of.funnel_table(facts)),
        ("EM", of.health_table(facts)),
        ("Labels", of.labels_text(facts, material.labels.values(), len(material.problems))),
        ("Attempts", of.rates_table(facts)),
        ("Traces", of.traces_text(facts)),
        ("Contamination", of.contamination_text(facts)),
        ("Licenses", of.licenses_table(counts, left_out)),
        ("Cost", of.cost_table(facts)),
        ("Limits", LIMITS),
    ]
    sizes = table(("config", "rows"), [(key, f"{count:,}") for key, (count, _) in configs.items()])
    load = f'Load one with `datasets.load_dataset(FOLDER, "{next(iter(configs), "problems")}")`.\n'
    return f"{header(fields)}\n# {plain(facts.name)}\n\n{sizes}\n{load}\n{sections(body)}"


def model_card(
    facts: Facts,
    role: str,
    base: tuple[str, str, str],
    steps: Sequence[tuple[str, str]],
    evaluated: str = "",
    *,
    beside: str = "",
    before: str = "",
) -> str:
    """A model's card. `base`: name, revision, license; `steps`: each fit that led here, and what it was fitted on; `evaluated` and
    `beside`: the names that the model and its base have in the scores, empty where it has none; `before`: the lineage of a base that has a
    card of its own."""
    name, revision, license = base
    fields: dict[str, Any] = {**license_fields(license), "library_name": "transformers", "pipeline_tag": "text-generation"}
    if _HUB_ID.fullmatch(name) and not Path(name).exists():
        fields["base_model"] = name  # the hub takes its own names alone
    fields["tags"] = ["promptcot", role]
    lineage = table(("step", "fitted on"), list(steps)) if steps else "No fit: these are the base model's weights.\n"
    told = f"Base: {plain(name)}, revision {plain(revision or 'not pinned')}, license {plain(license or 'not stated')}.\n\n{lineage}"
    if before:
        told += f"\nWhere the base came from, by its own card:\n\n{fenced(before)}"
    body = [
        ("Lineage", told),
        ("How it was made", of.made(facts)),
        ("Data", f"{of.models_table(facts)}\n{of.funnel_table(facts)}\n{of.sources_table(facts)}"),
        ("EM", of.health_table(facts)),
        ("Attempts", of.rates_table(facts)),
        ("Traces", of.traces_text(facts)),
        ("Scores", _scores(facts, evaluated, beside)),
        ("Contamination", of.contamination_text(facts)),
        ("Cost", of.cost_table(facts)),
        ("Limits", MODEL_LIMITS),
    ]
    about = f"The {role} of the run {plain(facts.name)}, fitted with promptcot {facts.version} (PromptCoT 2.0, arXiv 2509.19894)."
    return f"{header(fields)}\n# {plain(facts.name)}: {role}\n\n{about}\n\n{sections(body)}"


def _scores(facts: Facts, evaluated: str, beside: str) -> str:
    """The model's scores, with those of its base where the run has them."""
    if not evaluated or all(score.model != evaluated for score in facts.scores):
        return "Not evaluated in this run.\n"
    told = of.scores_table([score for score in facts.scores if score.model in (evaluated, beside)])
    based = any(score.model == beside for score in facts.scores)
    return f"{told}\n`{evaluated}` is this model" + (f", `{plain(beside)}` what it was fitted from.\n" if based else ".\n")
