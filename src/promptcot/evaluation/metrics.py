"""Scores of a benchmark with their uncertainty: attempts are clustered by question, and questions are what was sampled.

Every number is a mean over questions, each with the same weight, and `n` is their number. Its interval says how far the number would move
with other questions of the same kind and other attempts at them. `errors` tells the two sources apart.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from promptcot.errors import UsageError
from promptcot.evaluation.marks import Marks
from promptcot.evaluation.scores import Score, accuracy, majority, passes, share, share_of_verifier_errors, solves, tokens
from promptcot.intervals import Estimate, bounded_mean, standard_error, student
from promptcot.outcomes import Verdict

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Errors:
    """The standard error of avg@k, and its parts: total^2 = questions^2 + run^2.

    `total`: other questions and other attempts, clustered by question (Miller 2024, arXiv 2411.00640, eq. 4 for questions of equal weight):
    sqrt(sum (p_i - p)^2 / (n (n - 1))). `run`: the same questions, other attempts: sqrt(sum p_i (1 - p_i) / (k_i - 1)) / n; nan where
    a question has only one attempt. `questions`: what is left, 0 where chance makes `run` the larger."""

    total: float
    questions: float
    run: float


def avg_at_k(marks: Sequence[Marks], level: float = LEVEL) -> Estimate:
    """avg@k (pass@1 over k attempts): the mean over questions of correct / counted. A question with nothing counted is left out."""
    return over_questions(marks, accuracy, level)


def pass_at_k(marks: Sequence[Marks], k: int, level: float = LEVEL) -> Estimate:
    """pass@k, unbiased. A question with fewer than k counted attempts is a `UsageError` that names it."""
    return over_questions(marks, passes(k), level)


def maj_at_k(marks: Sequence[Marks], k: int, level: float = LEVEL) -> Estimate:
    """maj@k: a majority vote of k attempts, in expectation over the subsets of what was drawn. Too few attempts are a `UsageError`."""
    return over_questions(marks, majority(k), level)


def solved_within(marks: Sequence[Marks], k: int, level: float = LEVEL) -> Estimate:
    """The share of questions solved in their first k counted attempts. It may stop a question at its first success, `pass_at_k` may not."""
    return over_questions(marks, solves(k), level)


def rate(marks: Sequence[Marks], verdict: Verdict, level: float = LEVEL) -> Estimate:
    """How often an attempt gets this verdict; verifier errors among all attempts, any other among those counted."""
    return over_questions(marks, share_of_verifier_errors if verdict is Verdict.VERIFIER_ERROR else share({verdict}), level)


def format_rate(marks: Sequence[Marks], level: float = LEVEL) -> Estimate:
    """How often an attempt gives an answer or a program at all: neither truncated nor without an answer."""
    return over_questions(marks, share(set(Verdict) - {Verdict.TRUNCATED, Verdict.NO_ANSWER, Verdict.VERIFIER_ERROR}), level)


def mean_tokens(marks: Sequence[Marks], level: float = LEVEL) -> Estimate:
    """Tokens of an attempt, those of unknown length left out, with Student's t interval over questions."""
    return student(scores(marks, tokens), level)


def over_questions(marks: Sequence[Marks], score: Score, level: float = LEVEL) -> Estimate:
    """The mean of a score over questions. The interval is `intervals.bounded_mean`'s, whose docstring gives its coverage."""
    return bounded_mean(scores(marks, score), level)


def scores(marks: Sequence[Marks], score: Score) -> list[float]:
    """Each question's score, in the order of their names; those without are left out."""
    return list(by_question(marks, score).values())


def by_question(marks: Sequence[Marks], score: Score) -> dict[str, float]:
    """Question to score, sorted; those without are left out."""
    doubled = [name for name, times in Counter(m.question for m in marks).items() if times > 1]
    if doubled:
        raise UsageError(f"question {doubled[0]} occurs more than once, so its attempts are no cluster of their own")
    found = {m.question: score(m) for m in sorted(marks, key=lambda m: m.question)}
    return {name: value for name, value in found.items() if value is not None}


def errors(marks: Sequence[Marks]) -> Errors:
    """The standard error of avg@k, in all and by source."""
    counted = [m for m in marks if m.counted]
    total = standard_error(scores(counted, accuracy))
    if not counted or any(m.counted < 2 for m in counted):
        return Errors(total, math.nan, math.nan)
    shares = [(m.correct / m.counted, m.counted) for m in counted]
    run = math.sqrt(math.fsum(p * (1 - p) / (k - 1) for p, k in shares)) / len(shares)
    return Errors(total, math.sqrt(max(0.0, total**2 - run**2)), run)
