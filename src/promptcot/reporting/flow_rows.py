"""The rows behind each part of the flow picture: of every stage the first that went on, and of every reason the first that were dropped."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from promptcot.reporting.data import PartRow, PartRows
from promptcot.reporting.run_tables import RunTables

SHOWN = 200
"""Rows of a part that the page holds."""
LONGEST = 1_200
"""Characters of a row's text."""
TEXTS = ("problem", "completion", "prompt", "answer", "text", "rationale")
"""Where the text of a row is, the first that it has."""


def parts(tables: RunTables, steps: Sequence[str]) -> tuple[PartRows, ...]:
    """For every finished one of the steps: what it passed on, and what it dropped, by reason."""
    return tuple(part for step in steps for part in _of(tables, step))


def _of(tables: RunTables, step: str) -> Iterator[PartRows]:
    manifest = tables.manifest(step)
    if manifest is None:
        return
    command = f"promptcot rows {shlex.quote(tables.run.path.name)} {step}"
    if manifest.rows_out:
        kept = tuple(_part(row) for row in _first(tables, step, "part", None))
        yield PartRows(stage=step, rows=kept, left_out=manifest.rows_out - len(kept), command=f"{command} -n {manifest.rows_out}")
    for reason, n in manifest.dropped.items():
        lost = tuple(_dropped(row) for row in _first(tables, step, "dropped", reason))
        yield PartRows(stage=step, reason=reason, rows=lost, left_out=n - len(lost), command=f"{command} --dropped {reason} -n {n}")


def _first(tables: RunTables, step: str, kind: str, reason: str | None) -> Iterator[Mapping[str, Any]]:
    left = SHOWN
    for path in tables.files(step, kind):
        wanted = None if reason is None else pc.field("reason") == reason
        rows = pq.read_table(path, filters=wanted).slice(0, left).to_pylist()
        yield from rows
        left -= len(rows)
        if not left:
            return


def _part(row: Mapping[str, Any]) -> PartRow:
    return PartRow(row["id"], _text(row))


def _dropped(row: Mapping[str, Any]) -> PartRow:
    try:
        content = json.loads(row["content"] or "{}")
    except ValueError:
        content = row["content"]
    text = _text(content) if isinstance(content, dict) else str(content)
    return PartRow(row["id"], text[:LONGEST], row["detail"])


def _text(row: Mapping[str, Any]) -> str:
    """What a person would call the row's text; of a concept set its concepts."""
    found = next((str(row[name]) for name in TEXTS if row.get(name)), "")
    if not found and row.get("concepts"):
        found = ", ".join(map(str, row["concepts"]))
    return found[:LONGEST]
