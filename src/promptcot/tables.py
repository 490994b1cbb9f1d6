"""Records to parquet and back: the columns of a table are the fields of its dataclass, nothing more."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import typing
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from promptcot.errors import UsageError
from promptcot.outcomes import Drop
from promptcot.records import Dropped, Record, inherited, record_id

R = TypeVar("R", bound=Record)

_SCALARS = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def schema_of(record: type[Record]) -> pa.Schema:
    """The Arrow schema of a record class: `str | None` is a nullable string, `tuple[int, ...]` a list of int64."""
    hints = typing.get_type_hints(record)
    return pa.schema([_field(f.name, hints[f.name]) for f in dataclasses.fields(record)])


def _field(name: str, hint: Any) -> pa.Field:
    if typing.get_origin(hint) is UnionType:
        inner = next(arg for arg in typing.get_args(hint) if arg is not NoneType)
        return pa.field(name, _SCALARS[inner], nullable=True)
    if typing.get_origin(hint) is tuple:
        return pa.field(name, pa.list_(_SCALARS[typing.get_args(hint)[0]]), nullable=False)
    return pa.field(name, _SCALARS[hint], nullable=False)


def to_table(rows: Iterable[Record], record: type[Record]) -> pa.Table:
    """A table of the rows, columns in field order."""
    return pa.Table.from_pylist([as_dict(row) for row in rows], schema=schema_of(record))


def from_table(table: pa.Table, record: type[R]) -> list[R]:
    """The rows of a table. Lists come back as tuples."""
    lists = [f.name for f in table.schema if pa.types.is_list(f.type)]
    rows = table.to_pylist()
    for row in rows:
        for name in lists:
            row[name] = tuple(row[name])
    return [record(**row) for row in rows]


def as_dict(row: Record) -> dict[str, Any]:
    """The fields of a row; shallow, since records are flat."""
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


def to_json(row: Record) -> str:
    """A row as one line of JSON."""
    return json.dumps(as_dict(row), ensure_ascii=False)


def write_parquet(rows: Sequence[Record], record: type[Record], path: Path) -> None:
    """Write zstd-compressed parquet with page checksums. The same rows give the same bytes."""
    pq.write_table(to_table(rows, record), path, compression="zstd", write_page_checksum=True)


def read_parquet(paths: Sequence[Path], record: type[Record]) -> pa.Table:
    """Read and concatenate files, checking page checksums. Raises `UsageError` naming a damaged file."""
    tables = [_read(path, schema_of(record)) for path in paths]
    return pa.concat_tables(tables) if tables else schema_of(record).empty_table()


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    try:
        return pq.read_table(path, schema=schema, page_checksum_verification=True)
    except (OSError, pa.ArrowInvalid) as error:
        raise UsageError(f"cannot read: {error}", where=str(path), remedy="restore the file, or run again for how to redo it") from error


def dropped(row: Record, reason: Drop, detail: str) -> Dropped:
    """A row that leaves the flow, whole."""
    identity = record_id("dropped", (row.id,), 0, f"{reason} {detail}")
    return Dropped(id=identity, parents=(row.id,), reason=reason, detail=detail, content=to_json(row), **inherited(row))


def digest_of(rows: Iterable[Record]) -> str:
    """What stands for rows in a step's key: 32 hex digits of the sha256 of their JSON, one after another."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(to_json(row).encode(errors="surrogatepass"))
    return digest.hexdigest()[:32]
