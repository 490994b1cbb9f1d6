"""Attempts in waves: all questions get the first few draws, and those that are not lost yet the next few, until k are drawn.

A draw depends on the round's seed, the question and its number alone, so leaving some out changes no other.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from promptcot.attempts import Asking, by_problem, draws, of_question
from promptcot.executors import Table, Workplace
from promptcot.grading import PROGRAMS, Grader, graded
from promptcot.outcomes import Drop
from promptcot.recipe import SelfPlay
from promptcot.records import Attempt, Grade, Question
from promptcot.roles import Role
from promptcot.self_play.band import Tally


@dataclass
class Drawn:
    """Attempts and grades by question, how many draws were asked for, and what stands for all of it in keys."""

    attempts: defaultdict[str, list[Attempt]] = field(default_factory=lambda: defaultdict(list))
    grades: defaultdict[str, list[Grade]] = field(default_factory=lambda: defaultdict(list))
    asked: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    digests: dict[str, str] = field(default_factory=dict)
    failed: int = 0

    def add(self, questions: Sequence[Question], numbers: range, drawn: Table[Attempt], found: Table[Grade]) -> None:
        """One wave more."""
        for question in questions:
            self.asked[question.id] += len(numbers)
        for name, own in by_problem(drawn.rows).items():
            self.attempts[name] += own
        for grade in found.rows:
            self.grades[grade.question].append(grade)
        self.failed += sum(row.reason == Drop.FAILED for row in drawn.drops)
        self.digests[f"grades-{len(self.digests) + 1}"] = f"{drawn.digest} {found.digest}"

    def tally(self, question: str, planned: int) -> Tally:
        """What a question's attempts have come to."""
        return Tally.of((grade.verdict for grade in self.grades[question]), planned - self.asked[question])

    def verdicts(self, question: str) -> Mapping[int, str]:
        """By number of the draw."""
        return {grade.draw: grade.verdict for grade in self.grades[question]}


def round_seed(seed: int, number: int) -> int:
    """The seed of a round's draws: its own for each, so that a solver that did not change is not asked for the same again."""
    return int(hashlib.sha256(f"self-play {seed} {number}".encode()).hexdigest()[:7], 16)


def draw(
    place: Workplace,
    name: str,
    questions: Table[Question],
    solver: Role,
    settings: SelfPlay,
    grader: Grader,
    *,
    firm: bool,
    seed: int,
) -> Drawn:
    """All waves of a round, as steps `NAME/attempts-W` and `NAME/grades-W`. `firm`: questions without a firmly wrong attempt are lost."""
    how = Asking(settings.sample, settings.chat, of_question)
    made, still = Drawn(), questions.rows
    programs = any(q.grading in PROGRAMS for q in still)
    ready = grader.runner if programs else lambda: None  # whether programs can run here is known before the model is asked
    for wave, first in enumerate(range(0, settings.attempts, settings.wave), 1):
        numbers = range(first, min(settings.attempts, first + settings.wave))
        still = [q for q in still if made.tally(q.id, settings.attempts).lost(settings.band, firm=firm) is None]
        if not still:
            break
        digest = " ".join([questions.digest, *made.digests.values()])
        drawn = draws(place, f"{name}/attempts-{wave}", still, digest, solver, how, numbers, seed=seed, ready=ready)
        made.add(still, numbers, drawn, graded(place, f"{name}/grades-{wave}", grader, still, questions.digest, drawn))
    return made
