"""A folder for the Hugging Face hub: a parquet file for each kind of row, and the card that says what they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

import promptcot.exporting.verl as verl
from promptcot.durable import aside, disk_errors, make_folder, publish
from promptcot.errors import UsageError
from promptcot.exporting.cards import data_card
from promptcot.exporting.facts import Facts
from promptcot.material import Material
from promptcot.records import Pair, Record, Trace
from promptcot.tables import to_table

HIDDEN = ("split", "chosen_ids", "rejected_ids")
"""Columns of ours that mean nothing outside a run."""


def write(material: Material, facts: Facts, folder: Path, left_out: dict[str, int]) -> dict[str, int]:
    """Write the folder; how many rows of what it holds."""
    tables = {
        "problems": _problems(material),
        "traces": _plain(material.traces, Trace),
        "pairs": _plain(material.pairs, Pair),
    }
    configs: dict[str, tuple[int, str]] = {}
    for name, table in tables.items():
        if table.num_rows:
            file = f"data/{name}/train-00000-of-00001.parquet"
            verl.write(folder / file, table)
            configs[name] = table.num_rows, file
    write_text(folder / "README.md", data_card(facts, material, configs, left_out))
    return {name: count for name, (count, _) in configs.items()}


def _problems(material: Material) -> pa.Table:
    """Problems with what is known of their answers beside them."""
    text, rows = pa.string(), []
    for p in material.problems:
        label = material.labels.get(p.id)
        known = ("answer", "tests", "status") if label else ()
        reached = {name: getattr(label, name) for name in known} | (
            {"label": label.kind, "label_license": label.license, "label_evidence": label.evidence} if label else {}
        )
        about = {"id": p.id, "domain": p.domain, "level": p.level, "concepts": list(p.concepts), "rationale": p.rationale}
        origin = {"generator": p.generator, "source": p.source, "license": p.license, "parents": list(p.parents)}
        rows.append({"problem": p.problem, **reached, **about, **origin})
    names = ("problem", "answer", "tests", "label", "status", "label_license", "label_evidence", "id", "domain", "level")
    more = [("concepts", pa.list_(text)), ("rationale", text), ("generator", text), ("source", text), ("license", text)]
    return pa.Table.from_pylist(rows, pa.schema([*((name, text) for name in names), *more, ("parents", pa.list_(text))]))


def _plain(rows: Sequence[Record], record: type[Record]) -> pa.Table:
    table = to_table(rows, record)
    return table.drop_columns([name for name in HIDDEN if name in table.column_names])


def require_empty(folder: Path) -> None:
    """Raise `UsageError` for a folder that holds something: what an earlier export left would pass for this one's."""
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UsageError("the folder is not empty", where=str(folder), remedy="choose a new --out folder")


def write_text(path: Path, text: str) -> None:
    """Write a text that appears only when it is whole."""
    make_folder(path.parent)
    with disk_errors(path):
        aside(path).write_text(text, encoding="utf-8")
    publish(aside(path), path)
