"""Runs inside the sandbox: two answers a line in, a verdict a line out, by math-verify both ways. Imports nothing of this package.

Its parsers evaluate what they read, which is why it runs nowhere else. A request may use `CPU_S` seconds; soon after the kernel ends the
process.
"""

import json
import logging
import os
import resource
import signal
import sys
from typing import Any

CPU_S = 2.0
EXACT = 50
"""Digits kept when numbers are compared: its default of 6 makes 1/2^99 equal 1/2^98."""


class OutOfTime(BaseException):
    """The request's seconds are used up; no `except Exception` of a library hides it."""


def main() -> None:
    """Serve until the pipe closes."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is no reply
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGPROF, _out_of_time)
    import math_verify

    replies.write("ready\n")
    replies.flush()
    for line in sys.stdin:
        request = json.loads(line)
        reply = answer(math_verify, request["a"], request["b"])
        replies.write(json.dumps({"id": request["id"], "verdict": reply}) + "\n")
        replies.flush()


def answer(library: Any, a: str, b: str) -> str:
    """`equal`, `different`, or `unknown` within the limits."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    last = int(used.ru_utime + used.ru_stime + CPU_S) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (last, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    try:
        return verdict(library, a, b)
    except (OutOfTime, MemoryError, RecursionError):
        return "unknown"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def verdict(library: Any, a: str, b: str) -> str:
    """Equal if math-verify says so both ways; different if it denies it and the values differ as numbers."""
    left, right = parsed(library, a), parsed(library, b)
    if left is None or right is None:
        return "unknown"
    exactly = {"float_rounding": EXACT, "numeric_precision": EXACT, "timeout_seconds": None}
    found = [library.verify(x, y, **exactly) for x, y in ((left, right), (right, left))]
    if all(found):
        return "equal"
    return "different" if not any(found) and _apart(left, right) else "unknown"


def parsed(library: Any, text: str) -> Any:
    """The first object that sympy understands, None where there is none but the text."""
    found = library.parse(f"${text}$", [library.LatexExtractionConfig()], fallback_mode="no_fallback", parsing_timeout=None)
    return next((item for item in found if not isinstance(item, str)), None)


def _apart(left: Any, right: Any) -> bool:
    """Whether two expressions are numbers that differ by more than rounding could."""
    import sympy

    if not (isinstance(left, sympy.Expr) and isinstance(right, sympy.Expr)) or left.free_symbols or right.free_symbols:
        return False
    try:
        gap, size = abs(sympy.N(left - right, 30)), abs(sympy.N(left, 30)) + abs(sympy.N(right, 30))
        return bool(gap.is_number and size.is_number and gap > size * sympy.Float("1e-12"))
    except (TypeError, ValueError, ArithmeticError):
        return False


def _out_of_time(*_: object) -> None:
    raise OutOfTime


if __name__ == "__main__":
    main()
