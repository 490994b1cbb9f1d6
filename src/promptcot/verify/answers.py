"""Are two answers the same? `equal`, `different` or `unknown`, the same way round or not, and never by running what they say.

Both are read into canonical form (`reading`); where both are understood their keys decide. What is left goes to math-verify both ways, in a
killable sandbox (`algebra`): both must say yes. Without a sandbox it is `unknown`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Protocol

import promptcot.verify.values as values
from promptcot.outcomes import Equality
from promptcot.verify.extraction import Fallback, answer_text, final_answer
from promptcot.verify.forms import Answer, Kind, Reading
from promptcot.verify.reading import read
from promptcot.verify.units import unit_of


@dataclass(frozen=True)
class Policy:
    """What is left to taste. `fallback`: what stands for an answer that is not boxed. `reading`: percent, number words, integers alone."""

    fallback: Fallback = Fallback.MARKED
    reading: Reading = field(default_factory=Reading)


class Algebra(Protocol):
    """Decides about texts that have no canonical form here."""

    def equal(self, a: str, b: str) -> Equality:
        """The verdict on two answers' texts, none of them executed outside a sandbox."""
        ...


class Verifier:
    """Compares answers under one policy. `algebra` is asked last; without it what only algebra can decide is `unknown`."""

    def __init__(self, policy: Policy = Policy(), algebra: Algebra | None = None) -> None:
        self.policy, self.algebra = policy, algebra

    def equal(self, reference: str, prediction: str) -> Equality:
        """Whether a prediction (an answer or a whole completion) gives the reference's answer. No answer at all is `different`."""
        a, b = self.read(reference), self.read(prediction)
        return Equality.DIFFERENT if a is None or b is None else self.compare(a, b)

    def read(self, text: str) -> Answer | None:
        """The final answer of a text in canonical form, None where it gives none."""
        answer = answer_text(text, self.policy.fallback)
        return None if answer is None else read(answer, self.policy.reading)

    def read_completion(self, text: str) -> Answer | None:
        """As `read`, but a text without box, mark or (if the policy says so) number gives no answer: it is not itself one."""
        answer = final_answer(text, self.policy.fallback)
        return None if answer is None else read(answer, self.policy.reading)

    def compare(self, a: Answer, b: Answer) -> Equality:
        """The verdict on two answers that were read."""
        quick = decide(a, b)
        if quick is not None:
            return quick
        return self.algebra.equal(a.text, b.text) if self.algebra else Equality.UNKNOWN


def decide(a: Answer, b: Answer) -> Equality | None:
    """The verdict of the canonical forms, None where they do not decide."""
    if _is_nan(a) or _is_nan(b):
        return Equality.DIFFERENT
    if a.unit and b.unit and a.unit != b.unit:
        return _with_units(a, b)
    if a.key == b.key:
        return Equality.EQUAL
    if a.solved and b.solved and a.solved[0] == b.solved[0]:
        return Equality.DIFFERENT  # their other sides do
    if not (a.readable and b.readable) and a.constant and b.constant:
        return Equality.DIFFERENT if values.apart(a.constant, b.constant) else None
    if not (a.readable and b.readable) or (a.loose and b.kind is Kind.EQUATION) or (b.loose and a.kind is Kind.EQUATION):
        return None
    formula = {a.kind, b.kind} == {Kind.EQUATION, Kind.EXPRESSION}  # `y=2x+1` and `2x+1`: who may say?
    return Equality.UNKNOWN if formula else Equality.DIFFERENT


def _with_units(a: Answer, b: Answer) -> Equality:
    """Quantities: of one dimension they are compared in one unit; of units that are not in the table nothing is known."""
    first, second = unit_of(a.unit), unit_of(b.unit)
    if first is None or second is None:
        return Equality.UNKNOWN
    if first.dimension != second.dimension:
        return Equality.DIFFERENT
    if first.factor == second.factor:
        return Equality.EQUAL if a.key == b.key else Equality.DIFFERENT
    if not (isinstance(a.value, Fraction) and isinstance(b.value, Fraction)):
        return Equality.UNKNOWN
    return Equality.EQUAL if a.value * first.factor == b.value * second.factor else Equality.DIFFERENT


def _is_nan(answer: Answer) -> bool:
    return answer.text.strip("\\{} ").lower() in ("nan", "text{nan", "mathrm{nan")


@lru_cache(maxsize=8)
def _verifier(policy: Policy) -> Verifier:
    from promptcot.verify.algebra import OptionalAlgebra

    return Verifier(policy, OptionalAlgebra())


def equal(reference: str, prediction: str, policy: Policy = Policy()) -> Equality:
    """As `Verifier.equal`, with a sandboxed algebra where this machine has one."""
    return _verifier(policy).equal(reference, prediction)
