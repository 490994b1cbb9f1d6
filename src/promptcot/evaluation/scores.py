"""The score of one question: what its attempts say of it, from 0 to 1.

An attempt that the verifier failed on is out of every count here but that of `share_of_verifier_errors`; attempts that are undecided, cut
off or without an answer are failures.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache

import numpy as np

from promptcot.errors import UsageError
from promptcot.evaluation.marks import Marks
from promptcot.outcomes import Verdict

Score = Callable[[Marks], float | None]
"""A question's score, from 0 to 1; None where it has none, and is left out."""


def accuracy(marks: Marks) -> float | None:
    """correct / counted; None where nothing is counted."""
    return marks.correct / marks.counted if marks.counted else None


def passes(k: int) -> Score:
    """The chance that one of `k` attempts is right, 1 - C(n - c, k) / C(n, k): unbiased (Chen et al. 2021, arXiv 2107.03374, eq. 1)."""

    def score(marks: Marks) -> float:
        n, wrong = enough(marks, k), marks.counted - marks.correct
        return 1 - math.comb(wrong, k) / math.comb(n, k)

    return score


def solves(k: int) -> Score:
    """1 where one of the first `k` counted attempts is right, else 0. Attempts after the first right one make no difference."""

    def score(marks: Marks) -> float:
        first = counted(marks)[:k]
        if Verdict.CORRECT in first:
            return 1.0
        enough(marks, k)
        return 0.0

    return score


def majority(k: int) -> Score:
    """The chance that the answer most of `k` attempts agree on is right: the mean over all subsets of `k`, exactly.

    Equal answers are right or wrong together, attempts without an answer vote for nothing, answers that tie share the credit equally, and
    no vote at all is a failure."""

    def score(marks: Marks) -> float:
        enough(marks, k)
        votes = [(p, v is Verdict.CORRECT) for p, v in zip(marks.piles, marks.verdicts, strict=True) if v is not Verdict.VERIFIER_ERROR]
        right = {pile for pile, correct in votes if correct}
        if -1 in right:
            raise UsageError(f"question {marks.question}: an attempt is right without an answer to vote for, so there is no majority")
        sizes = Counter(pile for pile, _ in votes if pile >= 0)
        voted = tuple(sorted((size, pile in right) for pile, size in sizes.items()))
        return majority_credit(voted, len(votes) - sizes.total(), k)

    return score


def share(verdicts: Iterable[Verdict]) -> Score:
    """The share of the counted attempts with one of these verdicts."""
    wanted = frozenset(verdicts)

    def score(marks: Marks) -> float | None:
        return sum(v in wanted for v in marks.verdicts) / marks.counted if marks.counted else None

    return score


def share_of_verifier_errors(marks: Marks) -> float | None:
    """The share of all attempts that the verifier failed on."""
    return 1 - marks.counted / len(marks.verdicts) if marks.verdicts else None


def tokens(marks: Marks) -> float | None:
    """Mean tokens of the attempts whose number is known; no score, since it is no share, but used like one."""
    known = [n for n in marks.tokens if n is not None]
    return sum(known) / len(known) if known else None


def counted(marks: Marks) -> list[Verdict]:
    """The verdicts in the denominator, in the order of their draws."""
    return [v for v in marks.verdicts if v is not Verdict.VERIFIER_ERROR]


def enough(marks: Marks, k: int) -> int:
    """The counted attempts, `k` or more of them."""
    if k < 1:
        raise UsageError(f"k is {k}, and must be 1 or more")
    if marks.counted < k:
        what = f"question {marks.question} has {marks.counted} counted attempts, fewer than k = {k}"
        raise UsageError(what, remedy="draw more attempts, or ask for a smaller k")
    return marks.counted


@lru_cache(maxsize=65536)
def majority_credit(piles: tuple[tuple[int, bool], ...], silent: int, k: int) -> float:
    """The expected credit of a vote among `k` of the attempts, from piles as (size, right) and the number of attempts without an answer.

    A sum over the winning count t. The number of a pile's attempts in a random subset is binomial, given that all sum to k; so with
    g[e, r, d] = P(d attempts drawn so far, none of the piles above t, e of them at t, r of these right) the credit of t is the sum of
    g[e, r, k] r / e, over the chance of k in all. All terms are positive: no digits are lost."""
    n = silent + sum(size for size, _ in piles)
    chance = k / n
    top = max((size for size, right in piles if right), default=0)
    total = 0.0
    for t in range(1, min(top, k) + 1):
        most = k // t
        g = np.zeros((most + 2, min(most, sum(right for _, right in piles)) + 2, k + 1))
        g[0, 0] = binomial(silent, chance, k)
        for size, right in piles:
            g = drawn(g, binomial(size, chance, min(size, t)), t, int(right))
        e, r = np.arange(1, most + 1)[:, None], np.arange(g.shape[1])[None]
        total += float((g[1 : most + 1, :, k] * r / e).sum())
    return min(1.0, total / float(binomial(n, chance, k)[k]))


def drawn(g: np.ndarray, weights: np.ndarray, t: int, right: int) -> np.ndarray:
    """`g` after one more pile, which gives s attempts with chance `weights[s]`."""
    out = np.zeros_like(g)
    width = g.shape[2]
    for s, weight in enumerate(weights[:t]):
        out[:, :, s:] += weight * g[:, :, : width - s]
    if len(weights) > t:
        out[1:, right:, t:] += weights[t] * g[:-1, : g.shape[1] - right, : width - t]
    return out


def binomial(n: int, chance: float, most: int) -> np.ndarray:
    """P(s) for s = 0 ... most."""
    return np.array([math.comb(n, s) * chance**s * (1 - chance) ** (n - s) if s <= n else 0.0 for s in range(most + 1)])
