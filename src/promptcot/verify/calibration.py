"""How much agreement makes a voted answer right often enough: on problems whose answers are known, the threshold for a wanted precision.

A threshold is chosen on one half of the problems and judged on the other, so the precision printed is not that of the choice itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from promptcot.intervals import Estimate, wilson
from promptcot.verify.votes import Vote


@dataclass(frozen=True)
class Judged:
    """A vote on a problem with a known answer. `right`: whether the largest cluster gives it."""

    vote: Vote
    right: bool


@dataclass(frozen=True)
class Threshold:
    """Labels are kept from `agree` draws on.

    `precision`: the share of kept labels that are right; `coverage`: the share of problems kept; both on problems that did not choose the
    threshold. `reached`: whether the precision's lower bound was the wanted one where it was chosen."""

    agree: int
    precision: Estimate
    coverage: Estimate
    reached: bool


def precision_at(votes: Sequence[Judged], agree: int, level: float = 0.95) -> tuple[Estimate, Estimate]:
    """Precision and coverage when labels are kept from `agree` agreeing draws on."""
    kept = [v for v in votes if v.vote.sizes[0] >= agree]
    return wilson(sum(v.right for v in kept), len(kept), level), wilson(len(kept), len(votes), level)


def calibrate(votes: Sequence[Judged], wanted: float, level: float = 0.95) -> Threshold:
    """The smallest agreement whose precision is at least `wanted` (its Wilson lower bound) on every second problem, judged on the others.

    Where none reaches it, the one with the highest lower bound, `reached` False."""
    choose, judge = votes[::2], votes[1::2]
    most = max((v.vote.sizes[0] for v in choose), default=0)
    lows = {agree: precision_at(choose, agree, level)[0].low for agree in range(1, most + 1)}
    enough = [agree for agree, low in lows.items() if low >= wanted]
    agree = min(enough) if enough else max(lows, key=lambda a: (lows[a], a), default=1)
    precision, coverage = precision_at(judge, agree, level)
    return Threshold(agree, precision, coverage, bool(enough))
