"""Are two answers equal, and does a program pass its tests? Verdicts for labels, self-play and evaluation.

    from promptcot.verify import equal
    equal("1/2", r"so \\boxed{\\frac{2}{4}}")        # Equality.EQUAL

The way of an answer: completion -> `extraction` (the final answer's text) -> `grammar` (an expression) -> `reading` (a typed form
with a canonical key) -> `answers` (the verdict). Only what this cannot read goes to `algebra`: math-verify and sympy in a killable sandbox.
"""

from promptcot.verify.answers import Policy, Verifier, equal
from promptcot.verify.extraction import Fallback, final_answer

__all__ = ["Fallback", "Policy", "Verifier", "equal", "final_answer"]
