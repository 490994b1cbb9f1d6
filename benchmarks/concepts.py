"""Speed of the concept sampler: milliseconds per set of 5, against drawing one set at a time from the same law.

    python -m benchmarks.concepts [--concepts 1000 19000] [--repeats 7]

The reference is what one would write first: a dense count vector, one matrix-vector product and `Generator.choice` per concept. Both draw
from one synthetic model (Zipf frequencies, 15,000 lists of 5, 384-dimensional vectors). Repeats alternate; the ratio's spread is the
smallest and largest of the paired ratios.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from benchmarks.ratios import paired, spread
from promptcot.concepts import ConceptModel

SIZE, TEMPERATURE, DIMENSION, LISTS = 5, 0.2, 384, 15_000


def synthetic(concepts: int) -> ConceptModel:
    rng = np.random.default_rng(0)
    names = [f"concept {i:05d}" for i in range(concepts)]
    zipf = 1 / np.arange(1, concepts + 1)
    drawn = rng.choice(concepts, (LISTS, SIZE), p=zipf / zipf.sum())
    return ConceptModel.fit([[names[i] for i in row] for row in drawn], names, rng.normal(size=(concepts, DIMENSION)))


def one_by_one(model: ConceptModel, n_sets: int, seed: int) -> list[tuple[str, ...]]:
    rng = np.random.default_rng(seed)
    return [tuple(model.names[i] for i in one_set(model, rng)) for _ in range(n_sets)]


def one_set(model: ConceptModel, rng: np.random.Generator) -> list[int]:
    chosen = [int(rng.choice(len(model.names), p=model.frequency / model.frequency.sum()))]
    while len(chosen) < SIZE:
        together = np.zeros(len(model.names))
        for i in chosen:
            near = slice(model.starts[i], model.starts[i + 1])
            together[model.neighbors[near]] += model.counts[near]
        mean = model.vectors[chosen].mean(axis=0)
        scores = (together + model.vectors @ (mean / np.linalg.norm(mean))) / TEMPERATURE
        scores[chosen] = -np.inf
        weights = np.exp(scores - scores.max())
        chosen.append(int(rng.choice(len(weights), p=weights / weights.sum())))
    return chosen


def milliseconds(work: Callable[[], object], sets: int) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) / sets * 1e3


def compare(concepts: int, repeats: int, batched_sets: int = 512, single_sets: int = 24) -> str:
    model = synthetic(concepts)
    ours, theirs = [], []
    for seed in range(-1, repeats):
        fast = milliseconds(lambda s=seed: model.sample(batched_sets, SIZE, TEMPERATURE, s), batched_sets)
        slow = milliseconds(lambda s=seed + 1: one_by_one(model, single_sets, s), single_sets)
        if seed >= 0:  # the first pair warms caches and is not counted
            ours.append(fast)
            theirs.append(slow)
    return f"| {concepts} | {spread(ours)} | {np.median(theirs):.2f} | {spread(paired(theirs, ours), 1)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--concepts", type=int, nargs="+", default=[1000, 19000])
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    print("| concepts | batched, ms per set | one by one, ms per set | ratio |\n|---|---|---|---|")
    for concepts in options.concepts:
        print(compare(concepts, options.repeats), flush=True)


if __name__ == "__main__":
    main()
