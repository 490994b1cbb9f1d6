"""Values of a function as plain data: what a subclass of a built-in type holds counts, not what it says of itself.

`plain` runs where the candidate runs, as the last thing there, so it may lie about its own value alone. It is copied as text: `wrapped`
gives a program whose function returns plain values.
"""

from __future__ import annotations

import inspect
from typing import Any

from promptcot.sandbox.programs import Language, Program

CALLED = "called__"


def plain(value: Any) -> Any:
    """The value with every instance of a built-in type's subclass (a `Counter`) as that type."""
    for kind in (bool, int, float, str, bytes):
        if isinstance(value, kind):
            return kind(value)  # type: ignore[arg-type]
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    for many in (list, tuple, set, frozenset):
        if isinstance(value, many):
            return many(plain(item) for item in value)
    return value


def loose(value: Any) -> Any:
    """As `plain`, and with values alike that Python's `==` and JSON call equal: tuples are lists, True is 1, 1.0 is 1."""
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() else float(value)
    if isinstance(value, str | bytes):
        return str(value) if isinstance(value, str) else bytes(value)
    if isinstance(value, dict):
        return {loose(key): loose(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [loose(item) for item in value]
    if isinstance(value, set | frozenset):
        return {loose(item) for item in value}
    return value


_CALL = """

def called__(*args, **named):
    scope = globals()
    function = getattr(scope["Solution"](), "FUNCTION") if "Solution" in scope else scope["FUNCTION"]
    return AS(function(*args, **named))
"""


def wrapped(source: str, function: str, form: Any = plain) -> Program:
    """The program with `CALLED` to call: the function, or the method of its class `Solution`, its value in a form (`plain` or `loose`)."""
    call = _CALL.replace("FUNCTION", function).replace("AS", form.__name__)
    return Program(f"{source}\n\n\n{_untyped(inspect.getsource(form))}{call}", Language.PYTHON, CALLED)


def _untyped(text: str) -> str:
    return text.replace("(value: Any) -> Any", "(value)")
