"""A benchmark's own check of a function, such as HumanEval's `check(candidate)`, without letting the candidate near it.

Run in one process, as the package does it, a program that ends it at once passes every check. Here the check runs in a sandbox of its own
on a stand-in, the candidate in another, called one input at a time. At a call whose value is not known yet the check stops and says what
it wants; then the candidate is asked, and the check begins again with one more value known. So only values cross, type by type.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from promptcot.sandbox import SandboxFault
from promptcot.sandbox.limits import Limits
from promptcot.sandbox.programs import Language, Program, Status
from promptcot.sandbox.runners import Local, Prepared, Runner
from promptcot.sandbox.values import NotEncodable, decode, encode
from promptcot.verify.plain import wrapped
from promptcot.verify.programs import Judgement

MOST_CALLS = 2_000
LONGEST = 1 << 16
"""Bytes of a value: they are hostile, and hashing members that collide takes time in the square of this."""
_LIMITS = Limits(cpu_s=10, wall_s=60)

_STAND_IN = """

class Wanted__(BaseException):
    pass

def replay__(check, name, known):
    import random
    random.seed(0)
    called = []
    def stand_in(*args, **named):
        called.append(None)
        if len(called) > len(known):
            raise Wanted__(args, named)
        return known[len(called) - 1]
    globals()[name] = stand_in
    try:
        exec(check, globals())
    except Wanted__ as wanted:
        return ("call", *wanted.args)
    except Exception as error:
        return ("failed", f"call {len(called)}: {error!r}"[:300])
    return ("passed", "")
"""


@dataclass(frozen=True)
class Check:
    """What a function must pass: Python text that calls `function`, run where the names of `starter` are defined."""

    text: str
    function: str
    starter: str = ""


@dataclass(frozen=True)
class Checked:
    """The judgement, seconds of CPU of the candidate, and what failed."""

    verdict: Judgement
    cpu_s: float
    detail: str = ""


def judge_check(source: str, check: Check, limits: Limits, runner: Runner | None = None) -> Checked:
    """Whether the function that a Python `source` defines passes. Values that are instances of built-in types' subclasses (a `Counter`)
    count as those types. Raises `MissingHere` without a sandbox."""
    runner = runner or Local()
    candidate = wrapped(source, check.function)
    trusted = Program(check.starter + _STAND_IN, Language.PYTHON, "replay__")
    with ExitStack() as stack:
        asked = stack.enter_context(runner.session(candidate, limits))
        judge = stack.enter_context(runner.session(trusted, _LIMITS))
        return _replayed(check, asked, judge)


def _replayed(check: Check, candidate: Prepared, judge: Prepared) -> Checked:
    known, so_far = list[Any](), Checked(Judgement.ACCEPTED, 0.0)
    while len(known) <= MOST_CALLS:
        try:
            word, *rest = _said(judge, check, known)
        except (SandboxFault, NotEncodable, ValueError) as error:
            return replace(so_far, verdict=Judgement.SANDBOX_ERROR, detail=str(error))
        if word != "call":
            return so_far if word == "passed" else replace(so_far, verdict=Judgement.WRONG_ANSWER, detail=str(rest[0]))
        ran = candidate.run(encode((rest[0], rest[1])))
        so_far = replace(so_far, cpu_s=so_far.cpu_s + ran.cpu_s)
        if ran.status is not Status.EXITED:
            return replace(so_far, verdict=Judgement(ran.status.value), detail=ran.stderr.decode(errors="replace")[-300:])
        try:
            known.append(decode(ran.value[: LONGEST + 1]))
        except (ValueError, RecursionError, TypeError):
            return replace(so_far, verdict=Judgement.WRONG_ANSWER, detail="the value is too long, or none of Python's plain types")
    return replace(so_far, verdict=Judgement.SANDBOX_ERROR, detail=f"more than {MOST_CALLS} calls")


def _said(judge: Prepared, check: Check, known: list[Any]) -> tuple[Any, ...]:
    ran = judge.run(encode(((check.text, check.function, known), {})))
    if ran.status is not Status.EXITED:
        raise SandboxFault(f"the check itself did not run: {ran.status}: {ran.stderr.decode(errors='replace')[-300:]}")
    value = decode(ran.value)
    assert isinstance(value, tuple)
    return value
