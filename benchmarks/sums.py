"""Two corpora of which one must be worth more: procedural sums with their solutions, and the same with the answers of other sums.

    python -m benchmarks.sums DIR [--rows 96]

It prints the files, and the benchmark to hold them against. A trial of the two shows whether a trial can tell: both have the same problems,
form and length, and differ in the truth alone.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

from benchmarks.post_training.arms import TASK, solution
from promptcot.lines import write_lines
from promptcot.procedural import Instances


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=96)
    given = parser.parse_args()
    entries = [json.loads(q.reference)["entry"] for q in Instances.of(TASK, given.rows, "trial corpora").questions("math")]
    distinct = list({entry["question"]: entry for entry in entries}.values())
    others = [entry["answer"] for entry in distinct]
    random.Random(0).shuffle(others)
    shuffled = [{**entry, "answer": answer} for entry, answer in zip(distinct, others, strict=True)]
    for name, rows in (("right", distinct), ("shuffled", shuffled)):
        write_lines(given.folder / f"{name}.jsonl", [{"problem": row["question"], "solution": solution(row)} for row in rows])
        print(given.folder / f"{name}.jsonl")
    print(TASK)


if __name__ == "__main__":
    main()
