"""Tests of a program as others hand them in, and the program that is to pass them.

| form | from |
|---|---|
| `[{"input": ..., "output": ...}, ...]`, or `{"tests": [...]}` around it | ours |
| `{"inputs": [...], "outputs": [...], "fn_name"?}`, or in the singular | APPS, verl's code rewards, columns of a data set |

Each also as JSON text. With a function's name inputs are its arguments and outputs its value (`programs._arguments`); without one, texts on
stdin and stdout, and a list of texts is lines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptcot.errors import UsageError
from promptcot.sandbox.programs import Language, Program, guess
from promptcot.verify.programs import Test

_COLUMNS = (("inputs", "outputs"), ("input", "output"))
_REMEDY = '[{"input": "1", "output": "2"}, ...] or {"inputs": ["1", ...], "outputs": ["2", ...]}'


@dataclass(frozen=True)
class Tests:
    """One test at least, and the function that they call (`""`: the program is run on stdin)."""

    __test__ = False

    rows: tuple[Test, ...]
    function: str = ""


def read_tests(given: object, *, function: str = "", where: str = "tests") -> Tests:
    """The tests in any of the forms; `function` goes before a name that they bring. Raises `UsageError` naming the test."""
    value = _plain(given, where)
    named = function or (_name(value, where) if isinstance(value, Mapping) else "")
    rows = [_test(row, named, f"{where}, test {n}") for n, row in enumerate(_rows(value, where))]
    if not rows:
        raise UsageError("tests are a list of at least one", where=where, remedy=_REMEDY)
    return Tests(tuple(rows), named)


def given_tests(given: object) -> object | None:
    """What a field that holds either an answer or tests brings of tests: an object with one of the forms' keys or a list of objects, itself
    or as JSON text. None for an answer: a text or number."""
    value = _listed(given)
    if isinstance(given, str):
        if given.lstrip()[:1] not in ("{", "["):
            return None
        try:
            value = json.loads(given)
        except (ValueError, RecursionError):
            return None
    if isinstance(value, Mapping):
        return value if "tests" in value or any(set(pair) <= value.keys() for pair in _COLUMNS) else None
    rows = isinstance(value, Sequence) and not isinstance(value, str) and value
    return value if rows and all(isinstance(row, Mapping) and "input" in row for row in rows) else None


def program_of(source: str, *, language: str = "auto", function: str = "", suffix: str = "") -> Program:
    """A program in a named language; `auto` goes by a file's suffix, then by the text. Raises `UsageError`."""
    suffixes = {".py": Language.PYTHON, ".cpp": Language.CPP17, ".cc": Language.CPP17, ".cxx": Language.CPP17}
    if language == "auto":
        chosen = Language.PYTHON if function else suffixes.get(suffix) or guess(source)
    elif language in set(Language):
        chosen = Language(language)
    else:
        raise UsageError(f"unknown language `{language}`", where="language", remedy="auto, python or cpp17")
    if function and chosen is not Language.PYTHON:
        raise UsageError("functions are called in Python only", where="function")
    return Program(source, chosen, function)


def _plain(given: object, where: str) -> Any:
    """JSON text as its value, an array as its list."""
    if not isinstance(given, str | bytes):
        return _listed(given)
    try:
        return json.loads(given)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not JSON: {error}", where=where, remedy=_REMEDY) from None


def _listed(value: Any) -> Any:
    """Tables keep lists as arrays."""
    return value.tolist() if callable(getattr(value, "tolist", None)) else value


def _name(value: Mapping[str, Any], where: str) -> str:
    name = value.get("fn_name") or ""
    if value.get("assert_case"):
        raise UsageError("tests that are assertions (`assert_case`) cannot be run here", where=where, remedy=_REMEDY)
    if not isinstance(name, str):
        raise UsageError("`fn_name` is no text", where=where)
    return name


def _rows(value: Any, where: str) -> Sequence[Any]:
    """One object with `input` and `output` for each test."""
    if isinstance(value, Mapping) and "tests" in value:
        value = _plain(value["tests"], where)
    if isinstance(value, Mapping):
        return _columns(value, where)
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise UsageError(f"tests are a list, not {type(value).__name__}", where=where, remedy=_REMEDY)
    return value


def _columns(value: Mapping[str, Any], where: str) -> Sequence[Any]:
    for inputs, outputs in _COLUMNS:
        if {inputs, outputs} <= value.keys():
            given, wanted = _listed(value[inputs]), _listed(value[outputs])
            if not all(isinstance(column, Sequence) and not isinstance(column, str) for column in (given, wanted)):
                raise UsageError(f"`{inputs}` and `{outputs}` are lists", where=where, remedy=_REMEDY)
            if len(given) != len(wanted):
                raise UsageError(f"{len(given)} `{inputs}` and {len(wanted)} `{outputs}`", where=where)
            return [{"input": i, "output": o} for i, o in zip(given, wanted, strict=True)]
    raise UsageError("an object of tests has neither `tests` nor `inputs` and `outputs`", where=where, remedy=_REMEDY)


def _test(row: Any, function: str, where: str) -> Test:
    if not isinstance(row, Mapping) or not {"input", "output"} <= row.keys():
        raise UsageError("a test has no `input` or no `output`", where=where, remedy=_REMEDY)
    if function:
        return Test(row["input"], row["output"])
    return Test(_lines(row["input"]), _lines(row["output"]))


def _lines(value: Any) -> Any:
    whole = isinstance(value, list | tuple) and all(isinstance(line, str) for line in value)
    return "\n".join(value) if whole else value
