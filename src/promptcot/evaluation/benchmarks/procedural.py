"""reasoning-gym: questions that a task makes from a seed, and scores itself.

    reasoning-gym:TASK?key=value&...      options are those of the task's configuration

Instances for evaluation never begin where a run's seeds begin, even with the same number, but both are drawn from the task's one
distribution: held out are the instances, not the family. A reference holds the whole entry; JSON has no tuples and no keys but
texts, so these are marked, because some tasks score by type.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from promptcot.errors import UsageError
from promptcot.evaluation.benchmarks.benchmark import Benchmark, gather
from promptcot.outcomes import Grading
from promptcot.records import Question, record_id
from promptcot.seeds.sources import GENERATED, first_seed, parsed_task, procedural

SCHEME = "reasoning-gym:"
_TUPLE, _ITEMS = "tuple of", "items of"


def generated(name: str, rows: int | None, seed: int, domain: str) -> Benchmark:
    """`rows` instances of the task in `name`. Raises `UsageError` for a task or options that reasoning-gym does not know."""
    task, given = parsed_task(name.removeprefix(SCHEME))
    count = rows or int(given.pop("size", GENERATED))
    options = {"seed": first_seed(f"evaluation {seed} {task}")} | given
    found = gather(_questions(name, task, options, count, domain), None, seed)
    return Benchmark(name, found.questions, _source(), found.digest, f"{count} instances, first seed {options['seed']}")


def score(reference: str, answer: str) -> float:
    """The task's own score of an answer, from 0 to 1. Raises `UsageError` for a reference that is none of ours.

    An answer that the task's scorer cannot read scores 0: some of them raise."""
    try:
        row = json.loads(reference)
        task, config, entry = row["task"], json.dumps(row["config"], sort_keys=True), _read(row["entry"])
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"no reference of a procedural task: {error!r}", where=reference[:80]) from None
    scorer = _scorer(task, config)
    try:
        return float(scorer.score_answer(answer, entry))
    except Exception:  # noqa: BLE001  # the library's scorers parse what a model wrote, and fail in any way
        return 0.0


@lru_cache(maxsize=32)
def _scorer(task: str, config: str) -> Any:
    return procedural(task, json.loads(config) | {"size": 1})


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
        return {_TUPLE: [_plain(item) for item in value]}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value) and not value.keys() & {_TUPLE, _ITEMS}:
            return {key: _plain(item) for key, item in value.items()}
        return {_ITEMS: [[_plain(key), _plain(item)] for key, item in value.items()]}
    if value is None or isinstance(value, str | int | float):
        return value
    raise UsageError(f"an instance holds a {type(value).__name__}, which JSON cannot hold", where=SCHEME, remedy="choose another task")


def _read(value: Any) -> Any:
    """What `_plain` was given."""
    if isinstance(value, list):
        return [_read(item) for item in value]
    if isinstance(value, dict):
        if value.keys() == {_TUPLE}:
            return tuple(_read(item) for item in value[_TUPLE])
        if value.keys() == {_ITEMS}:
            return {_read(key): _read(item) for key, item in value[_ITEMS]}
        return {key: _read(item) for key, item in value.items()}
    return value


def _source() -> str:
    try:
        return f"reasoning-gym {version('reasoning-gym')}"
    except PackageNotFoundError:
        return "reasoning-gym"
