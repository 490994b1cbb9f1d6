"""What is known of the solutions of each problem of a run: its label, attempts at it with their verdicts, the solver's pass rate."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from promptcot.outcomes import Verdict
from promptcot.records import Attempt, Grade, Label, PassRate, Question
from promptcot.reporting.data import SHARE, AttemptRow, Estimate, LabelRow
from promptcot.reporting.run_tables import RunTables

SHOWN = 6
"""Attempts of a problem that its row shows."""
LONGEST = 4_000
"""Characters of an attempt that are shown: its end, where the answer is."""


@dataclass
class Solving:
    """Of one problem."""

    label: LabelRow | None = None
    attempts: list[AttemptRow] = field(default_factory=list)
    made: int = 0
    pass_rate: Estimate | None = None


def solving(tables: RunTables) -> dict[str, Solving]:
    """By the problem's id; problems of which nothing is known are absent."""
    found: dict[str, Solving] = {}
    for problem, label in _labels(tables):
        found.setdefault(problem, Solving()).label = label
    origin = {q.id: q.name for q in tables.rows("self_play/questions", Question)}
    for question, rate in _rates(tables):
        found.setdefault(origin.get(question, question), Solving()).pass_rate = rate
    for problem, attempt in _attempts(tables, origin):
        own = found.setdefault(problem, Solving())
        own.made += 1
        if len(own.attempts) < SHOWN:
            own.attempts.append(attempt)
    return found


def _labels(tables: RunTables) -> Iterator[tuple[str, LabelRow]]:
    for step in ("label", "labels"):
        for row in tables.rows(step, Label):
            tests = len(json.loads(row.tests)) if row.tests else 0
            yield row.problem, LabelRow(status=row.status, kind=row.kind, answer=row.answer or "", tests=tests)
        for drop in tables.drops(step):
            for parent in drop.parents[:1]:
                yield parent, LabelRow(status=drop.reason, detail=drop.detail)


def _rates(tables: RunTables) -> Iterator[tuple[str, Estimate]]:
    for step in tables.steps("self_play"):
        if step.endswith("/pass_rates"):
            for row in tables.rows(step, PassRate):
                if row.counted and math.isfinite(row.rate):
                    yield row.question, Estimate(row.rate, row.low, row.high, row.counted, SHARE, "attempts", 0.95)


def _attempts(tables: RunTables, origin: dict[str, str]) -> Iterator[tuple[str, AttemptRow]]:
    """Every attempt with its problem's id: those that made labels, the solver's, the teacher's."""
    drawn = [*tables.steps("label"), *reversed(tables.steps("self_play")), *tables.steps("distill")]
    for step in drawn:
        place, _, last = step.rpartition("/")
        if last in ("first_draws", "more_draws", "solutions") or (place == "distill" and last == "attempts"):
            yield from _of(tables.rows(step, Attempt), {}, step, {})
        elif last.startswith("attempts-"):
            grades = {(g.question, g.draw): g.verdict for g in tables.rows(f"{place}/{last.replace('attempts', 'grades')}", Grade)}
            yield from _of(tables.rows(step, Attempt), origin, step, grades)


def _of(
    rows: Sequence[Attempt], origin: dict[str, str], step: str, verdicts: dict[tuple[str, int], str]
) -> Iterator[tuple[str, AttemptRow]]:
    for row in rows:
        text = f"{row.reasoning}\n\n{row.text}" if row.reasoning else row.text
        verdict = verdicts.get((row.problem, row.draw)) or row.verdict or ""
        shown = AttemptRow(
            step=step,
            draw=row.draw,
            text=text[-LONGEST:],
            cut=max(0, len(text) - LONGEST),
            verdict=str(Verdict(verdict)) if verdict else "",
            tokens=row.tokens,
        )
        yield origin.get(row.problem, row.problem), shown
