"""LiveCodeBench's conventions, so that its scores are comparable: what programs find imported, and which outputs count as the same.

From its published grader: star imports stand before every program; returned tuples are lists, and values are compared by Python's `==`;
printed numbers by value. Its grader also insists on the line breaks of the output, which is not done here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from promptcot.errors import UsageError
from promptcot.sandbox.limits import Limits
from promptcot.sandbox.programs import Language, Program
from promptcot.sandbox.runners import Runner
from promptcot.verify.plain import loose, wrapped
from promptcot.verify.programs import Comparison, Judged, Test, judge

_STARRED = (
    *("string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random", "statistics", "itertools", "functools"),
    *("operator", "io", "sys", "json", "builtins", "typing"),
)
PRELUDE = (
    "\n".join(f"from {name} import *" for name in _STARRED)
    + "\n"
    + "\n".join(f"import {name}" for name in _STARRED)
    + "\nsys.setrecursionlimit(50000)\n"
)


def judge_solution(source: str, tests: Sequence[Test], function: str, limits: Limits, runner: Runner) -> Judged:
    """Judge a Python solution: a program, or with `function` the method of a class `Solution`. Stops at the first test that fails."""
    text = source if "from __future__" in source else PRELUDE + source
    if not function:
        program = Program(text, Language.PYTHON)
        return judge(program, tests, limits, comparison=Comparison(by_value=True), runner=runner, stop_early=True)
    cases = [Test([_value(line) for line in t.input.split("\n") if line.strip()], loose(_value(t.output))) for t in tests]
    return judge(wrapped(text, function, loose), cases, limits, runner=runner, stop_early=True)


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise UsageError(f"not JSON: {text[:80]}", where="a test of LiveCodeBench") from None
