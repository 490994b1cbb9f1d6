"""The verdict on an attempt at a problem whose answer is known, by the table of the design: a fault of ours is nobody's wrong answer."""

from __future__ import annotations

from promptcot.outcomes import Equality, Finish, Verdict
from promptcot.sandbox import SandboxFault
from promptcot.verify.answers import Verifier

COUNTED = frozenset(Verdict) - {Verdict.VERIFIER_ERROR}
"""Verdicts in the denominator of a score."""

REJECTED = frozenset({Verdict.WRONG, Verdict.PROGRAM_ERROR, Verdict.PROGRAM_TIMEOUT})
"""Verdicts of attempts that are firmly wrong: those that preference training may show as rejected."""

_OF_EQUALITY = {Equality.EQUAL: Verdict.CORRECT, Equality.DIFFERENT: Verdict.WRONG, Equality.UNKNOWN: Verdict.UNDECIDED}


def of_answer(reference: str, completion: str, finish: Finish, verifier: Verifier) -> Verdict:
    """The verdict on a completion against a reference answer."""
    if finish is Finish.LENGTH:
        return Verdict.TRUNCATED
    if finish is Finish.ERROR:
        return Verdict.VERIFIER_ERROR
    given, wanted = verifier.read_completion(completion), verifier.read(reference)
    if wanted is None:
        return Verdict.VERIFIER_ERROR
    try:
        return Verdict.NO_ANSWER if given is None else _OF_EQUALITY[verifier.compare(wanted, given)]
    except SandboxFault:
        return Verdict.VERIFIER_ERROR
