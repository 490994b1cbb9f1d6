"""How far a solver's attempts go and what comes of them, reckoned from an assumed spread of pass rates.

Questions' pass rates are taken to follow a beta distribution, so the right ones among n attempts follow a beta-binomial one; every attempt
counts, and every wrong one is firmly wrong. `self_play.band` then says, as in a run, who is still drawn and who is in the band. Where
attempts do not count, or are not firm, more is drawn and less is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import comb, exp, lgamma

from promptcot.planning.figures import Figures, Range
from promptcot.recipe import SelfPlay
from promptcot.self_play.band import Tally

EDGE = 1e-6
"""How near to never and to always a mean pass rate may be, for the distribution to exist."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """`open`: the share of questions that each wave still asks; `band`: that are trained on in the end; `pairs` and `right`: what a
    question gives on average, those that give none included."""

    open: tuple[Range, ...]
    band: Range
    pairs: Range
    right: Range


def outlook(settings: SelfPlay, figures: Figures) -> Outlook:
    """By how often attempts fail: rarely, in the middle, mostly; each share ordered by size."""
    failed, concentration = figures["failed_share"], figures["pass_rate_concentration"].mid
    found = [_Spread(settings, 1 - share, concentration) for share in (failed.low, failed.mid, failed.high)]
    firsts = range(0, settings.attempts, settings.wave)
    return Outlook(
        tuple(_ordered(spread.still(first) for spread in found) for first in firsts),
        _ordered(spread.kept(lambda right: 1) for spread in found),
        _ordered(spread.kept(lambda right: min(right, settings.attempts - right, settings.pairs)) for spread in found),
        _ordered(spread.kept(lambda right: min(right, settings.right)) for spread in found),
    )


def _ordered(values: Iterable[float]) -> Range:
    return Range(*sorted(values))


class _Spread:
    """One mean pass rate."""

    def __init__(self, settings: SelfPlay, mean: float, concentration: float) -> None:
        mean = min(1 - EDGE, max(EDGE, mean))
        self.settings, self.a, self.b = settings, mean * concentration, (1 - mean) * concentration
        self.firm = settings.method != "sft"

    def still(self, drawn: int) -> float:
        """The share of questions that after so many attempts may yet be in the band."""
        rest = self.settings.attempts - drawn
        tallies = {right: Tally(right, drawn, drawn - right, rest) for right in range(drawn + 1)}
        return sum(self._chance(right, drawn) for right, t in tallies.items() if t.lost(self.settings.band, firm=self.firm) is None)

    def kept(self, worth: Callable[[int], int]) -> float:
        """The mean of `worth`, by the number of right attempts, over all questions; those outside the band are worth nothing."""
        k, band = self.settings.attempts, self.settings.band
        inside = (right for right in range(k + 1) if Tally(right, k, k - right, 0).out(band, firm=self.firm) is None)
        return sum(worth(right) * self._chance(right, k) for right in inside)

    def _chance(self, right: int, drawn: int) -> float:
        """That so many of the attempts at a question are right: the beta-binomial probability."""
        return comb(drawn, right) * exp(_log_beta(right + self.a, drawn - right + self.b) - _log_beta(self.a, self.b))


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
