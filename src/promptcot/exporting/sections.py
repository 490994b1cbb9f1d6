"""The sections of a card, each from a run's facts; one with nothing to say is empty."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from promptcot import models
from promptcot.evaluation.scoring import title
from promptcot.exporting.facts import Facts
from promptcot.exporting.markdown import bullets, fenced, plain, table
from promptcot.exporting.prompts import prompts
from promptcot.intervals import Estimate, wilson
from promptcot.licenses import NONE
from promptcot.outcomes import Drop, LabelKind
from promptcot.recipe import Recipe
from promptcot.records import Label, PassRate, Score
from promptcot.roles import license_of
from promptcot.stages import active
from promptcot.usage import Usage, total

FROM_FILE = "Not known: the rows come from a file.\n"
SERVER = "http://HOST:PORT/v1"
"""What stands in a card for the address of a server: whose it is does not concern who reads."""
DONE = {
    "seeds": "human problems are read and split by family into train, dev and test",
    "annotate": "human problems get concepts and a design rationale, from their source or from a model",
    "cold_start": "a generator p(z, x | c) and a posterior q(z | c, x) are fitted on the annotated problems",
    "em": "both are improved by expectation-maximization over hidden rationales, until the held-out bound says stop",
    "synthesize": "the generator writes a rationale and then a problem for sampled concepts",
    "problems": "problems are read from files",
    "labels": "labels are read from files",
    "screen": "duplicates, leaks, evaluation text and ill-posed problems are taken out",
    "label": "problems get a label that several solutions of a model agree on, or leave",
    "self_play": "a solver attempts labeled problems; what may train it is chosen from its verified attempts: pairs, or right ones alone",
    "distill": "a teacher solves the problems; its well-formed solutions are traces",
    "evaluate": "models are scored on benchmarks",
}
"""What each stage does, in a card's words."""


def made(facts: Facts) -> str:
    """How the rows came to be, stage by stage, and the command that repeats it."""
    if facts.recipe is None:
        return f"Exported from the file `{plain(facts.name)}` with promptcot {facts.version}.\n"
    steps = [f"`{stage}`: {DONE[stage]}." for stage in active(facts.recipe) if stage in DONE]
    text = recipe_text(facts.recipe)
    return (
        f"By promptcot {facts.version}, an implementation of PromptCoT 2.0 (arXiv 2509.19894), with seed {facts.recipe.seed}:\n\n"
        f"{bullets(steps)}\nThe recipe; what it does not say has the defaults of that version. Files that it names are not part of it, and"
        f" the addresses of servers are left out. Saved as `recipe.yaml` it runs by\n\n{fenced('promptcot run recipe.yaml', 'sh')}\n"
        f"{fenced(text, 'yaml')}"
    )


def recipe_text(recipe: Recipe) -> str:
    """The recipe as YAML that can be run, without defaults, servers' addresses, names of keys and paths of interpreters."""
    whole = recipe.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    whole = {"schema": recipe.schema_, **whole, "inputs": whole.get("inputs", {})}
    for engine in whole.get("engines", {}).values():
        engine.pop("key_env", None)
        engine.pop("python", None)
        if engine.get("urls"):
            engine["urls"] = [SERVER]
    return yaml.safe_dump(whole, sort_keys=False, allow_unicode=True, width=1000)


def models_table(facts: Facts, written: Mapping[str, int] | None = None) -> str:
    """The models by role, with revision and license. `written`: problems by the fingerprint of the weights that wrote them."""
    if facts.recipe is None:
        return FROM_FILE
    rows = []
    for role in sorted(facts.recipe.models):
        spec = facts.recipe.model(role)
        name = str(spec.path)
        alias = models.alias_of(name)
        revision = spec.revision or (alias.source if alias else "not pinned")
        rows.append((role, name, revision, license_of(spec) or "not stated"))
    prints = [
        f"{count:,} problems are by the weights with the fingerprint `{plain(key)}`." for key, count in (written or {}).items() if key
    ]
    return table(("role", "model", "revision", "license"), rows) + ("\n" + bullets(prints) if prints else "")


def prompts_text(facts: Facts, domains: Sequence[str]) -> str:
    """The exact templates, blanks in braces."""
    if facts.recipe is None:
        return ""
    found = [f"What is read by {what}:\n\n{fenced(text)}" for what, text in prompts(facts.recipe, domains)]
    about = "Blanks are in braces. Around a prompt stands the model's own chat template, where it is asked as one.\n"
    return "\n".join([about, *found]) if found else ""


def funnel_table(facts: Facts) -> str:
    """What went into every step and came out of it, and why the rest did not; of EM's many steps, those that dropped something."""
    shown = [m for m in facts.made if not m.step.startswith("evaluate/") and (m.dropped or not m.step.startswith("em/"))]
    rows = [(m.step, f"{m.rows_in:,}", f"{m.rows_out:,}", reasons(m.dropped) or "none") for m in shown]
    return table(("step", "rows in", "rows out", "dropped, by reason"), rows) if rows else FROM_FILE


