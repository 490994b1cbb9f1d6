"""A benchmark by its name: found, mapped, cut to a window of contest dates, counted, and then chosen from."""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import promptcot.evaluation.benchmarks.human_eval as human_eval
import promptcot.evaluation.benchmarks.livecodebench as livecodebench
import promptcot.evaluation.benchmarks.mapping as mapping
import promptcot.evaluation.benchmarks.procedural as procedural
from promptcot.errors import UsageError
from promptcot.evaluation.benchmarks.benchmark import Benchmark, Gathered, gather
from promptcot.evaluation.benchmarks.catalog import CATALOG, MATH, PROGRAMS, Entry
from promptcot.evaluation.benchmarks.finding import SUFFIXES, Found, find
from promptcot.evaluation.benchmarks.mapping import Form
from promptcot.outcomes import Grading
from promptcot.outside import locate
from promptcot.records import Question
from promptcot.seeds.files import read_path
from promptcot.seeds.rows import BadRow, Raw

Window = tuple[str, str]
_DIFFERS = "content differs from the copy known here"

Mapper = Callable[[Mapping[str, Any]], Question]


def names() -> tuple[str, ...]:
    """The benchmarks known by name."""
    return (*CATALOG, human_eval.NAME)


def sizes() -> dict[str, int]:
    """How many questions the benchmarks known by name have."""
    return {entry.name: entry.size for entry in CATALOG.values()} | {human_eval.NAME: human_eval.SIZE}


def described() -> list[str]:
    """A line for each of `names`: how many questions, the files looked for below the data folder, the data set of the hub."""
    lines = [
        f"{entry.name:<12} {entry.size:>5} questions   {', '.join(entry.files + entry.statements)}   else {entry.hub}"
        for entry in CATALOG.values()
    ]
    return [*lines, f"{human_eval.NAME:<12} {human_eval.SIZE:>5} questions   from the package human-eval"]


def load(name: str, *, rows: int | None = None, window: Window | None = None, seed: int = 0, domain: str = "math") -> Benchmark:
    """A benchmark: one of `names()`, `reasoning-gym:TASK?key=value&...`, or the path of a JSONL file.

    `rows`: so many questions, chosen by hash of (`seed`, id), whatever their order; of a procedural task so many instances, 100 by
    default, which follow from `seed`. `window`: contest dates (ISO) from the first on and before the second, in place of the
    benchmark's own. `domain` is that of a file with answers or of a procedural task.

    Raises `UsageError` (naming file, line and field) for what is not as expected, a wrong number of questions included, and `MissingHere`,
    saying what to put where, for a benchmark that is neither in a file nor on the hub."""
    if rows is not None and rows < 1:
        raise UsageError(f"{rows} rows cannot be chosen", where=name, remedy="at least 1")
    _check(window, name)
    if name.startswith(procedural.SCHEME):
        if window:
            raise UsageError("a procedural task has no contest dates", where=name, remedy="leave the window out")
        return procedural.generated(name, rows, seed, domain)
    if name == human_eval.NAME:
        return _human_eval(rows, window, seed)
    if name in CATALOG:
        return _known(CATALOG[name], rows, window, seed)
    return _file(name, rows, window, seed, domain)


def _known(entry: Entry, rows: int | None, window: Window | None, seed: int) -> Benchmark:
    cut = window or entry.window
    found = find(entry, cut)
    form = Form(entry.name, found.source, entry.domain, entry.license, entry.grading, found.statements)
    gathered = gather(_questions(found.rows, _mapper(form), cut, entry.fields), rows, seed)
    if window is None:
        _count(gathered.total, entry.size, found.where, entry.remark)
    _some(gathered, found.where, window)
    notes = [f"contests from {cut[0]} to before {cut[1]}"] if cut else []
    known = entry.known_statements if found.statements else entry.known
    if known and window is None and gathered.digest not in known:
        notes.append(_DIFFERS)
    if any(question.grading == Grading.NONE for question in gathered.questions):
        notes.append("statements only: cannot be graded")
    elif entry.remark:
        notes.append(entry.remark)
    return _benchmark(entry.name, gathered, found.source, notes)


