"""What a trial comes to, read from its finished run: every corpus against the first, and each against the student before it learned.

A difference is paired by question and seed: with corpora A and B, score of the student of B less that of A, on the same question, both
fitted from the same seed. Its interval is for other seeds and other questions alike (`intervals.crossed_mean`), and never narrower than
that over questions alone (`evaluation.comparison.difference`), which knows that a share has bounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from promptcot.errors import UsageError
from promptcot.evaluation import comparison, stored
from promptcot.evaluation.metrics import LEVEL, by_question
from promptcot.evaluation.scores import accuracy
from promptcot.evaluation.stored import Stored
from promptcot.intervals import Estimate, bounded_mean, crossed_mean
from promptcot.records import TrialStudent
from promptcot.store import Run
from promptcot.tables import from_table, read_parquet

SCHEMA = 1
BEFORE = "before"
"""What the student is called that has learned nothing yet."""

Scores = dict[str, float]
"""Question to score."""


@dataclass(frozen=True, slots=True)
class Group:
    """The students of one corpus and part: what they saw, averaged over seeds, and their accuracy on a benchmark."""

    benchmark: str
    corpus: str
    share: float
    same: str
    seeds: tuple[int, ...]
    texts: float
    tokens: float
    steps: float
    accuracy: Estimate


@dataclass(frozen=True, slots=True)
class Difference:
    """`new` less `old` on a benchmark, over the questions and seeds that both have."""

    benchmark: str
    new: str
    old: str
    value: Estimate
    by_seed: tuple[float, ...]

    @property
    def verdict(self) -> str:
        """`gain`, `worse` or `no evidence`, of `new`."""
        return self.value.verdict


@dataclass(frozen=True, slots=True)
class Outcome:
    """A trial's groups and differences. `before` is the accuracy of the student as it came, by benchmark."""

    before: dict[str, Estimate]
    groups: tuple[Group, ...]
    differences: tuple[Difference, ...]


def outcome(run: Run, level: float = LEVEL) -> Outcome:
    """The outcome of a finished trial. Raises `UsageError` where a run holds none, or one that is not yet evaluated."""
    found = _students(run)
    if not found:
        raise UsageError("no trial here", where=str(run.path), remedy="run `promptcot trial A B --benchmark NAME` first")
    base = _base(run)
    seen = {name: _scores(stored.read(run, name)) for name in [base, *(row.student for row in found)]}
    names = list(seen[base])
    groups = tuple(_group(benchmark, rows, seen, level) for benchmark in names for rows in _grouped(found))
    whole = [[row for row in rows if row.share == 1] for rows in _grouped(found) if rows[0].share == 1]
    differences = tuple(one for benchmark in names for one in _differences(benchmark, whole, seen, base, level))
    return Outcome({benchmark: _over([seen[base][benchmark]], level) for benchmark in names}, groups, differences)


def _students(run: Run) -> list[TrialStudent]:
    if run.manifest("trial/students") is None:
        return []
    folder = run.path / "trial/students" / (run.current("trial/students") or "-")
    return from_table(read_parquet(sorted(folder.glob("part-*.parquet")), TrialStudent), TrialStudent)


def _base(run: Run) -> str:
    return str(run.recipe["trial"]["student"])


def _scores(found: Sequence[Stored]) -> dict[str, Scores]:
    return {one.benchmark: by_question(one.marks, accuracy) for one in found}


def _grouped(found: Sequence[TrialStudent]) -> list[list[TrialStudent]]:
    """The students by corpus, part and way, in their order."""
    groups = dict[tuple[str, float, str], list[TrialStudent]]()
    for row in found:
        groups.setdefault((row.corpus, row.share, row.same), []).append(row)
    return list(groups.values())


def _group(benchmark: str, rows: Sequence[TrialStudent], seen: dict[str, dict[str, Scores]], level: float) -> Group:
    def mean(field: str) -> float:
        return math.fsum(getattr(row, field) for row in rows) / len(rows)

    measured = _over([seen[row.student][benchmark] for row in rows], level)
    one = rows[0]
    seeds = tuple(row.seed for row in rows)
    return Group(benchmark, one.corpus, one.share, one.same, seeds, mean("texts"), mean("tokens"), mean("steps"), measured)


