"""Rows for verl, as a parquet file with the columns that its `RLHFDataset` and reward managers read.

`data_source` is `promptcot/math` or `promptcot/code`, which no reward of verl's own is registered for: use
`reward.custom_reward_function.path=pkg://promptcot.rewards.verl`. `ground_truth` is an answer, or JSON `{"inputs", "outputs"}` as
`prime_code` takes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from promptcot.attempts import of_problem
from promptcot.durable import aside, disk_errors, make_folder, publish
from promptcot.licenses import combined
from promptcot.material import Material
from promptcot.records import Label

_TEXT = pa.string()
SCHEMA = pa.schema(
    [
        ("data_source", _TEXT),
        ("prompt", pa.list_(pa.struct([("role", _TEXT), ("content", _TEXT)]))),
        ("ability", _TEXT),
        ("reward_model", pa.struct([("style", _TEXT), ("ground_truth", _TEXT)])),
        (
            "extra_info",
            pa.struct([("index", pa.int64()), *((name, _TEXT) for name in ("split", "id", "level", "source", "license"))]),
        ),
    ]
)


def rows(material: Material) -> Iterator[dict[str, Any]]:
    """The labeled problems."""
    for index, (problem, label) in enumerate(material.labeled):
        license = combined(problem.license, label.license)
        facts = {"id": problem.id, "level": problem.level, "source": problem.source}
        yield {
            "data_source": f"promptcot/{problem.domain}",
            "prompt": [{"role": "user", "content": of_problem(problem)}],
            "ability": problem.domain,
            "reward_model": {"style": "rule", "ground_truth": ground_truth(label)},
            "extra_info": {"index": index, "split": "train", **facts, "license": license},
        }


def ground_truth(label: Label) -> str:
    """What a solution must reach, as text."""
    if label.tests is None:
        return label.answer or ""
    tests = json.loads(label.tests)
    return json.dumps({"inputs": [t["input"] for t in tests], "outputs": [t["output"] for t in tests]}, ensure_ascii=False)


def write(path: Path, table: pa.Table) -> None:
    """Write a parquet file that appears only when it is whole. The same rows give the same bytes."""
    make_folder(path.parent)
    with disk_errors(path):
        pq.write_table(table, aside(path), compression="zstd")
    publish(aside(path), path)
