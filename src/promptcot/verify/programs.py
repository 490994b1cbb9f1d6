"""Whether a program passes tests.

    judge(Program("print(int(input()) * 2)", Language.PYTHON), [Test("3", "6")], Limits()).verdict  ->  Judgement.ACCEPTED

Programs run in the sandbox, expected outputs stay here: the program sees inputs, one at a time, and what it printed is compared outside.
With a function in place of stdin and stdout, arguments and result travel as data and are compared type by type (`sandbox.values`). A
checker, for problems with several right outputs, is a program itself and runs in a second sandbox, when the candidate has given its output.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from promptcot.errors import UsageError
from promptcot.outcomes import Verdict
from promptcot.sandbox.limits import Limits
from promptcot.sandbox.programs import Program, Ran, Status
from promptcot.sandbox.runners import Local, Prepared, Runner
from promptcot.sandbox.values import NotEncodable, encode, same
from promptcot.verify.outputs import same_output


class Judgement(StrEnum):
    """What became of a program on a test, or on all: then that of the first test that was not accepted."""

    ACCEPTED = "accepted"
    WRONG_ANSWER = "wrong_answer"
    RUNTIME_ERROR = "runtime_error"
    TIME_LIMIT = "time_limit"
    MEMORY_LIMIT = "memory_limit"
    OUTPUT_LIMIT = "output_limit"
    COMPILE_ERROR = "compile_error"
    SANDBOX_ERROR = "sandbox_error"  # ours, so it counts neither way


OF_ATTEMPTS = {
    Judgement.ACCEPTED: Verdict.CORRECT,
    Judgement.WRONG_ANSWER: Verdict.WRONG,
    Judgement.RUNTIME_ERROR: Verdict.PROGRAM_ERROR,
    Judgement.MEMORY_LIMIT: Verdict.PROGRAM_ERROR,
    Judgement.OUTPUT_LIMIT: Verdict.PROGRAM_ERROR,
    Judgement.COMPILE_ERROR: Verdict.PROGRAM_ERROR,
    Judgement.TIME_LIMIT: Verdict.PROGRAM_TIMEOUT,
    Judgement.SANDBOX_ERROR: Verdict.VERIFIER_ERROR,
}
"""A judgement as the verdict on an attempt."""


@dataclass(frozen=True)
class Test:
    """What a program is given and what is expected: text, or for functions any JSON value (see `_arguments`)."""

    __test__ = False

    input: Any
    output: Any


@dataclass(frozen=True)
class Tested:
    """One test's judgement, with seconds of CPU and by the clock. `said` is the end of stderr, for people."""

    index: int
    verdict: Judgement
    cpu_s: float
    wall_s: float
    said: str = ""


@dataclass(frozen=True)
class Judged:
    """A program's judgement over its tests."""

    verdict: Judgement
    tests: tuple[Tested, ...]
    sandbox: str


_CHECKER = Limits(cpu_s=10, wall_s=30)


@dataclass(frozen=True)
class Comparison:
    """How outputs are compared. `tolerance` is for floats, absolute or relative; `by_value`: numbers that are printed differently are the
    same. A `checker` reads a JSON object {"input", "output",
    "expected"} of texts on stdin, and says by its exit code whether the output is right: 0 yes, 1 no, anything else that it failed."""

    tolerance: float = 0.0
    by_value: bool = False
    checker: Program | None = None
    checker_limits: Limits = _CHECKER


def judge(
    program: Program,
    tests: Sequence[Test],
    limits: Limits,
    *,
    comparison: Comparison = Comparison(),
    runner: Runner | None = None,
    stop_early: bool = False,
) -> Judged:
    """Run a program on tests and compare. `stop_early`: no further test after the first that is not accepted.

    Raises `UsageError` for tests that cannot be given, `MissingHere` without a sandbox."""
    prepared = [(_given(test, program), _expected(test, program)) for test in tests]
    if not prepared:
        raise UsageError("no tests", remedy='tests are a list of {"input": ..., "output": ...}')
    runner = runner or Local()
    tested = list[Tested]()
    with ExitStack() as stack:
        candidate = stack.enter_context(runner.session(program, limits))
        checker = None
        if comparison.checker is not None:
            checker = stack.enter_context(runner.session(comparison.checker, comparison.checker_limits))
        for index, (given, expected) in enumerate(prepared):
            ran = candidate.run(given)
            verdict = _verdict(ran, given, expected, program, comparison, checker)
            tested.append(Tested(index, verdict, ran.cpu_s, ran.wall_s, ran.stderr.decode(errors="replace")))
            if stop_early and verdict is not Judgement.ACCEPTED:
                break
    verdict = next((test.verdict for test in tested if test.verdict is not Judgement.ACCEPTED), Judgement.ACCEPTED)
    return Judged(verdict, tuple(tested), runner.kind)


def _verdict(ran: Ran, given: bytes, expected: bytes, program: Program, comparison: Comparison, checker: Prepared | None) -> Judgement:
    if ran.status is not Status.EXITED:
        return Judgement(ran.status.value)
    if program.function:
        return _answered(same(expected, ran.value, comparison.tolerance))
    if checker is not None:
        return _checked(checker, given, expected, ran.stdout)
    return _answered(same_output(expected, ran.stdout, comparison.tolerance, by_value=comparison.by_value))


def _checked(checker: Prepared, given: bytes, expected: bytes, output: bytes) -> Judgement:
    shown = {"input": given, "output": output, "expected": expected}
    said = checker.run(json.dumps({name: text.decode(errors="replace") for name, text in shown.items()}).encode())
    if said.status is Status.EXITED:
        return Judgement.ACCEPTED
    wrong = said.status is Status.RUNTIME_ERROR and said.code == 1 and b"Traceback (most recent call last)" not in said.stderr
    return Judgement.WRONG_ANSWER if wrong else Judgement.SANDBOX_ERROR


def _answered(right: bool) -> Judgement:
    return Judgement.ACCEPTED if right else Judgement.WRONG_ANSWER


def _given(test: Test, program: Program) -> bytes:
    if program.function:
        return _encoded(_arguments(test.input), "input")
    return _text(test.input, "input")


def _expected(test: Test, program: Program) -> bytes:
    if not program.function:
        return _text(test.output, "output")
    as_text = isinstance(test.input, str) and isinstance(test.output, str)
    return _encoded(_parsed(test.output) if as_text else test.output, "output")


def _arguments(given: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Of a call: a list is positional arguments, an object named ones, a text one JSON value a line (then `output` is JSON, too)."""
    if isinstance(given, str):
        return tuple(_parsed(line) for line in given.split("\n") if line.strip()), {}
    if isinstance(given, dict):
        return (), given
    if isinstance(given, list | tuple):
        return tuple(given), {}
    raise UsageError("a function's input is neither a list, an object nor a text", where="input")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise UsageError(f"not JSON: {text[:80]}", where="a function's test", remedy="write values as JSON, one argument a line") from None


def _text(value: Any, where: str) -> bytes:
    if not isinstance(value, str):
        raise UsageError(f"a test's {where} is not a text", where=where, remedy="for a function's tests, name it with --function")
    return value.encode("utf-8", "surrogatepass")


def _encoded(value: Any, where: str) -> bytes:
    try:
        data = encode(value)
    except NotEncodable as error:
        raise UsageError(f"a test's {where} is {error}", where=where) from None
    return data