def health_table(facts: Facts) -> str:
    """EM round by round: what was drawn, how the weights spread, and the held-out bound against the best round before."""
    if not facts.health:
        return ""
    rows = [
        (
            str(h.round),
            h.rule,
            _interval(h.valid_share),
            _interval(h.leak_share),
            "not measured" if math.isnan(h.ess) else f"{h.ess:.1f} of {h.candidates}",
            f"{_interval(h.gain, '+.3f')} (n={h.dev}) against round {h.best_before}" if h.dev else "not measured",
            "best so far" if h.is_best else "not better",
        )
        for h in facts.health
    ]
    head = ("round", "rule", "valid draws (95 %)", "leaky candidates (95 %)", "effective samples", "gain of the bound (90 %)", "")
    k = max((h.ks[-1] for h in facts.health if h.ks), default=1)
    return (
        f"{table(head, rows)}\nThe bound is a held-out IWAE-{k}, in nats per token of x, paired by problem with a bootstrap over the `n`"
        " dev problems. The same problems choose the round, which flatters it a little, and the interval is too narrow"
        " where `n` is small.\n"
    )


def labels_text(facts: Facts, labels: Iterable[Label], problems: int) -> str:
    """How the labels of these rows came to be, and how far the solutions behind them agree."""
    rows = list(labels)
    if not rows:
        return "No problem has a label.\n" if problems else ""
    said = [f"{len(rows):,} of {problems:,} problems here have a label."]
    for (kind, status), count in sorted(Counter((row.kind, row.status) for row in rows).items()):
        said.append(f"{count:,} of kind `{plain(kind)}`, status `{plain(status)}`: {_KINDS.get(kind, 'as their source has it')}.")
    if (step := facts.step("label")) is not None:
        share = wilson(step.rows_out, step.rows_in)
        lost = reasons(step.dropped) or "none"
        said.append(f"The stage `label` could label {_percent(share)} of the problems that it was given; it dropped {lost}.")
    evidence = [_evidence(row) for row in rows]
    votes = Counter(f"{e['agree']} of {e['draws']}" for e in evidence if _whole(e.get("agree")) and _whole(e.get("draws")))
    told = table(("draws that agree", "labels"), [(key, f"{votes[key]:,}") for key in sorted(votes, key=_numbers)]) if votes else ""
    return bullets(said) + ("\n" + told if told else "") + _suites([e["quality"] for e in evidence if isinstance(e.get("quality"), dict)])


_KINDS: dict[str, str] = {
    LabelKind.GOLD: "the answer that the source gives",
    LabelKind.VOTE: "the answer that most draws of the voter agree on; how often such an answer is right was not measured here",
    LabelKind.TESTS: "unit tests; those of status `validated` are inputs on which most solutions of the voter agree, run in a sandbox",
}


def _suites(found: Sequence[Mapping[str, Any]]) -> str:
    """Of suites of tests: how many tests, how far solutions agree on them, and which share of wrong variants they tell apart."""
    kept, agreement = ([q[key] for q in found if isinstance(q.get(key), int | float)] for key in ("kept", "agreement"))
    kills = [q["mutants_killed"]["share"] for q in found if isinstance(q.get("mutants_killed"), dict) and "share" in q["mutants_killed"]]
    told = (("tests a problem", kept), ("share of the solutions behind a test", agreement), ("wrong variants that fail", kills))
    rows = [(name, f"{sum(v) / len(v):.2f}", f"{min(v):.2f}", str(len(v))) for name, v in told if v]
    return "\n" + table(("suites of tests", "mean", "least", "suites"), rows) if rows else ""


def rates_table(facts: Facts) -> str:
    """How the solver's attempts went, by round."""
    if not any(facts.rates):
        return ""
    rows = [(str(n), *_rate_row(found)) for n, found in enumerate(facts.rates, 1) if found]
    head = ("round", "questions", "right of counted attempts", "in the band", "not drawn to the end")
    return (
        f"{table(head, rows)}\nDrawing ends early where a question can no longer be in the band, so the shares of single questions are"
        " no fair sample of difficulty.\n"
    )


def _rate_row(rates: Sequence[PassRate]) -> tuple[str, ...]:
    solved, counted = sum(row.solved for row in rates), sum(row.counted for row in rates)
    kept = wilson(sum(row.kept for row in rates), len(rates))
    share = f" ({solved / counted:.1%})" if counted else ""
    return f"{len(rates):,}", f"{solved:,} of {counted:,}{share}", _percent(kept), f"{sum(row.censored for row in rates):,}"


def traces_text(facts: Facts) -> str:
    """How many of a teacher's solutions became traces, and how long these are."""
    t = facts.traces
    if t is None:
        return ""
    said = f"{t.traces:,} of {t.drawn:,} solutions of {t.asked:,} problems were kept: {_percent(wilson(t.traces, t.drawn))}.\n"
    if not t.traces:
        return said
    mean = f"{t.mean:.0f}" + ("" if math.isnan(t.low) else f" [{t.low:.0f}, {t.high:.0f}]")
    return (
        f"{said}Tokens of the teacher in a trace: {mean} (mean over {t.problems:,} problems, 95 %), longest {t.longest:,}."
        f" {t.reasoning:.0%} keep their reasoning apart.\n"
    )


