"""Tables of finished runs: each arm's model beside its base on held-out questions, paired, seed by seed and over all seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import promptcot
from promptcot.evaluation import comparison, metrics, stored
from promptcot.evaluation.comparison import Comparison
from promptcot.evaluation.marks import Marks
from promptcot.evaluation.metrics import LEVEL
from promptcot.evaluation.scores import accuracy
from promptcot.intervals import Estimate, student
from promptcot.outcomes import Verdict
from promptcot.records import content_hash
from promptcot.store import Run

COLUMNS = (
    "seed",
    "fitted on",
    "avg@4 before, after (all questions)",
    "paired gain, questions that training did not ask",
    "better, worse (sign test)",
    "cut off, before and after",
)
HEAD = "\n".join(f"|{cell}|" for cell in (" " + " | ".join(COLUMNS) + " ", "|".join(["---"] * len(COLUMNS))))


@dataclass(frozen=True)
class Outcome:
    """One seed of an arm. `found` is over the questions that training did not ask."""

    seed: int
    fitted: str
    before: Estimate
    after: Estimate
    found: Comparison
    cut: tuple[float, float]


def tables(folder: Path, models: Mapping[str, str], seeds: Sequence[int]) -> str:
    """All arms that have finished seeds, in Markdown."""
    parts = []
    for arm, model in models.items():
        done = [outcome(folder / f"{arm}-{seed}", model, seed) for seed in seeds if _complete(folder / f"{arm}-{seed}")]
        if done:
            parts.append(f"### {arm}\n\n{HEAD}\n" + "\n".join([*map(_row, done), *([_all(done)] if len(done) > 1 else [])]))
    return "\n\n".join(parts)


def outcome(folder: Path, model: str, seed: int) -> Outcome:
    """A run's better model less its base."""
    run = Run.open(folder)
    before, after = (stored.read(run, name)[0] for name in ("solver", model))
    asked = {content_hash(text) for text in _trained(folder)}
    unseen = {q.id for q in before.questions if content_hash(q.problem) not in asked}
    own = [[mark for mark in side.marks if mark.question in unseen] for side in (before, after)]
    return Outcome(
        seed,
        _fitted(folder),
        metrics.over_questions(before.marks, accuracy, LEVEL),
        metrics.over_questions(after.marks, accuracy, LEVEL),
        comparison.compare(own[1], own[0]),
        (_cut(before.marks), _cut(after.marks)),
    )


def _trained(folder: Path) -> list[str]:
    """The questions that the stages asked, trained on or not."""
    opened = promptcot.open(folder)
    steps = [step for step in ("self_play/questions", "problems") if step in set(opened)]
    return [text for step in steps for text in opened[step].column("problem").to_pylist()]


def _fitted(folder: Path) -> str:
    opened = promptcot.open(folder)
    names = {"self_play/1/pairs": "pairs", "self_play/1/right": "right attempts", "distill/texts": "traces"}
    step = next(name for name in names if name in set(opened))  # a run of `dpo` may hold the right attempts of the `sft` that it copied
    rows = opened[step]
    questions = len(set(rows.column("problem" if "right" in step else "question").to_pylist()))
    return f"{rows.num_rows} {names[step]} of {questions} questions"


def _cut(marks: Sequence[Marks]) -> float:
    verdicts = [verdict for mark in marks for verdict in mark.verdicts]
    return sum(verdict is Verdict.TRUNCATED for verdict in verdicts) / len(verdicts)


def _complete(folder: Path) -> bool:
    return folder.is_dir() and all(stage["state"] == "done" for stage in promptcot.status(folder)["stages"])


def _row(o: Outcome) -> str:
    sign = o.found.sign
    return (
        f"| {o.seed} | {o.fitted} | {_percent(o.before)}, {_percent(o.after)} | "
        f"{_percent(o.found.difference, '+')} (n = {o.found.shared}) | "
        f"{sign.better}, {sign.worse} (p = {sign.p:.2g}) | {o.cut[0]:.0%}, {o.cut[1]:.0%} |"
    )


def _all(done: Sequence[Outcome]) -> str:
    """Each seed trains on, and is asked, questions of its own, so what seeds have gained are independent figures: Student's t."""
    found = student([o.found.difference.value for o in done], LEVEL)
    return f"| all | | | {_percent(found, '+')} ({len(done)} seeds, {sum(o.found.shared for o in done)} questions) | | |"


def _percent(e: Estimate, sign: str = "") -> str:
    return f"{100 * e.value:{sign}.1f} [{100 * e.low:{sign}.1f}, {100 * e.high:{sign}.1f}]"
