"""Plain JSONL: rows by line, with the file, line and key to blame for one that cannot be used."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from promptcot.durable import aside, disk_errors, make_folder, publish
from promptcot.errors import UsageError

Row = Mapping[str, Any]
Keys = Mapping[str, type | tuple[type, ...]]


def read_lines(path: Path, keys: Keys, check: Callable[[Row], str] = lambda row: "") -> Iterator[Row]:
    """The rows of a file, blank lines left out. `keys`: what a row must have, and of which type; a list is one of texts. `check` says what
    else is wrong with a row, "" for nothing.

    Raises `UsageError` naming file, line and key."""
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    row = _row(line, where := f"{path}, line {number}", keys)
                    if wrong := check(row):
                        raise UsageError(wrong, where=where)
                    yield row
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path)) from None
    except UnicodeDecodeError:
        raise UsageError("is not UTF-8", where=str(path)) from None


def _row(line: str, where: str, keys: Keys) -> Row:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UsageError(f"not JSON: {error}", where=where) from None
    if not isinstance(row, dict):
        raise UsageError("a row is a JSON object", where=where)
    for key, kind in keys.items():
        if key not in row:
            raise UsageError(f"the key `{key}` is missing", where=where, remedy=f"a row has the keys {', '.join(keys)}")
        if not isinstance(row[key], kind):
            names = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
            raise UsageError(f"`{key}` is {type(row[key]).__name__}, not {names}", where=where)
        if kind is list and not all(isinstance(item, str) for item in row[key]):
            raise UsageError(f"`{key}` holds something else than texts", where=where)
    return row


def read_text(path: Path) -> str:
    """A whole file. Raises `UsageError` where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path)) from None
    except UnicodeDecodeError:
        raise UsageError("is not UTF-8", where=str(path)) from None


def write_lines(path: Path, rows: Iterable[Row]) -> int:
    """Write rows to a file that appears only when it is whole (a device or pipe is written to as it is). Returns how many."""
    count, special = 0, path.exists() and not path.is_file()
    make_folder(path.parent)
    target = path if special else aside(path)
    with disk_errors(path), target.open("w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    if not special:
        publish(target, path)
    return count
