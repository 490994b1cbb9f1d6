"""A row of a file or of the hub as a question: our own fields, and the published ones of the benchmarks known by name."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from promptcot.outcomes import Grading
from promptcot.records import Question, content_hash, record_id
from promptcot.seeds.rows import BadRow, Row, encodable, named

FIELDS = {
    "name": ("id", "task_id", "question_id", "problem_id", "unique_id", "problem_idx"),
    "problem": ("problem", "question", "question_content"),
    "answer": ("answer",),
    "date": ("date", "contest_date"),
    "contest": ("contest", "contest_id"),
    "starter": ("starter", "starter_code"),
    "rating": ("rating",),
    "function": ("function",),
}
"""Our name -> theirs: the first that a row has."""


@dataclass(frozen=True, slots=True)
class Form:
    """What is the same for all questions of a benchmark. `grading` is that of rows with an answer."""

    benchmark: str
    source: str
    domain: str = "math"
    license: str = ""
    grading: Grading = Grading.ANSWER
    statements: bool = False


def view(data: Mapping[str, Any]) -> Row:
    """The row under our names."""
    theirs = {ours: next((name for name in names if data.get(name) is not None), names[0]) for ours, names in FIELDS.items()}
    return Row({**data, **{ours: data.get(name) for ours, name in theirs.items()}}, theirs)


def question(data: Mapping[str, Any], form: Form) -> Question:
    """A row of ours, with `answer` or `tests`, or with neither where only statements are expected. Raises `BadRow`."""
    row = view(data)
    if data.get("tests") is not None:
        function = row.maybe("function") or ""
        return made(row, form, Grading.TESTS, as_json(checked(data["tests"], function)), function=function)
    if data.get("examples") is not None and data.get("description") is not None:
        return _code_elo(data, form)
    if form.statements:
        return made(row, form, Grading.NONE)
    answer = row.scalar("answer")
    if answer is None:
        raise row.bad("answer", "missing, and so is `tests`")
    if form.grading is Grading.INTEGER:
        return made(row, form, Grading.INTEGER, _integer(row, answer))
    final = answer.rpartition("####")[2].strip()  # GSM8K's solution is written before it
    if not final:
        raise row.bad("answer", "nothing after the last ####")
    return made(row, form, form.grading, final)


def made(row: Row, form: Form, grading: Grading, reference: str = "", *, problem: str = "", function: str = "") -> Question:
    """A question of a row's common fields. Its id depends on benchmark, name and problem: it is the same with and without tests."""
    problem = problem or row.text("problem")
    name = row.scalar("name") or content_hash(problem)[:12]
    if not encodable(reference):
        raise BadRow("tests", "half of a surrogate pair: not Unicode text")
    return Question(
        id=record_id("question", content=f"{form.benchmark}\n{name}\n{content_hash(problem)}"),
        domain="code" if grading in (Grading.TESTS, Grading.LIVECODEBENCH, Grading.CHECK) else form.domain,
        source=form.source,
        license=form.license,
        benchmark=form.benchmark,
        name=name,
        problem=problem,
        grading=grading.value,
        reference=reference,
        function=function,
        starter=_starter(row),
        date=date_of(row),
        contest=row.scalar("contest") or "",
        rating=None if row.values.get("rating") is None else row.number("rating"),
    )


def checked(value: Any, function: str, key: str = "tests") -> list[dict[str, Any]]:
    """Checked tests: {"input", "output"}, both texts, or any JSON value where a function is called. Raises `BadRow`."""
    if not isinstance(value, list) or not value:
        raise BadRow(key, f'a list of {{"input", "output"}} is wanted, this is {"an empty list" if value == [] else named(value)}')
    for item in value:
        if not isinstance(item, Mapping) or not {"input", "output"} <= item.keys():
            raise BadRow(key, "every test needs `input` and `output`")
        if not function and not (isinstance(item["input"], str) and isinstance(item["output"], str)):
            raise BadRow(key, "a test's `input` and `output` are texts, unless the row names a `function`")
    return [{"input": item["input"], "output": item["output"]} for item in value]


def as_json(given: list[dict[str, Any]]) -> str:
    """Tests as a reference: equal tests give equal text."""
    return json.dumps(given, ensure_ascii=False, sort_keys=True)


def date_of(row: Row) -> str:
    """The contest's day in ISO form, empty where there is none. Raises `BadRow`."""
    value = row.values.get("date")
    if isinstance(value, datetime.date):  # the hub's reader finds times by itself
        return value.isoformat()[:10]
    text = (row.maybe("date") or "")[:10]
    try:
        return text and datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        raise row.bad("date", f"`{text}` is no date like 2024-08-03") from None


def _starter(row: Row) -> str:
    value = row.values.get("starter")
    return value if isinstance(value, str) and value.strip() else ""


_INTEGER = re.compile(r"\s*\$?\s*([+-]?\d{1,9})\s*(?:\^\s*(?:\\circ|\{\s*\\circ\s*\})|°)?\s*\$?\s*")


def _integer(row: Row, answer: str) -> str:
    """The integer's plain form: `070` is 70. A degree sign, which some copies keep, goes."""
    found = _INTEGER.fullmatch(answer)
    if found is None:
        raise row.bad("answer", f"`{answer[:40]}` is no integer")
    return str(int(found[1]))


def _code_elo(data: Mapping[str, Any], form: Form) -> Question:
    """Published fields of CodeElo: the statement in parts, sample tests as pairs, the contest's number in the problem's."""
    row = view({**data, "contest": re.sub(r"\D.*", "", str(data.get("problem_id", "")))})
    given = [
        {"input": pair[0], "output": pair[1]} if isinstance(pair, list | tuple) and len(pair) == 2 else pair for pair in data["examples"]
    ]
    headings = (("", "description"), ("Input", "input"), ("Output", "output"), ("Interaction", "interaction"))
    parts = [f"{title}\n\n{text}" if title else text for title, key in headings if (text := row.maybe(key))]
    return made(row, form, Grading.TESTS, as_json(checked(given, "", "examples")), problem="\n\n".join(parts))
