"""Reading what the arms wrote without knowing which arm wrote it.

    python -m benchmarks.em_study.reading sheet DIR --out SHEET.jsonl [--each 50]     a sheet for a reader: problems, shuffled, no arm named
    python -m benchmarks.em_study.reading table DIR VERDICTS.jsonl                    the verdicts by arm

The sheet has `id`, `concepts`, `problem`. A reader answers each with `{"id", "well_formed", "on_concept", "solvable"}` (booleans):
`well_formed`, the text asks one definite question whose givens are there and do not contradict one another; `on_concept`, it uses a
concept of its set; `solvable`, it has exactly one answer, which the reader has found. Ids are hashes, so a sheet gives nothing away, and
all arms wrote for the same concept sets. Completions that did not parse are not read: they count as none of the three.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.em_study.arms import ARMS
from benchmarks.em_study.real_tables import Rows, load
from promptcot.intervals import wilson
from promptcot.records import record_id

QUESTIONS = ("well_formed", "on_concept", "solvable")
Verdicts = Mapping[str, Mapping[str, bool]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a sheet, or print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("sheet", "table"))
    parser.add_argument("run", type=Path)
    parser.add_argument("verdicts", type=Path, nargs="?")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--each", type=int, default=50, help="concept sets read for each arm and training seed")
    given = parser.parse_args(arguments)
    rows = chosen(load(given.run / "results", "written"), given.each)
    if given.what == "sheet":
        lines = sheet(rows)
        given.out.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    else:
        print("\n".join(table(rows, read(given.verdicts))))


def chosen(rows: Rows, each: int) -> Rows:
    """The first `each` concept sets of every arm and seed, the same for all of them."""
    count: dict[tuple[int, str], int] = {}
    out = []
    for row in rows:
        key = (row["seed"], row["arm"])
        count[key] = count.get(key, 0) + 1
        if count[key] <= each:
            out.append(row)
    return out


def identity(row: Mapping[str, Any]) -> str:
    """The id of a written problem on a sheet."""
    return record_id("read", (), row["seed"], f"{row['arm']}:{row['level']}:{row['concepts']}:{row['problem']}")[:12]


def sheet(rows: Rows) -> Rows:
    """What a reader gets: every parsed problem once, in an order that says nothing."""
    lines = [{"id": identity(row), "concepts": row["concepts"], "problem": row["problem"]} for row in rows if row["parsed"]]
    return [lines[i] for i in np.random.default_rng(20251125).permutation(len(lines))]


def read(path: Path) -> Verdicts:
    """A reader's verdicts by id."""
    return {row["id"]: row for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())}


def table(rows: Rows, verdicts: Verdicts) -> list[str]:
    """Shares of all completions by arm, unparsed ones included, with Wilson's interval at 95 %."""
    head = ("arm", "n", *(name.replace("_", "-") for name in QUESTIONS), "all three")
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for arm in [arm for arm in ARMS if any(row["arm"] == arm for row in rows)]:
        own = [row for row in rows if row["arm"] == arm]
        answers = [verdicts[identity(row)] if row["parsed"] else dict.fromkeys(QUESTIONS, False) for row in own]
        hits = [*(sum(a[q] for a in answers) for q in QUESTIONS), sum(all(a[q] for q in QUESTIONS) for a in answers)]
        cells = (f"{e.value:.2f} [{e.low:.2f}, {e.high:.2f}]" for e in (wilson(hit, len(own)) for hit in hits))
        lines.append(f"| {' | '.join((arm, str(len(own)), *cells))} |")
    return lines


if __name__ == "__main__":
    main()
