"""Rows out of files: JSON Lines (plain or gzip), JSON and parquet, alone or in a folder. A bad row is data; a bad file is an error."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import promptcot.seeds.champ as champ
from promptcot.errors import UsageError
from promptcot.seeds.rows import Raw, shortened

SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".parquet")


def read_path(path: Path) -> Iterator[Raw]:
    """The rows of a file, or of all data files under a folder in the order of their paths. Raises `UsageError`."""
    if not path.exists():
        raise UsageError("no such file or folder", where=str(path), remedy="check the path; it is taken from where you run")
    for file in _files(path):
        try:
            yield from _rows(file)
        except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
            raise UsageError(
                f"the file cannot be read: {error}", where=str(file), remedy="is it complete, and of the kind its name says?"
            ) from error


def _files(path: Path) -> list[Path]:
    if path.is_file():
        if not path.name.endswith(SUFFIXES):
            raise UsageError(f"no data file: `{path.name}`", where=str(path), remedy=f"name it by its kind: {' '.join(SUFFIXES)}")
        return [path]
    inside = (file for file in path.rglob("*") if file.is_file() and file.name.endswith(SUFFIXES))
    found = sorted(file for file in inside if not any(part.startswith(".") for part in file.relative_to(path).parts))
    if not found:
        raise UsageError("the folder holds no data", where=str(path), remedy=f"put files there: {' '.join(SUFFIXES)}")
    return found


def _rows(file: Path) -> Iterator[Raw]:
    if file.name.endswith(".parquet"):
        return _parquet(file)
    return _json(file) if file.name.endswith((".json", ".json.gz")) else _lines(file)


def _lines(file: Path) -> Iterator[Raw]:
    with gzip.open(file) if file.name.endswith(".gz") else file.open("rb") as lines:
        yield from parse_lines(lines, str(file))


def parse_lines(lines: Iterable[bytes], name: str) -> Iterator[Raw]:
    """The rows of JSON Lines; blank lines are no rows."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _line(line, f"{name}:{number}")


def _line(line: bytes, where: str) -> Raw:
    try:
        return Raw.of(where, json.loads(line.decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        why = f"not UTF-8 (byte {error.start})"
    except (ValueError, RecursionError) as error:
        why = f"not JSON ({error})"
    return Raw(where, None, shortened(line.decode("utf-8", "backslashreplace").strip()), why)


def _json(file: Path) -> Iterator[Raw]:
    raw = gzip.decompress(file.read_bytes()) if file.name.endswith(".gz") else file.read_bytes()
    try:
        document: Any = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not JSON: {error}", where=str(file), remedy="if it holds one object a line, name it .jsonl") from error
    rows = champ.joined(document) if champ.recognized(document) else document
    if not isinstance(rows, list):
        raise UsageError(
            "the file is not a list of objects", where=str(file), remedy="put the rows in a list, or one a line in a .jsonl file"
        )
    for number, row in enumerate(rows, 1):
        yield Raw.of(f"{file}:{number}", row)


def _parquet(file: Path) -> Iterator[Raw]:
    number = 0
    with pq.ParquetFile(file) as table:
        for batch in table.iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield Raw.of(f"{file}:{number}", row)
