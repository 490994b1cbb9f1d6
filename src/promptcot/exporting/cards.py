"""The README.md of a data set and of a model: a YAML header that the hub reads, and what a person has to know before using either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from promptcot.exporting.facts import Facts, funnel_table, models_table, scores_table, table
from promptcot.exporting.licenses import parts

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"))
HUB = frozenset({"apache-2.0", "mit", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc0-1.0", "gpl-3.0", "bsd-3-clause", "openrail"})
"""Licenses that the hub knows by these names."""

LIMITS = """- Problems were written by a model. A label is what a reference, a majority of solutions or a suite of tests says, not what a
  person checked: an ill-posed problem can have one.
- `level` is what the generator was asked for, not a measured difficulty.
- Problems were compared with the evaluation sets named in the recipe's `screen.against`, and with no others.
- A row's `license` is that of what it is made of, as far as the inputs and the models' entries in the recipe state it.
"""


def header(fields: Mapping[str, Any]) -> str:
    """The YAML header."""
    return f"---\n{yaml.safe_dump(dict(fields), sort_keys=False, allow_unicode=True, width=1000)}---\n"


def license_fields(expression: str) -> dict[str, str]:
    """A license as the hub wants it: one of its own names; else `other`, with the expression as its name."""
    known = parts(expression)
    if len(known) == 1 and known[0].lower() in HUB:
        return {"license": known[0].lower()}
    return {"license": "unknown"} if known == ["none"] else {"license": "other", "license_name": expression}


def size_category(rows: int) -> str:
    """The hub's name for a number of rows."""
    return next((name for limit, name in SIZES if rows < limit), "n>10M")


def data_card(facts: Facts, name: str, configs: Mapping[str, tuple[int, str]], license: str, left_out: Mapping[str, int]) -> str:
    """A data set's card. `configs`: number of rows and file, by name; `left_out`: rows that were not allowed, by license."""
    fields = {
        **license_fields(license),
        "pretty_name": name,
        "task_categories": ["text-generation"],
        "tags": ["synthetic", "math", "code", "reasoning", "promptcot"],
        "size_categories": [size_category(max((rows for rows, _ in configs.values()), default=0))],
        "configs": [
            {"config_name": key, "data_files": [{"split": "train", "path": file}]} | ({"default": True} if n == 0 else {})
            for n, (key, (_, file)) in enumerate(configs.items())
        ],
    }
    sizes = table(("config", "rows"), [(key, f"{rows:,}") for key, (rows, _) in configs.items()])
    filtered = "".join(f"- {count:,} rows left out, since their license is {license}.\n" for license, count in left_out.items())
    return (
        f"{header(fields)}\n# {name}\n\n{sizes}\n"
        f'Load one with `datasets.load_dataset(FOLDER, "{next(iter(configs), "problems")}")`.\n\n'
        f"## How it was made\n\n{_made(facts)}\n## Models\n\n{models_table(facts)}\n"
        f"## What became of the rows\n\n{funnel_table(facts)}{filtered}\n"
        f"## Licenses\n\n{license}\n\n## Limits\n\n{LIMITS}"
    )


def _made(facts: Facts) -> str:
    if facts.recipe is None:
        return f"Exported from the file `{facts.name}` with promptcot {facts.version}.\n"
    return (
        f"By the recipe `{facts.name}` (seed {facts.recipe.seed}) of promptcot {facts.version}, an implementation of PromptCoT 2.0"
        " (arXiv 2509.19894): concepts are sampled, a generator writes a rationale and then a problem, problems are screened, labeled and"
        f" solved as far as the table below goes.\n\n```yaml\n{_recipe(facts)}```\n"
    )


def _recipe(facts: Facts) -> str:
    assert facts.recipe is not None
    whole = facts.recipe.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"engines"})
    return yaml.safe_dump(whole, sort_keys=False, allow_unicode=True)


def model_card(
    facts: Facts, role: str, base: tuple[str, str, str], steps: Sequence[tuple[str, str]], evaluated: str, *, before: str = ""
) -> str:
    """A model's card. `base`: name, revision, license; `steps`: each fit that led here, and what it was fitted on; `evaluated`: the model's
    name in the scores, empty where it has none; `before`: the lineage of a base that has a card of its own."""
    name, revision, license = base
    fields = {**license_fields(license), "base_model": name, "library_name": "transformers", "pipeline_tag": "text-generation"}
    fields["tags"] = ["promptcot", role]  # type: ignore[assignment]
    lineage = table(("step", "fitted on"), list(steps)) if steps else "No fit: these are the base model's weights.\n"
    earlier = f"Where the base came from, by its own card:\n\n{before}\n\n" if before else ""
    scores = tuple(s for s in facts.scores if s.model == evaluated)
    told = scores_table(scores) if scores else "Not evaluated in this run.\n"
    return (
        f"{header(fields)}\n# {facts.name}: {role}\n\nThe {role} of the run `{facts.name}`, fitted with promptcot {facts.version}"
        f" (PromptCoT 2.0, arXiv 2509.19894).\n\n## Lineage\n\nBase: `{name}`, revision {revision or 'not pinned'}, license"
        f" {license or 'not stated'}.\n\n{lineage}\n{earlier}## Data\n\n{models_table(facts)}\n{funnel_table(facts)}\n"
        f"## Recipe\n\n```yaml\n{_recipe(facts)}```\n\n## Scores\n\n{told}"
    )