def contamination_text(facts: Facts) -> str:
    """What the problems were compared with, and what was found; which questions of the run's benchmarks stand in its texts."""
    if facts.recipe is None:
        return FROM_FILE
    screen, step = facts.recipe.screen, facts.step("screen")
    if screen is None or not screen.against:
        said = ["The problems were compared with no evaluation set."]
    elif step is None:
        said = ["The screens have not run."]
    else:
        seen, hits = sum(step.dropped.values()) + step.rows_out, step.dropped.get(Drop.CONTAMINATED, 0)
        names = ", ".join(f"`{plain(name)}`" for name in screen.against)
        said = [
            f"{hits:,} of {seen:,} problems ({_percent(wilson(hits, seen))}) shared {screen.ngram} words in a row with {names} and are not"
            " here. What an earlier sieve had taken out was not compared. Texts that say the same in other words are not found by that, and"
            " other evaluation sets were not looked at."
        ]
    for m in facts.made:
        if m.step.startswith("evaluate/") and m.step.endswith("/overlap"):
            name = plain(m.step.removeprefix("evaluate/").removesuffix("/overlap"))
            shared = f"{m.rows_out:,} questions share {m.settings.get('ngram')} words in a row with the run's texts"
            said.append(f"`{name}`, on which models were scored: {shared}.")
    return bullets(said)


def licenses_table(counts: Mapping[str, Mapping[str, int]], left_out: Mapping[str, int]) -> str:
    """Rows by license, for each kind of rows, and those that were left out for theirs."""
    rows = [(kind, license or NONE, f"{count:,}") for kind, found in counts.items() for license, count in sorted(found.items())]
    rows += [("left out", license, f"{count:,} rows left out") for license, count in left_out.items()]
    told = table(("rows", "license", "number"), rows)
    about = f"A row's license joins those of all that it is made of; `{NONE}` in it says that a part states none, not that it is free.\n"
    return f"{told}\n{about}"


def sources_table(facts: Facts) -> str:
    """The human problems behind it."""
    rows = [(source or "not stated", license or NONE, f"{count:,}") for (source, license), count in facts.sources.items()]
    return table(("source of human problems", "license", "problems"), rows) if rows else ""


def cost_table(facts: Facts) -> str:
    """What the run used, former results and undone work included."""
    order = [stage for stage in (active(facts.recipe) if facts.recipe else ()) if stage in facts.used]
    if not order:
        return ""
    rows = [(stage, facts.used[stage]) for stage in order]
    rows += [("all", total(facts.used[stage] for stage in order))]
    head = ("stage", "tokens read", "written", "trained on", "wall hours", "accelerator hours", "US dollars")
    cells = [(name, *_used(usage)) for name, usage in rows]
    return (
        f"{table(head, cells)}\nAll results of the run folder, former ones too. Accelerators of servers that others run are not seen, and"
        " dollars are counted where the recipe names prices.\n"
    )


def _used(u: Usage) -> tuple[str, ...]:
    tokens = (f"{count:,}" for count in (u.tokens_in, u.tokens_out, u.tokens_trained))
    return (*tokens, f"{u.wall_seconds / 3600:.2f}", f"{u.gpu_seconds / 3600:.2f}", f"{u.usd:.2f}")


def scores_table(scores: Sequence[Score]) -> str:
    """Scores with their intervals."""
    head = ("model", "benchmark", "metric", "value", "interval", "questions")
    rows = [
        (s.model, s.benchmark, title(s), f"{s.value:.4g}", f"[{s.low:.4g}, {s.high:.4g}] at {s.level:.0%}", str(s.n))
        for s in sorted(scores, key=lambda s: (s.benchmark, s.model, s.metric, s.k))
    ]
    return table(head, rows) if rows else ""


def reasons(dropped: Mapping[str, int]) -> str:
    """`truncated 3, wrong 1`."""
    return ", ".join(f"{reason} {count}" for reason, count in sorted(dropped.items()))


def _evidence(label: Label) -> dict[str, Any]:
    """A label's evidence; what was brought from outside may be anything."""
    try:
        found = json.loads(label.evidence) if label.evidence else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _numbers(key: str) -> tuple[int, ...]:
    return tuple(-int(part) for part in key.split(" of "))


def _percent(e: Estimate) -> str:
    return f"{e.value:.1%} [{e.low:.1%}, {e.high:.1%}] (n={e.n:,}, {e.level:.0%})" if e.n else "none"


def _interval(triplet: Sequence[float], form: str = ".1%") -> str:
    value, low, high = triplet
    return "not measured" if math.isnan(value) else f"{value:{form}} [{low:{form}}, {high:{form}}]"
