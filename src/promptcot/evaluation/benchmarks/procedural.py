"""reasoning-gym: questions that a task makes from a seed, and scores itself.

    reasoning-gym:TASK?key=value&...      options are those of the task's configuration

Instances for evaluation never begin where a run's seeds begin, even with the same number, but both are drawn from the task's one
distribution: held out are the instances, not the family. A reference holds the whole entry; JSON has no tuples and no keys but
texts, so these are marked, because some tasks score by type. Answers are scored in `scoring`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from promptcot.errors import UsageError
from promptcot.evaluation.benchmarks.benchmark import Benchmark, gather
from promptcot.outcomes import Grading
from promptcot.records import Question, record_id
from promptcot.seeds.sources import GENERATED, first_seed, parsed_task, procedural
from promptcot.verify.families_worker import ITEMS, TUPLE

SCHEME = "reasoning-gym:"


def generated(name: str, rows: int | None, seed: int, domain: str) -> Benchmark:
    """`rows` instances of the task in `name`. Raises `UsageError` for a task or options that reasoning-gym does not know."""
    task, given = parsed_task(name.removeprefix(SCHEME))
    count = rows or int(given.pop("size", GENERATED))
    options = {"seed": first_seed(f"evaluation {seed} {task}")} | given
    found = gather(_questions(name, task, options, count, domain), None, seed)
    return Benchmark(name, found.questions, _source(), found.digest, f"{count} instances, first seed {options['seed']}")


def _questions(name: str, task: str, options: Mapping[str, Any], count: int, domain: str) -> Iterator[Question]:
    instances = procedural(task, {**options, "size": count})
    for index in range(count):
        entry = instances[index]
        reference = {"task": task, "config": options, "entry": _plain(entry)}
        number = str(options["seed"] + index)
        yield Question(
            id=record_id("question", draw=index, content=f"{name}\n{number}\n{entry['question']}"),
            domain=domain,
            source=_source(),
            license="Apache-2.0",
            benchmark=name,
            name=number,
            problem=entry["question"],
            grading=Grading.FAMILY,
            reference=json.dumps(reference, ensure_ascii=False),
        )


def _plain(value: Any) -> Any:
    """As JSON can hold it, tuples and dictionaries with other keys than texts marked."""
    if isinstance(value, tuple):
        return {TUPLE: [_plain(item) for item in value]}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value) and not value.keys() & {TUPLE, ITEMS}:
            return {key: _plain(item) for key, item in value.items()}
        return {ITEMS: [[_plain(key), _plain(item)] for key, item in value.items()]}
    if value is None or isinstance(value, str | int | float):
        return value
    raise UsageError(f"an instance holds a {type(value).__name__}, which JSON cannot hold", where=SCHEME, remedy="choose another task")


def _source() -> str:
    try:
        return f"reasoning-gym {version('reasoning-gym')}"
    except PackageNotFoundError:
        return "reasoning-gym"
