"""The data that the page loads when it is wanted: scripts beside it, since a page opened from a folder may not fetch.

    report/index.html
    report/data/rows-0000.1f0c2a9b.js      promptcot("rows-0000", "[...]")
    report/data/columns.77ab03c1.js        what every row is filtered and sorted by
    report/data/katex-0.19.1.js            typesets formulas, when a text holds one

A chunk is a call with two string literals, the second of them JSON that the page parses: nothing of it is run, and no key can reach an
object's prototype. It is ASCII without `<`, `>` and `&`. A name carries a hash of its content, so a page that is open while the report is
written anew keeps the data that it was written with.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from promptcot.reporting.data import PartRows, ProblemRow

ROWS = 250
"""Rows of a chunk: enough that scrolling loads few, small enough that opening one row does not wait."""
EXCERPT = 220
"""Characters of a text in a list."""


class Writer:
    """Writes chunks into `folder/data` and knows their names; `sweep` removes those of former reports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "data"
        self.names: dict[str, str] = {}

    def add(self, name: str, value: Any) -> None:
        """Write a chunk, whole or not at all."""
        self.put(name, f"promptcot({literal(name)},{literal(as_json(value))});\n")

    def put(self, name: str, script: str) -> None:
        """Write a script as it is."""
        raw = script.encode("utf-8")
        file = f"{name}.{hashlib.sha256(raw).hexdigest()[:8]}.js"
        write_whole(self.folder / file, raw)
        self.names[name] = f"data/{file}"

    def sweep(self) -> None:
        """Remove what this report does not name."""
        named = {Path(name).name for name in self.names.values()}
        for path in self.folder.glob("*.js") if self.folder.is_dir() else ():
            if path.name not in named:
                path.unlink()


def write_whole(path: Path, raw: bytes) -> None:
    """Write a file whole or not at all, and leave nothing behind where that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    try:
        with open(handle, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)  # gone already, unless something above failed


def literal(text: str) -> str:
    """A string literal for a script: ASCII, and without `<`, `>` and `&`."""
    return json.dumps(text).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def as_json(value: Any) -> str:
    """JSON, with `nan` and infinities as strings, which JSON has no numbers for."""
    return json.dumps(_finite(value), allow_nan=False, separators=(",", ":"))


def _finite(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case dict():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
        case _:
            return value


def rows(problems: Sequence[ProblemRow]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The rows, chunk by chunk."""
    for number, start in enumerate(range(0, len(problems), ROWS)):
        yield f"rows-{number:04d}", [asdict(row) for row in problems[start : start + ROWS]]


def columns(problems: Sequence[ProblemRow]) -> dict[str, Any]:
    """What rows are filtered and sorted by, column by column: names once, and every row by their places. None: not known."""
    scores = sorted({name for row in problems for name, value in row.scores.items() if isinstance(value, float | int)})
    return {
        "level": _coded([row.level] for row in problems),
        "concepts": _coded(dict.fromkeys(row.concepts) for row in problems),
        "status": _coded([row.dropped or "kept"] for row in problems),
        "label": _coded([row.label.status] if row.label else [] for row in problems),
        "verdict": _coded(dict.fromkeys(attempt.verdict for attempt in row.attempts if attempt.verdict) for row in problems),
        "numbers": {
            "pass rate": [row.pass_rate.value if row.pass_rate else None for row in problems],
            "problem length": [len(row.problem) for row in problems],
            **{name: [number if isinstance(number := row.scores.get(name), float | int) else None for row in problems] for name in scores},
        },
    }


def _coded(values: Iterable[Iterable[str]]) -> dict[str, Any]:
    places: dict[str, int] = {}
    of = [[places.setdefault(name, len(places)) for name in own] for own in values]
    return {"names": list(places), "of": of}


def parts(found: Sequence[PartRows], problems: Sequence[ProblemRow]) -> list[dict[str, Any]]:
    """What the parts of the flow picture list; `at` is the place of a row among the problems, where it is one of them."""
    places = {row.id: place for place, row in enumerate(problems)}
    return [
        {
            "rows": [{"id": row.id, "text": row.text, "detail": row.detail, "at": places.get(row.id)} for row in part.rows],
            "left": part.left_out,
            "command": part.command,
        }
        for part in found
    ]
