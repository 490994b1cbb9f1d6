"""Who is in the band: which questions are trained on, by the verdicts on their attempts; and what is known of one not drawn to its end.

A question is kept when `solved` of its attempts are right, their share of the counted ones is less than `below` and, where pairs are
wanted, one at least is firmly wrong. Attempts that the verifier failed on, and those that never came, count neither way.

It is *lost* when no outcome of the draws still to come could put it in. Only then does drawing end: a question that is certain to be kept
is drawn to its end, because its further attempts may be trained on. So what is trained on is what all draws would have given.

    k = 8, below 0.5, after four draws:  4 right -> lost;  3 right -> 3/7 is possible, drawn on;  0 right -> drawn on
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from promptcot.intervals import Estimate, wilson
from promptcot.outcomes import Drop, Verdict
from promptcot.recipe import Band
from promptcot.verify.verdicts import COUNTED, REJECTED

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Tally:
    """The attempts at a question so far: `solved` of `counted` are right, `firm` are firmly wrong; `rest` are still to be drawn."""

    solved: int
    counted: int
    firm: int
    rest: int

    @classmethod
    def of(cls, verdicts: Iterable[str], rest: int) -> Tally:
        """Of the verdicts on what was drawn."""
        found = [Verdict(v) for v in verdicts]
        return cls(found.count(Verdict.CORRECT), sum(v in COUNTED for v in found), sum(v in REJECTED for v in found), rest)

    def out(self, band: Band, *, firm: bool) -> Drop | None:
        """Why a question with these attempts, and no others, is not in the band; None where it is. `firm`: a firmly wrong one is needed."""
        if not self.counted:
            return Drop.UNGRADED
        if self.solved < band.solved:
            return Drop.UNSOLVED
        if self.solved / self.counted >= band.below:
            return Drop.TOO_EASY
        return Drop.NO_FIRM_FAILURE if firm and not self.firm else None

    def lost(self, band: Band, *, firm: bool) -> Drop | None:
        """Why no outcome of the rest puts the question in the band; None while one does.

        Of all outcomes the most favorable is decisive: as few right ones as the band asks for, and all others firmly wrong. One more right
        in place of a wrong one only raises the share, and one that does not count only leaves it higher. The reason is that outcome's."""
        right = min(self.rest, max(0, band.solved - self.solved))
        best = Tally(self.solved + right, self.counted + self.rest, self.firm + self.rest - right, 0)
        return best.out(band, firm=firm)

    @property
    def rate(self) -> Estimate:
        """The share of right attempts among the counted ones, with an interval at 95 %.

        Where drawing ended early, it ended because of what was drawn, so Wilson's interval for the attempts so far would claim too much.
        This one reaches from Wilson's lower limit with the whole rest wrong to the upper one with the whole rest right. It holds the
        interval that all draws would have given, whichever way they had gone, and so covers the true rate at least as often.

        The share itself is too high on average where drawing may end early: it ends at many right ones. So a mean of shares over
        questions is too high as well. The sum of `solved` over the sum of `counted` is not: it estimates their mean rate, each question
        weighed by its draws."""
        if not self.rest:
            return wilson(self.solved, self.counted, LEVEL)
        low = wilson(self.solved, self.counted + self.rest, LEVEL).low
        high = wilson(self.solved + self.rest, self.counted + self.rest, LEVEL).high
        value = self.solved / self.counted if self.counted else math.nan
        return Estimate(value, low, high, self.counted, LEVEL)
