"""LiveCodeBench's published rows: statements, public and hidden tests, and for some the method of `class Solution` that is called.

Tests of type `stdin` give and expect texts. Those of type `functional` call a method: `input` is one JSON value a line, an argument each,
`output` one JSON value; `Question.function` is the method's name, `Question.starter` the class to go on from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from promptcot.evaluation.benchmarks.mapping import Form, as_json, checked, made, view
from promptcot.evaluation.benchmarks.private_tests import json_text
from promptcot.outcomes import Grading
from promptcot.records import Question
from promptcot.seeds.rows import BadRow, named

FUNCTIONAL = "functional"


def published(data: Mapping[str, Any]) -> bool:
    """Whether a row has the published fields."""
    return "question_content" in data and "public_test_cases" in data


def question(data: Mapping[str, Any], form: Form) -> Question:
    """A published row; public tests come first. Raises `BadRow`."""
    public = _cases(data, "public_test_cases")
    hidden = _cases(data, "private_test_cases")
    kinds = {case.get("testtype") for case in (*public, *hidden) if isinstance(case, Mapping)}
    if not kinds <= {"stdin", FUNCTIONAL} or len(kinds) != 1:
        raise BadRow("public_test_cases", f"all tests have the `testtype` stdin or functional; these: {_listed(kinds)}")
    function = _function(data) if kinds == {FUNCTIONAL} else ""
    given = [*checked(public, "", "public_test_cases"), *(checked(hidden, "", "private_test_cases") if hidden else ())]
    return made(view(data), form, Grading.LIVECODEBENCH, as_json(given), function=function)


def _cases(data: Mapping[str, Any], key: str) -> list[Any]:
    cell = data.get(key)
    if cell is None or cell == "":
        raise BadRow(key, "missing; a file of statements alone has neither kind of tests")
    if isinstance(cell, str):
        cell = _json(json_text(cell, key) if key == "private_test_cases" else cell, key)
    if not isinstance(cell, list):
        raise BadRow(key, f"a list of tests is wanted, this is {named(cell)}")
    return cell


def _function(data: Mapping[str, Any]) -> str:
    metadata = data.get("metadata")
    known = _json(metadata, "metadata") if isinstance(metadata, str) else metadata
    name = known.get("func_name") if isinstance(known, Mapping) else None
    if not isinstance(name, str) or not name.isidentifier():
        raise BadRow("metadata", "functional tests need the method's name, `func_name`")
    return name


def _json(text: str, key: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRow(key, f"not JSON: {error}") from None


def _listed(kinds: set[Any]) -> str:
    return ", ".join(sorted(map(str, kinds))) or "none"
