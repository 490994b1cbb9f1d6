"""Numbers with their uncertainty: Wilson intervals for shares, bootstrap intervals over units that were drawn independently."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with the interval `[low, high]` at `level`, from `n` independent units."""

    value: float
    low: float
    high: float
    n: int
    level: float

    @property
    def verdict(self) -> str:
        """`gain` or `worse` when the interval lies wholly on one side of 0, else `no evidence`."""
        return "gain" if self.low > 0 else "worse" if self.high < 0 else "no evidence"

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] (n={self.n}, {self.level:.0%})"


def wilson(hits: int, n: int, level: float = 0.95) -> Estimate:
    """A share with Wilson's score interval. n = 0 gives [0, 1]."""
    if n == 0:
        return Estimate(math.nan, 0.0, 1.0, 0, level)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    center = (hits + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(hits * (n - hits) / n + z * z / 4)
    return Estimate(hits / n, max(0.0, center - half), min(1.0, center + half), n, level)


def ratio_of_sums(values: Sequence[float], sizes: Sequence[float], *, level: float = 0.90, draws: int = 4000, seed: int = 0) -> Estimate:
    """sum(values) / sum(sizes) with a percentile bootstrap over units: e.g. nats and tokens of each problem, paired by unit.

    With fewer than two units the interval is the whole line."""
    v, s = np.asarray(values, float), np.asarray(sizes, float)
    if len(v) == 0:
        return Estimate(math.nan, -math.inf, math.inf, 0, level)
    value = float(v.sum() / s.sum())
    if len(v) < 2:
        return Estimate(value, -math.inf, math.inf, len(v), level)
    picks = np.random.default_rng(seed).integers(0, len(v), size=(draws, len(v)))
    ratios = v[picks].sum(axis=1) / s[picks].sum(axis=1)
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")  # order statistics: -inf is a value too
    return Estimate(value, float(low), float(high), len(v), level)


def nested_ratio_of_sums(
    values: Sequence[Sequence[float]], sizes: Sequence[Sequence[float]], *, level: float = 0.90, draws: int = 4000, seed: int = 0
) -> Estimate:
    """sum / sum over units nested in groups (problems in training seeds): the bootstrap draws groups, then units in each drawn group.

    With one group only its units are drawn, so the interval says nothing of other groups. `n` counts units."""
    n = sum(map(len, values))
    if len(values) == 1:
        return ratio_of_sums(values[0], sizes[0], level=level, draws=draws, seed=seed)
    if not n:
        return ratio_of_sums((), ())
    stream = np.random.default_rng(seed)
    tops, bottoms = (np.empty((len(values), draws)) for _ in range(2))
    for group, (v, s) in enumerate(zip(values, sizes, strict=True)):
        picks = stream.integers(0, len(v), size=(draws, len(v)))
        tops[group], bottoms[group] = np.asarray(v, float)[picks].sum(1), np.asarray(s, float)[picks].sum(1)
    groups, each = stream.integers(0, len(values), size=(len(values), draws)), np.arange(draws)
    ratios = tops[groups, each].sum(0) / bottoms[groups, each].sum(0)
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    value = sum(map(sum, values)) / sum(map(sum, sizes))
    return Estimate(float(value), float(low), float(high), n, level)


def mean(values: Sequence[float], *, level: float = 0.90, seed: int = 0) -> Estimate:
    """The mean with a percentile bootstrap over units."""
    return ratio_of_sums(values, [1.0] * len(values), level=level, seed=seed)
