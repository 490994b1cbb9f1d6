"""Two runs on the same questions, paired: a difference with its interval, a sign test, and what did not pair.

A difference whose interval holds 0 is no gain, however large: `Comparison.verdict` says `no evidence`. Of several benchmarks some will
show a gain by chance alone; `survivors` says which are left after Holm's correction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from promptcot.errors import UsageError
from promptcot.evaluation.marks import Marks
from promptcot.evaluation.metrics import LEVEL, by_question
from promptcot.evaluation.scores import Score, accuracy
from promptcot.intervals import Estimate, bootstrap_means, expanded_tail, t_cdf

FLOOR = 1 / 3
"""The least size of the two pseudo-questions of `difference`."""


@dataclass(frozen=True, slots=True)
class SignTest:
    """On how many questions each run is better, and the exact binomial chance of so uneven a split, two-sided, ties left out."""

    better: int
    worse: int
    ties: int
    p: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """`new` minus `old` on the questions that have a score in both.

    `p` belongs to the interval: the interval at level 1 - p just touches 0. `only_new` and `only_old` name the questions that have a score
    in one run only; they are in no number here."""

    difference: Estimate
    p: float
    sign: SignTest
    only_new: tuple[str, ...]
    only_old: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """`gain`, `worse` or `no evidence`, of `new`."""
        return self.difference.verdict

    @property
    def shared(self) -> int:
        """The number of questions compared."""
        return self.difference.n


def compare(
    new: Sequence[Marks], old: Sequence[Marks], score: Score = accuracy, *, level: float = LEVEL, draws: int = 10_000, seed: int = 0
) -> Comparison:
    """Two runs by a question's score: `accuracy` for avg@k, `passes(k)`, `majority(k)`. No question in both is a `UsageError`."""
    news, olds = by_question(new, score), by_question(old, score)
    shared = sorted(news.keys() & olds.keys())
    if not shared:
        raise UsageError("the two runs share no question, so there is nothing to pair")
    differences = [news[name] - olds[name] for name in shared]
    found, p = difference(differences, level=level, draws=draws, seed=seed)
    only_new, only_old = (tuple(sorted(a.keys() - b.keys())) for a, b in ((news, olds), (olds, news)))
    return Comparison(found, p, sign_test(differences), only_new, only_old)


def difference(values: Sequence[float], *, level: float = LEVEL, draws: int = 10_000, seed: int = 0) -> tuple[Estimate, float]:
    """The mean of differences from [-1, 1] with a paired bootstrap interval over questions, and the p-value of the same bootstrap.

    The noise of the attempts is in the differences, so it is in the interval. The bootstrap draws from the questions and two more, +m and
    -m, and takes expanded percentiles: without them a rare difference that no question happened to show is ruled out. m is the largest
    |difference| seen, at least `FLOOR`, and 1 where none differs; for yes-or-no scores that is the Laplace adjustment of Bonett and Price
    (J. Educ. Behav. Stat. 37, 2012). With one question the interval is [-1, 1] and p is 1.
    p is no smaller than `draws` can tell, about 0.001.

    Simulated (10 to 150 questions of 1 to 16 attempts, avg from 0.5 to 0.98, effects of 0 to 1.5 logits), 95 % intervals cover the truth
    95 to 100 % of the time, near 0 and 1 the most; the plain percentile bootstrap falls to 16 %."""
    n = len(values)
    mean = math.fsum(values) / n
    if n < 2:
        return Estimate(mean, -1.0, 1.0, n, level), 1.0
    size = max([FLOOR, *map(abs, values)]) if any(values) else 1.0
    means, tail = bootstrap_means([*values, size, -size], draws, seed), expanded_tail(level, n + 2)
    low, high = np.quantile(means, [tail, 1 - tail])
    beyond = (1 + min((means <= 0).sum(), (means >= 0).sum())) / (draws + 1)
    t = -NormalDist().inv_cdf(min(0.5, float(beyond))) * math.sqrt((n + 1) / (n + 2))
    return Estimate(mean, max(-1.0, min(mean, float(low))), min(1.0, max(mean, float(high))), n, level), 2 * (1 - t_cdf(t, n + 1))


def sign_test(differences: Sequence[float]) -> SignTest:
    """min(1, 2 P(X <= min(better, worse))) for X ~ Binomial(better + worse, 1/2)."""
    better, worse = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    n, fewer = better + worse, min(better, worse)
    p = min(1.0, 2 * sum(math.comb(n, i) for i in range(fewer + 1)) / 2**n)
    return SignTest(better, worse, len(differences) - n, p)


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p-values (Holm, Scand. J. Statist. 6, 1979): the i-th smallest of m times m - i + 1, never below the ones before it."""
    adjusted, largest = dict[str, float](), 0.0
    for place, name in enumerate(sorted(p, key=lambda name: (p[name], name))):
        largest = max(largest, min(1.0, p[name] * (len(p) - place)))
        adjusted[name] = largest
    return adjusted


def survivors(comparisons: Mapping[str, Comparison], alpha: float = 1 - LEVEL) -> tuple[str, ...]:
    """The benchmarks whose difference, either way, outlives Holm's correction: the chance that any of them is false is alpha or less."""
    adjusted = holm({name: comparison.p for name, comparison in comparisons.items()})
    return tuple(name for name in comparisons if adjusted[name] <= alpha)
