"""A procedural task as a benchmark: instances that never begin where a run's seeds or its self-play begin (see `promptcot.procedural`)."""

from __future__ import annotations

from promptcot.evaluation.benchmarks.benchmark import Benchmark, gather
from promptcot.procedural import SCHEME as SCHEME
from promptcot.procedural import Instances, version_here


def generated(name: str, rows: int | None, seed: int, domain: str) -> Benchmark:
    """`rows` instances of the task in `name`. Raises `UsageError` for a task or options that reasoning-gym does not know."""
    made = Instances.of(name, rows, f"evaluation {seed}")
    found = gather(made.questions(domain), None, seed)
    return Benchmark(name, found.questions, version_here(), found.digest, f"{made.count} instances, first seed {made.options['seed']}")
