"""Questions that a task of reasoning-gym makes from a seed, and scores itself.

    reasoning-gym:TASK?key=value&...      options are those of the task's configuration

Instances for one purpose never begin where those for another begin, even with the same seed, but all are drawn from the task's one
distribution: held apart are the instances, not the family. A reference holds the whole entry; JSON has no tuples and no keys but
texts, so these are marked, because some tasks score by type. Answers are scored in `verify.families`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from promptcot.errors import UsageError
from promptcot.outcomes import Grading
from promptcot.records import Question, record_id
from promptcot.seeds.sources import GENERATED, first_seed, parsed_task, procedural
from promptcot.verify.families_worker import ITEMS, TUPLE

SCHEME = "reasoning-gym:"


@dataclass(frozen=True)
class Instances:
    """So many instances of a task, beginning at the seed in its options."""

    name: str
    task: str
    options: Mapping[str, Any]
    count: int

    @classmethod
    def of(cls, name: str, rows: int | None, purpose: str) -> Instances:
        """What a name asks for: `rows` instances, else its own `size`, else 100. Where they begin follows from `purpose` and the task."""
        task, given = parsed_task(name.removeprefix(SCHEME))
        count = rows or int(given.pop("size", GENERATED))
        return cls(name, task, {"seed": first_seed(f"{purpose} {task}")} | given, count)

    def questions(self, domain: str) -> Iterator[Question]:
        """The instances. Raises `UsageError` for a task or options that reasoning-gym does not know."""
        return questions(self.name, self.task, self.options, self.count, domain)


def questions(name: str, task: str, options: Mapping[str, Any], count: int, domain: str) -> Iterator[Question]:
    """`count` instances of a task from `options["seed"]` on. Raises `UsageError` for a task or options that reasoning-gym does not know."""
    instances = procedural(task, {**options, "size": count})
    for index in range(count):
        entry = instances[index]
        reference = {"task": task, "config": options, "entry": _plain(entry)}
        number = str(options["seed"] + index)
        yield Question(
            id=record_id("question", draw=index, content=f"{name}\n{number}\n{entry['question']}"),
            domain=domain,
            source=version_here(),
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


def version_here() -> str:
    """The package, and its version where it is installed."""
    try:
        return f"reasoning-gym {version('reasoning-gym')}"
    except PackageNotFoundError:
        return "reasoning-gym"