def _over(scores: Sequence[Scores], level: float) -> Estimate:
    """The mean score of students of several seeds, in [0, 1]; never narrower than over questions alone, which knows the bounds."""
    shared = sorted(set.intersection(*(set(one) for one in scores)))
    found = crossed_mean([[one[name] for name in shared] for one in scores], level)
    questions = bounded_mean([math.fsum(one[name] for one in scores) / len(scores) for name in shared], level)
    return Estimate(found.value, max(0.0, min(found.low, questions.low)), min(1.0, max(found.high, questions.high)), found.n, level)


def _differences(
    benchmark: str, whole: Sequence[Sequence[TrialStudent]], seen: dict[str, dict[str, Scores]], base: str, level: float
) -> Iterator[Difference]:
    first = whole[0]
    for rows in whole[1:]:
        pairs = [(seen[new.student][benchmark], seen[old.student][benchmark]) for new, old in zip(rows, first, strict=True)]
        yield _difference(benchmark, rows[0].corpus, first[0].corpus, pairs, level)
    for rows in whole:
        pairs = [(seen[row.student][benchmark], seen[base][benchmark]) for row in rows]
        yield _difference(benchmark, rows[0].corpus, BEFORE, pairs, level)


def _difference(benchmark: str, new: str, old: str, pairs: Sequence[tuple[Scores, Scores]], level: float) -> Difference:
    shared = sorted(set.intersection(*(a.keys() & b.keys() for a, b in pairs)))
    if not shared:
        raise UsageError("the students share no question that was graded", where=f"evaluate/{benchmark}")
    table = [[a[name] - b[name] for name in shared] for a, b in pairs]
    return Difference(benchmark, new, old, paired(table, level), tuple(math.fsum(row) / len(row) for row in table))


def paired(table: Sequence[Sequence[float]], level: float = LEVEL) -> Estimate:
    """The mean of differences `[seed][question]` in [-1, 1], with the wider of the two intervals at each end."""
    crossed = crossed_mean(table, level)
    questions, _ = comparison.difference([math.fsum(column) / len(column) for column in zip(*table, strict=True)], level=level)
    low, high = min(crossed.low, questions.low), max(crossed.high, questions.high)
    return Estimate(crossed.value, max(-1.0, low), min(1.0, high), questions.n, level)


def as_text(found: Outcome) -> str:
    """For people."""
    lines = list[str]()
    for benchmark, before in found.before.items():
        lines.append(f"{benchmark}, {before.n} questions; accuracy in percent, {before.level:.0%} intervals")
        lines.append(f"  {BEFORE:<24} {_percent(before)}")
        for group in found.groups:
            if group.benchmark == benchmark:
                part = "" if group.share == 1 else f" {group.share:.0%}, same {group.same}"
                saw = f"{group.texts:.0f} texts, {group.tokens:.0f} tokens, {group.steps:.0f} steps, {len(group.seeds)} seeds"
                lines.append(f"  {group.corpus + part:<24} {_percent(group.accuracy)}   {saw}")
        for one in found.differences:
            if one.benchmark == benchmark:
                seeds = ", ".join(f"{100 * value:+.1f}" for value in one.by_seed)
                lines.append(f"  {one.new} less {one.old}: {_percent(one.value, '+')} (by seed {seeds}): {one.verdict}")
    return "\n".join(lines)


def _percent(e: Estimate, sign: str = "") -> str:
    return f"{100 * e.value:{sign}.1f} [{100 * e.low:{sign}.1f}, {100 * e.high:{sign}.1f}]"


def as_json(found: Outcome) -> dict[str, Any]:
    """For programs."""
    return {
        "schema": SCHEMA,
        "before": {name: _number(e) for name, e in found.before.items()},
        "students": [{**_fields(g), "accuracy": _number(g.accuracy)} for g in found.groups],
        "differences": [{**_fields(d), "value": _number(d.value), "verdict": d.verdict} for d in found.differences],
    }


def _fields(row: Group | Difference) -> dict[str, Any]:
    return {name: getattr(row, name) for name in type(row).__dataclass_fields__ if not isinstance(getattr(row, name), Estimate)}


def _number(e: Estimate) -> dict[str, float | None]:
    found = {"value": e.value, "low": e.low, "high": e.high, "n": e.n, "level": e.level}
    return {name: None if not math.isfinite(value) else value for name, value in found.items()}
