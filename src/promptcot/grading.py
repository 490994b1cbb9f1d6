"""From the attempts at a question to their grades. Sampling is over by then, so grading can be done again under another policy.

What is truncated, gives no answer or stays undecided is a failure in the score; what the verifier fails on is in no score at all. Programs
are limited by their own CPU time, with ten times as much by the clock, so that a busy machine changes no verdict.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

from promptcot.attempts import by_problem
from promptcot.errors import UsageError
from promptcot.executors import Rows, Table, Task, Workplace, side_by_side
from promptcot.licenses import combined
from promptcot.outcomes import Finish, Grading, Verdict
from promptcot.records import Attempt, Grade, Label, Problem, Question, Seed, inherited, record_id
from promptcot.sandbox.limits import Limits
from promptcot.sandbox.runners import Runner
from promptcot.store import StepSpec
from promptcot.verify import families, verdicts
from promptcot.verify.answers import Algebra, Policy, Verifier
from promptcot.verify.checks import Check, judge_check
from promptcot.verify.extraction import Fallback, final_answer
from promptcot.verify.forms import Reading
from promptcot.verify.livecodebench import judge_solution
from promptcot.verify.program_text import Extracted, extract
from promptcot.verify.programs import OF_ATTEMPTS, Judged, Judgement, Test, judge
from promptcot.verify.votes import Poll, Rule

SCHEMA = 2
SHARD_ROWS = 64
PROGRAMS = frozenset({Grading.TESTS, Grading.LIVECODEBENCH, Grading.CHECK})
"""Grading that runs programs, and so needs a sandbox."""


class Rules(Protocol):
    """What grading depends on; sections of the recipe have it."""

    @property
    def fallback(self) -> str:
        """What stands for an answer that is not boxed: a `Fallback`."""

    @property
    def cpu_s(self) -> float:
        """Seconds of CPU for a program on a test."""

    @property
    def memory_mb(self) -> int:
        """MiB of memory for a program on a test."""


@dataclass(frozen=True)
class Grader:
    """Grades by one policy. `runner` is called when a program is first to run."""

    settings: Rules
    algebra: Algebra | None
    runner: Callable[[], Runner]

    @cached_property
    def limits(self) -> Limits:
        """Of a program on one test."""
        return Limits(cpu_s=self.settings.cpu_s, wall_s=10 * self.settings.cpu_s, memory_mb=self.settings.memory_mb)

    def verifier(self, grading: Grading) -> Verifier:
        """What compares answers."""
        reading = Reading(integers=grading is Grading.INTEGER)
        return Verifier(Policy(Fallback(self.settings.fallback), reading), self.algebra)

    def grade(self, question: Question, attempts: Sequence[Attempt]) -> list[Grade]:
        """The grades of a question's attempts, in their order. Raises `UsageError` for a question without a reference, `MissingHere` for
        programs without a sandbox."""
        grading = Grading(question.grading)
        if grading is Grading.NONE:
            raise UsageError(f"`{question.benchmark}` has statements only: nothing to grade by", where=question.name)
        if grading in PROGRAMS:
            return [self._program(question, attempt) for attempt in attempts]
        if grading is Grading.FAMILY:
            return _piled([self._scored(question, attempt) for attempt in attempts])
        return self._answers(question, attempts, self.verifier(grading))

    def _answers(self, question: Question, attempts: Sequence[Attempt], verifier: Verifier) -> list[Grade]:
        poll = Poll(verifier, Rule(), len(attempts))
        for attempt in attempts:
            poll.add(attempt.draw, "" if cut(attempt) else attempt.text)
        piles = {draw: number for number, cluster in enumerate(poll.vote().clusters) for draw in cluster.draws}
        out = []
        for attempt in attempts:
            read = poll.answers[attempt.draw]
            finish = Finish.LENGTH if cut(attempt) else Finish.STOP
            verdict = verdicts.of_answer(question.reference, attempt.text, finish, verifier)
            out.append(_grade(question, attempt, verdict, read.text if read else "", pile=piles.get(attempt.draw, -1)))
        return out

    def _scored(self, question: Question, attempt: Attempt) -> Grade:
        answer = None if cut(attempt) else final_answer(attempt.text, Fallback(self.settings.fallback))
        if cut(attempt) or answer is None:
            return _grade(question, attempt, Verdict.TRUNCATED if cut(attempt) else Verdict.NO_ANSWER)
        right = families.score(question.reference, answer) >= 1.0
        return _grade(question, attempt, Verdict.CORRECT if right else Verdict.WRONG, answer)

    def _program(self, question: Question, attempt: Attempt) -> Grade:
        found = None if cut(attempt) else extract(attempt.text)
        if found is None:
            return _grade(question, attempt, Verdict.TRUNCATED if cut(attempt) else Verdict.NO_ANSWER)
        judged, cpu_s, detail = self._judged(question, found)
        grade = _grade(question, attempt, OF_ATTEMPTS[judged], found.language.value)
        return replace(grade, cpu_s=cpu_s, detail=detail)

    def _judged(self, question: Question, found: Extracted) -> tuple[Judgement, float, str]:
        if question.grading == Grading.CHECK:
            check = Check(question.reference, question.function, question.starter)
            done = judge_check(whole(found.source, question), check, self.limits, self.runner())
            return done.verdict, done.cpu_s, done.detail
        tests = [Test(test["input"], test["output"]) for test in json.loads(question.reference)]
        if question.grading == Grading.LIVECODEBENCH:
            judged = judge_solution(found.source, tests, question.function, self.limits, self.runner())
            return summed(judged)
        return summed(judge(found.program(question.function), tests, self.limits, runner=self.runner(), stop_early=True))


def question_of(row: Problem | Seed, known: Label | Seed, *, id: str, origin: str) -> Question | None:
    """A problem as a question, graded by the tests that `known` has, else by its answer. None where there is neither, and for a program
    without tests."""
    if known.tests:
        grading, reference, domain = Grading.TESTS, known.tests, "code"
    elif known.answer and row.domain != "code":
        grading, reference, domain = Grading.ANSWER, known.answer, row.domain
    else:
        return None
    facts = inherited(row) | {"domain": domain, "license": row.license if known is row else combined(row.license, known.license)}
    parents = (row.id,) if known is row else (row.id, known.id)
    return Question(
        id=id, parents=parents, benchmark=origin, name=row.id, problem=row.problem, grading=grading, reference=reference, **facts
    )


def graded(place: Workplace, name: str, grader: Grader, questions: Sequence[Question], digest: str, drawn: Table[Attempt]) -> Table[Grade]:
    """The grades of all attempts that were drawn, as a step, question by question; `digest` stands for the questions."""
    own = by_problem(drawn.rows)
    items = [(q, own[q.id]) for q in questions if q.id in own]
    rules = grader.settings
    facts = {"fallback": rules.fallback, "cpu_s": rules.cpu_s, "memory_mb": rules.memory_mb, "algebra": grader.algebra is not None}
    spec = StepSpec(name, Grade, SCHEMA, facts, {"attempts": drawn.digest, "questions": digest})

    def work(tasks: Iterator[Task[tuple[Question, list[Attempt]]]]) -> Iterator[tuple[int, Rows]]:
        return side_by_side(tasks, lambda item: grader.grade(*item), os.cpu_count() or 1)

    return place.rows(spec, items, work, shard_rows=SHARD_ROWS, fan=None)


def summed(judged: Judged) -> tuple[Judgement, float, str]:
    """The judgement, seconds of CPU over all tests, and which test failed how."""
    failed = next((t for t in judged.tests if t.verdict is not Judgement.ACCEPTED), None)
    detail = f"test {failed.index}: {failed.verdict}" if failed else ""
    return judged.verdict, sum(test.cpu_s for test in judged.tests), detail


def grade_texts(grader: Grader, question: Question, texts: Sequence[str], *, truncated: bool = False) -> list[Grade]:
    """The grades of completions from elsewhere, in their order; `truncated` says that the token limit ended them."""
    verdict = Verdict.TRUNCATED if truncated else None
    attempts = [
        Attempt(
            id=record_id("attempt", (question.id,), draw, text),
            parents=(question.id,),
            problem=question.id,
            draw=draw,
            text=text,
            verdict=verdict,
            **inherited(question),
        )
        for draw, text in enumerate(texts)
    ]
    return grader.grade(question, attempts)


def cut(attempt: Attempt) -> bool:
    """Whether the token limit ended it."""
    return attempt.verdict == Verdict.TRUNCATED


def whole(source: str, question: Question) -> str:
    """A function with what its starter defines before it; an answer that only goes on where the starter ends is put there."""
    if re.search(rf"\bdef {re.escape(question.function)}\b", source):
        return f"{question.starter}\n    pass\n\n{source}"
    return question.starter + source


def _grade(question: Question, attempt: Attempt, verdict: Verdict, answer: str = "", *, pile: int = -1) -> Grade:
    return Grade(
        id=record_id("grade", (question.id, attempt.id), attempt.draw),
        parents=(question.id, attempt.id),
        question=question.id,
        draw=attempt.draw,
        verdict=verdict,
        answer=answer,
        pile=pile,
        tokens=attempt.tokens,
        **inherited(question),
    )


def _piled(grades: Sequence[Grade]) -> list[Grade]:
    """Grades with equal answers, as they stand, in one pile."""
    numbers: dict[str, int] = {}
    for grade in grades:
        if grade.answer:
            numbers.setdefault(grade.answer.strip(), len(numbers))
    return [replace(grade, pile=numbers.get(grade.answer.strip(), -1)) for grade in grades]