def _human_eval(rows: int | None, window: Window | None, seed: int) -> Benchmark:
    source = human_eval.source()
    found = Found(human_eval.rows(), source, human_eval.NAME)
    gathered = gather(_questions(found.rows, lambda data: human_eval.question(data, source), window, human_eval.FIELDS), rows, seed)
    _count(gathered.total, human_eval.SIZE, source, "")
    return _benchmark(human_eval.NAME, gathered, source, [] if gathered.digest == human_eval.KNOWN else [_DIFFERS])


def _file(name: str, rows: int | None, window: Window | None, seed: int, domain: str) -> Benchmark:
    path = locate(name)
    if not path.is_file():
        near = difflib.get_close_matches(name, names(), n=3) or names()
        raise UsageError(
            f"no benchmark and no file is called `{name}`",
            where=name,
            remedy=f"{', '.join(near)}, {procedural.SCHEME}TASK, or the path of a file ({' '.join(SUFFIXES)})",
        )
    form = Form(_stem(path), path.name, domain)
    gathered = gather(_questions(read_path(path), _mapper(form), window, f"{MATH}; or {PROGRAMS}"), rows, seed)
    _some(gathered, str(path), window)
    return _benchmark(form.benchmark, gathered, path.name, [f"contests from {window[0]} to before {window[1]}"] if window else [])


def _benchmark(name: str, gathered: Gathered, source: str, notes: list[str]) -> Benchmark:
    if len(gathered.questions) < gathered.total:
        notes = [f"{len(gathered.questions)} of {gathered.total} questions", *notes]
    return Benchmark(name, gathered.questions, source, gathered.digest, "; ".join(notes))


def _mapper(form: Form) -> Mapper:
    def mapped(data: Mapping[str, Any]) -> Question:
        if livecodebench.published(data):
            return livecodebench.question(data, form)
        return mapping.question(data, form)

    return mapped


def _questions(rows: Iterator[Raw], mapped: Mapper, window: Window | None, fields: str) -> Iterator[Question]:
    """Questions in the window; the others' tests are not looked at. Raises `UsageError` for a doubled name and what is no question."""
    seen = set[str]()
    for raw in rows:
        if raw.data is None:
            raise UsageError(raw.why, where=raw.where, remedy=f"a row has {fields}")
        try:
            if window and not window[0] <= _dated(raw.data) < window[1]:
                continue
            question = mapped(raw.data)
        except BadRow as error:
            raise UsageError(f"`{error.key}`: {error.why}", where=raw.where, remedy=f"a row has {fields}") from None
        if question.name in seen:
            raise UsageError(f"a second row is called `{question.name}`", where=raw.where, remedy="give every row an id of its own")
        seen.add(question.name)
        yield question


def _dated(data: Mapping[str, Any]) -> str:
    row = mapping.view(data)
    date = mapping.date_of(row)
    if not date:
        raise row.bad("date", "missing, and a window of contest dates is wanted")
    return date


def _count(found: int, expected: int, where: str, remark: str) -> None:
    if found != expected:
        raise UsageError(
            f"{found} questions, where {expected} are expected",
            where=where,
            remedy=f"complete the file{f' ({remark})' if remark else ''}, or give another name to a benchmark of your own",
        )


def _some(gathered: Gathered, where: str, window: Window | None) -> None:
    if not gathered.total:
        raise UsageError("no question" + (f" from {window[0]} to before {window[1]}" if window else ""), where=where)


def _check(window: Window | None, name: str) -> None:
    if window is None:
        return
    try:
        first, last = (datetime.date.fromisoformat(day).isoformat() for day in window)
    except ValueError as error:
        raise UsageError(f"a window is two dates: {error}", where=name, remedy="like 2024-08-01 and 2025-02-01") from None
    if not (first, last) == tuple(window) or first >= last:
        raise UsageError(
            f"the window from {window[0]} to before {window[1]} holds no day", where=name, remedy="like 2024-08-01, 2025-02-01"
        )


def _stem(path: Path) -> str:
    return next((path.name.removesuffix(suffix) for suffix in SUFFIXES if path.name.endswith(suffix)), path.stem)
