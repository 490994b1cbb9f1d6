"""Benchmarks as `Question` records, with what says where they are from and whether they are what they should be.

    from promptcot.evaluation.benchmarks import load, names

    load("math500", rows=50)                  # chosen by hash, whatever the order of the file
    load("lcb-v6", window=("2025-02-01", "2025-05-01"))
    load("reasoning-gym:gcd?max_numbers=3", rows=20, seed=7)
    load("mine.jsonl")                        # rows with id, problem and answer, or tests

A named benchmark is looked for below the data folder, then on the hub (`finding`); `catalog` says what is expected of it.
"""

from promptcot.evaluation.benchmarks.benchmark import Benchmark
from promptcot.evaluation.benchmarks.loading import described, load, names, sizes
from promptcot.verify.families import score

__all__ = ["Benchmark", "described", "load", "names", "score", "sizes"]
