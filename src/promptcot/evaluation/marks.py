"""The verdicts on one question's attempts, as the statistics read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from promptcot.outcomes import Verdict
from promptcot.records import Grade


@dataclass(frozen=True, slots=True)
class Marks:
    """The graded attempts at one question, in the order of their draws; all lists are aligned with them.

    Attempts with the same answer share a `pile` (a number from 0 on; -1: no answer, and no pile). `tokens` is None where unknown."""

    question: str
    verdicts: tuple[Verdict, ...]
    piles: tuple[int, ...]
    tokens: tuple[int | None, ...]

    @property
    def counted(self) -> int:
        """Attempts in the denominator: all but those that the verifier failed on."""
        return sum(v is not Verdict.VERIFIER_ERROR for v in self.verdicts)

    @property
    def correct(self) -> int:
        """Attempts that solved it."""
        return sum(v is Verdict.CORRECT for v in self.verdicts)


def marks_of(question: str, grades: Sequence[Grade]) -> Marks:
    """A question's grades as the statistics read them."""
    ordered = sorted(grades, key=lambda grade: grade.draw)
    return Marks(
        question,
        tuple(Verdict(g.verdict) for g in ordered),
        tuple(g.pile for g in ordered),
        tuple(g.tokens for g in ordered),
    )
