"""The attempts of a finished evaluation, graded by math-verify called directly, beside our verdicts; every disagreement is printed.

    python -m benchmarks.graders RUN --benchmark gsm8k [--model solver] [--out disagreements.jsonl]

math-verify takes the last box or expression of the whole text, ours the last box or what follows a mark: where an attempt boxes nothing
they differ by policy, not by algebra, so these are counted apart. It evaluates what models wrote, here as its users call it, outside a
sandbox.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from promptcot.intervals import wilson
from promptcot.store import Run

Row = dict[str, Any]


def main() -> None:
    """Print the table and the disagreements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--benchmark", required=True)
    parser.add_argument("--model", default="solver")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    found = list(compared(graded(given.run, given.benchmark, given.model)))
    print("\n".join(table(found)))
    apart = [row for row in found if row["ours"] != row["theirs"]]
    if given.out is not None:
        given.out.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in apart), encoding="utf-8")
    for row in [row for row in apart if row["boxed"]][:20]:
        print(json.dumps(row, ensure_ascii=False))


def graded(folder: Path, benchmark: str, model: str) -> Iterator[tuple[Row, Row, Row]]:
    """Questions, attempts and grades of a run, joined."""
    run = Run.open(folder)

    def rows(step: str) -> list[Row]:
        parts = sorted((run.path / step / (run.current(step) or "-")).glob("part-*.parquet"))
        return [row for part in parts for row in pq.read_table(part).to_pylist()]

    questions = {row["id"]: row for row in rows(f"evaluate/{benchmark}/questions")}
    attempts = {row["id"]: row for row in rows(f"evaluate/{benchmark}/{model}/attempts")}
    for grade in rows(f"evaluate/{benchmark}/{model}/grades"):
        yield questions[grade["question"]], next(attempts[key] for key in grade["parents"] if key in attempts), grade


def compared(rows: Iterator[tuple[Row, Row, Row]]) -> Iterator[dict[str, Any]]:
    """Whether each grader calls an attempt right."""
    import math_verify

    for question, attempt, grade in rows:
        gold = math_verify.parse(f"${question['reference']}$", parsing_timeout=5)
        theirs = bool(math_verify.verify(gold, math_verify.parse(attempt["text"], parsing_timeout=5), timeout_seconds=5))
        yield {
            "question": question["name"],
            "reference": question["reference"],
            "answer": grade["answer"],
            "verdict": grade["verdict"],
            "boxed": "\\boxed" in attempt["text"],
            "ours": grade["verdict"] == "correct",
            "theirs": theirs,
            "end": attempt["text"][-160:],
        }


def table(found: list[dict[str, Any]]) -> list[str]:
    """Counts of agreement, attempts with and without a box apart."""
    lines = ["| attempts | n | both right | both not | only ours | only math-verify | agree (95 %) |", "|---|---|---|---|---|---|---|"]
    for name, own in (("with a box", [r for r in found if r["boxed"]]), ("without", [r for r in found if not r["boxed"]])):
        counts = Counter((r["ours"], r["theirs"]) for r in own)
        agree = wilson(counts[True, True] + counts[False, False], len(own))
        cells = (counts[True, True], counts[False, False], counts[True, False], counts[False, True])
        lines.append(f"| {name} | {len(own)} | {' | '.join(map(str, cells))} | {agree.value:.3f} [{agree.low:.3f}, {agree.high:.3f}] |")
    return lines


if __name__ == "__main__":
    main()
