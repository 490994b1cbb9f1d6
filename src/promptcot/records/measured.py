"""What evaluations, analyses and trials come to."""

from __future__ import annotations

import math
from dataclasses import dataclass

from promptcot.records.identity import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Score(Record):
    """A model's figure on a benchmark: `value` with the interval `[low, high]` at `level`, over `n` questions and `attempts` at them.

    `metric` is one of `evaluation.scores`; `k` what stands behind its @, 0 where nothing does. `error` is the standard error, clustered by
    question, NaN where none is known."""

    model: str
    benchmark: str
    metric: str
    k: int
    value: float
    low: float
    high: float
    level: float
    n: int
    attempts: int
    error: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap(Record):
    """A question of a benchmark that shares a run of words with a training text. Parent: the question."""

    benchmark: str
    question: str
    ngram: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusFigure(Record):
    """A number about a corpus: `value` in [low, high] at `level`, over `n` texts (or those of them that have one).

    `metric` is one of `analysis`; `against` the other corpus, or what it was held against; `model` the solver; `k` the n of n-grams. NaN
    where an interval cannot be formed."""

    corpus: str
    metric: str
    value: float
    low: float
    high: float
    level: float
    n: int
    against: str = ""
    model: str = ""
    k: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemDifficulty(Record):
    """How a solver fared with a problem of a corpus. Parent: the question. `solved` of `counted` attempts were right, a share of `rate`.

    `tokens` is the mean of an attempt, NaN where unknown; `disagreement` the chance that two attempts answer differently, NaN below two;
    `band` is one of `analysis.difficulty.BANDS`."""

    question: str
    corpus: str
    solver: str
    solved: int
    counted: int
    rate: float
    tokens: float
    disagreement: float
    band: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding(Record):
    """The unit vector of a text. Parent: the question whose text it is, its template left out."""

    vector: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPoint(Record):
    """A corpus on the map, or (`half` from 1 on) where a random half of it would stand."""

    corpus: str
    half: int
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStudent(Record):
    """A student of a trial: fitted on `texts` texts of a corpus with `tokens` tokens of solutions, in `steps` optimizer steps.

    `share` is the part of the budget that it saw, `same` what it has in common with those of other parts (`epochs` or `steps`)."""

    student: str
    corpus: str
    share: float
    same: str
    seed: int
    texts: int
    tokens: int
    steps: int
