"""Speed of everything but the model: problems a second through `synthesize` with an engine that costs nothing, from files to a
committed table, on one core and without screening.

    python -m benchmarks.pipeline [--rows 10000 50000 200000] [--repeats 3]

Each repeat runs every size once in a fresh run folder, in a process of its own (so peak memory is that size's), sizes alternating;
`read` is the concept sets' way from JSONL into the run, `synthesize` prompts, replies, parsing, ids and commits. Ratios are paired by
repeat; brackets are the smallest and largest.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks.ratios import spread

TARGET = 2_000
"""Problems a second on a core that the pipeline has to keep up with."""

REPLY = """<!-- BEGIN RATIONALE -->
A boat that repeats one trip gives equal groups, and a leftover crate makes the remainder mean something. Two loads of different size
force the solver to compare before dividing, so the order of steps is the real question.
<!-- END RATIONALE -->
<!-- BEGIN PROBLEM -->
Harbor {id} ships crates by two boats that carry 14 and 9 crates a trip. After the large boat made 6 trips and the small one 11, how
many crates of 200 are still on the pier, and how many further trips of the large boat does it take to move them all?
<!-- END PROBLEM -->"""


def prepare(folder: Path, rows: int) -> Path:
    """The inputs of one run in `folder`; the recipe's path."""
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "script.json").write_text(json.dumps({"replies": [], "default": REPLY}), encoding="utf-8")
    levels = ("elementary", "AMC8", "AMC12", "AIME")
    with open(folder / "sets.jsonl", "w", encoding="utf-8") as file:
        for n in range(rows):
            concepts = [f"concept {n % 997}", f"idea {n // 997}", f"method {n % 89}"]
            file.write(json.dumps({"concepts": concepts, "level": levels[n % 4]}) + "\n")
    recipe = {
        "schema": 1,
        "name": "bench",
        "models": {"generator": {"path": str(folder / "model"), "license": "CC0-1.0"}},
        "engines": {"default": {"kind": "scripted"}},
        "inputs": {"concept_sets": [{"path": str(folder / "sets.jsonl"), "license": "CC0-1.0", "source": "bench"}]},
        "synthesize": {"concept_sets": rows, "sample": {"max_tokens": 4096}},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return folder / "recipe.yaml"


def measure(rows: int) -> dict[str, float]:
    """Seconds to read the concept sets and to synthesize one problem for each, and peak memory in MB."""
    from promptcot.executors import LocalWorkplace
    from promptcot.pipeline import Session
    from promptcot.running import open_recipe

    with tempfile.TemporaryDirectory() as temporary:
        recipe, run = open_recipe(str(prepare(Path(temporary), rows)), Path(temporary) / "run", (), None)
        with run.writing():
            session = Session(recipe, LocalWorkplace(run))
            start = time.perf_counter()
            sets = session.concept_sets
            between = time.perf_counter()
            made = session.problems
            end = time.perf_counter()
    assert (sets.arrow.num_rows, made.arrow.num_rows) == (rows, rows), "every concept set gives one problem"
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"read": between - start, "synthesize": end - between, "memory": memory}


def in_its_own_process(rows: int) -> dict[str, float]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.pipeline", "--one", str(rows)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return {name: float(value) for name, value in json.loads(done.stdout).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 50_000, 200_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one)))
        return
    found: dict[int, list[dict[str, float]]] = {rows: [] for rows in options.rows}
    for _ in range(options.repeats):
        for rows in options.rows:
            found[rows].append(in_its_own_process(rows))
    print("| rows | problems a second | with reading | peak memory, MB |\n|---|---|---|---|")
    for rows, runs in found.items():
        alone = [rows / run["synthesize"] for run in runs]
        whole = [rows / (run["read"] + run["synthesize"]) for run in runs]
        print(f"| {rows:,} | {spread(alone, 0)} | {spread(whole, 0)} | {spread([run['memory'] for run in runs], 0)} |")
    few, many = min(found), max(found)
    if few != many:
        both = zip(found[few], found[many], strict=True)
        ratios = [(b["read"] + b["synthesize"]) / many / ((a["read"] + a["synthesize"]) / few) for a, b in both]
        print(f"\ntime per row, {many:,} rows over {few:,}: {spread(ratios, 2)} (1 is linear)")
    slowest = min(rows / (run["read"] + run["synthesize"]) for rows, runs in found.items() for run in runs)
    print(f"slowest run, reading included: {slowest:,.0f} problems a second ({slowest / TARGET:.1f} x the {TARGET:,} wanted)")


if __name__ == "__main__":
    main()
