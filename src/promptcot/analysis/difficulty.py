"""How hard corpora are: a ladder of solvers attempts a uniform draw of each (PromptCoT 2.0's table: accuracy, and mean tokens spent).

    corpus --reference--> answers that count as right        (or the corpus's own answers and tests)
           --solver-----> attempts --verify--> grades --> rate, tokens, disagreement and band of every problem

Every rate is a mean over problems, with the interval that evaluation uses. It cannot tell hard from ill-posed, so the share of well-posed
problems stands beside it; and against a reference a solver is right when it agrees, not when it is true.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from promptcot.analysis.corpora import Corpus
from promptcot.attempts import Asking, draws, of_question
from promptcot.evaluation import metrics
from promptcot.evaluation.marks import Marks, marks_of
from promptcot.executors import Table, Workplace
from promptcot.grading import Grader, graded
from promptcot.intervals import Estimate, bounded_mean, student, wilson
from promptcot.outcomes import Grading
from promptcot.recipe import Ladder
from promptcot.records import Attempt, Grade, ProblemDifficulty, Question, inherited, record_id
from promptcot.roles import Role
from promptcot.verify.extraction import Fallback, final_answer

SOLVED = 0.5
"""The share of attempts from which a problem counts as solved by a solver of the ladder."""
BANDS = ("never", "rarely", "sometimes", "mostly", "always")
"""By the share of right attempts: 0; below 1/4; to 3/4; above; 1."""


def band(rate: float) -> str:
    """The band of a pass rate in [0, 1]."""
    if rate <= 0 or rate >= 1:
        return BANDS[-1] if rate >= 1 else BANDS[0]
    return BANDS[1] if rate < 0.25 else BANDS[2] if rate <= 0.75 else BANDS[3]


def disagreement(piles: Sequence[int]) -> float:
    """The chance that two different attempts answer differently: 1 - sum n_i (n_i - 1) / (n (n - 1)), unbiased; an attempt without an
    answer (pile -1) agrees with none. nan below two."""
    n = len(piles)
    if n < 2:
        return math.nan
    same = sum(size * (size - 1) for pile, size in Counter(piles).items() if pile >= 0)
    return 1 - same / (n * (n - 1))


@dataclass(frozen=True)
class Climb:
    """A ladder under way."""

    place: Workplace
    settings: Ladder
    solvers: Sequence[Role]
    reference: Role | None
    grader: Grader
    seed: int

    def of(self, corpus: Corpus) -> Rungs:
        """What the solvers make of a corpus."""
        questions, digest, tokens = corpus.questions, corpus.digest, None
        if self.reference is not None:
            drawn = self._draw(corpus, self.reference, range(1), "reference")
            tokens = student([a.tokens for a in drawn.rows if a.tokens is not None])
            questions, digest = answered(questions, drawn.rows, self.settings.fallback), drawn.digest
        gradable = [q for q in questions if q.grading != Grading.NONE]
        attempts = {role.name: self._draw(corpus, role, range(self.settings.samples), "attempts") for role in self.solvers}
        found = {name: self._marks(corpus, name, gradable, digest, drawn) for name, drawn in attempts.items()}
        spent = {name: _spent(drawn.rows) for name, drawn in attempts.items()}
        return Rungs(corpus, found, spent, tokens, len(corpus.questions) - len(gradable))

    def _draw(self, corpus: Corpus, role: Role, numbers: range, step: str) -> Table[Attempt]:
        how = Asking(self.settings.sample, self.settings.chat, of_question)
        name = f"analyze/difficulty/{folder(corpus.name)}/{role.name}/{step}"
        return draws(self.place, name, corpus.questions, corpus.digest, role, how, numbers, seed=self.seed)

    def _marks(self, corpus: Corpus, name: str, questions: Sequence[Question], digest: str, drawn: Table[Attempt]) -> list[Marks]:
        table = graded(self.place, f"analyze/difficulty/{folder(corpus.name)}/{name}/grades", self.grader, questions, digest, drawn)
        grades = dict[str, list[Grade]]()
        for grade in table.rows:
            grades.setdefault(grade.question, []).append(grade)
        return [marks_of(q.id, grades[q.id]) for q in questions if q.id in grades]


@dataclass(frozen=True)
class Rungs:
    """A corpus on the ladder: each solver's `marks` and the mean tokens that it `spent` on each problem; the reference's tokens;
    how many of the problems have no answer to hold a solver's against."""

    corpus: Corpus
    marks: Mapping[str, Sequence[Marks]]
    spent: Mapping[str, Sequence[float]]
    reference_tokens: Estimate | None
    unanswered: int

    def figures(self, level: float) -> Iterator[tuple[str, str, Estimate]]:
        """(metric, solver, number): `accuracy`, `tokens`, `disagreement`, a share for each band, and `first` for the ladder."""
        for solver, marks in self.marks.items():
            if marks:
                yield "accuracy", solver, metrics.avg_at_k(marks, level)
            if self.spent[solver]:
                yield "tokens", solver, student(list(self.spent[solver]), level)
            doubts = [value for m in marks if not math.isnan(value := disagreement(m.piles))]
            if doubts:
                yield "disagreement", solver, bounded_mean(doubts, level)
            bands = Counter(band(m.correct / m.counted) for m in marks if m.counted)
            for name in BANDS if bands else ():
                yield name, solver, wilson(bands[name], bands.total(), level)
        if self.reference_tokens is not None:
            yield "tokens", "reference", self.reference_tokens
        yield from self._first(level)

    def _first(self, level: float) -> Iterator[tuple[str, str, Estimate]]:
        """The share of the problems that each solver is the first of the ladder to solve, and of those that none does."""
        rates = {name: {m.question: m.correct / m.counted for m in marks if m.counted} for name, marks in self.marks.items()}
        shared = sorted(set.intersection(*map(set, rates.values()))) if rates else []
        firsts = Counter(next((name for name, own in rates.items() if own[question] >= SOLVED), "") for question in shared)
        for name in [*rates, ""] if shared else ():
            yield "first", name, wilson(firsts[name], len(shared), level)

    def problems(self) -> Iterator[ProblemDifficulty]:
        """A row for every problem and solver with a verdict that counts."""
        by_id = {q.id: q for q in self.corpus.questions}
        for solver, marks in self.marks.items():
            for m in (m for m in marks if m.counted):
                known = [n for n in m.tokens if n is not None]
                yield ProblemDifficulty(
                    id=record_id("problem_difficulty", (m.question,), content=f"{self.corpus.name} {solver}"),
                    parents=(m.question,),
                    question=m.question,
                    corpus=self.corpus.name,
                    solver=solver,
                    solved=m.correct,
                    counted=m.counted,
                    rate=m.correct / m.counted,
                    tokens=sum(known) / len(known) if known else math.nan,
                    disagreement=disagreement(m.piles),
                    band=band(m.correct / m.counted),
                    **inherited(by_id[m.question]),
                )


def answered(questions: Sequence[Question], attempts: Sequence[Attempt], fallback: str) -> tuple[Question, ...]:
    """The questions with what the reference answered in place of their own answers; where it gave none, or the task is a program, there is
    nothing to grade by."""
    said = {a.problem: final_answer(a.text, Fallback(fallback)) for a in attempts if a.verdict is None}
    return tuple(_held_against(q, said.get(q.id)) for q in questions)


def _held_against(question: Question, answer: str | None) -> Question:
    if question.domain == "code" or answer is None:
        return replace(question, grading=Grading.NONE, reference="")
    return replace(question, grading=Grading.ANSWER, reference=answer)


def _spent(attempts: Sequence[Attempt]) -> list[float]:
    found = dict[str, list[int]]()
    for attempt in attempts:
        if attempt.tokens is not None:
            found.setdefault(attempt.problem, []).append(attempt.tokens)
    return [sum(tokens) / len(tokens) for tokens in found.values()]


def folder(corpus: str) -> str:
    """A corpus's name as part of a step's."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", corpus.strip("/")) or "corpus"
