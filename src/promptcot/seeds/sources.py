"""Where rows come from: the packaged corpus, packages of pip, files and folders, the Hugging Face hub."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import yaml

import promptcot.seeds.champ as champ
from promptcot import starter
from promptcot.errors import MissingHere, UsageError
from promptcot.outside import locate
from promptcot.recipe import Input
from promptcot.seeds.files import read_path
from promptcot.seeds.rows import Raw

GENERATED = 100
"""Instances of a procedural task where the input sets no `rows`."""

_TRANSPORTS = ("httpx", "httpx2", "httpcore")
"""Whose errors the hub's client lets through when single files are read."""


@dataclass(frozen=True, slots=True)
class Source:
    """An opened input: its rows, and the source and license of those that bring none."""

    rows: Iterator[Raw]
    name: str
    license: str = ""


def open_source(given: Input, domain: str, seed: int) -> Source:
    """The rows of `given.path`. Raises `UsageError` for a wrong path and `MissingHere` for a package or network that is not there."""
    scheme, _, rest = given.path.partition(":")
    if given.path == "champ":
        return Source(read_path(champ.data_file()), "champ", champ.LICENSE)
    if scheme == "builtin":
        if rest != "starter":
            raise UsageError(f"no corpus called `{rest}` is built in", where=given.path, remedy="builtin:starter")
        return Source(read_path(starter.corpus(domain)), "starter", starter.LICENSE)
    if scheme == "reasoning-gym":
        return Source(_generated(rest, given.rows or GENERATED, seed), f"reasoning-gym:{rest}", "Apache-2.0")
    if scheme == "hf":
        return Source(hub_rows(rest, given.hub_split), given.path)
    return Source(read_path(locate(given.path)), given.path)


def _generated(request: str, count: int, seed: int) -> Iterator[Raw]:
    """Instances of `TASK?key=value&...`: question and answer, with the task and its area as concepts."""
    task, given = parsed_task(request)
    instances = procedural(task, {"seed": first_seed(f"{seed} {task}"), "size": count} | given)
    concepts = [task.replace("_", " "), str(instances.category)]
    for index in range(count):
        made = instances[index]
        yield Raw.of(f"reasoning-gym:{task}:{index + 1}", {"problem": made["question"], "answer": made["answer"], "concepts": concepts})


def parsed_task(request: str) -> tuple[str, dict[str, Any]]:
    """Task and options of `TASK?key=value&...`."""
    task, _, query = request.partition("?")
    return task, {key: yaml.safe_load(value) for key, value in parse_qsl(query)}


def first_seed(purpose: str) -> int:
    """A task seeds instance i with seed + i, so neighboring run seeds would share nearly all instances: where to begin, by a hash."""
    return int(hashlib.sha256(purpose.encode()).hexdigest()[:7], 16)


def procedural(task: str, options: Mapping[str, Any]) -> Any:
    """The reasoning-gym data set of a task: indexable, with `category` and `score_answer(answer, entry)`.

    Raises `UsageError` for a task or option it does not know, `MissingHere` without the package."""
    try:
        import reasoning_gym
        from reasoning_gym.factory import DATASETS
    except ImportError as error:
        raise MissingHere(
            f"procedural tasks need `{error.name}`", where=f"reasoning-gym:{task}", remedy="python -m pip install reasoning-gym"
        ) from None
    if task not in DATASETS:
        near = difflib.get_close_matches(task, DATASETS, n=3)
        raise UsageError(
            f"reasoning-gym has no task `{task}`", where=f"reasoning-gym:{task}", remedy=f"nearest: {', '.join(near) or 'none'}"
        )
    try:
        return reasoning_gym.create_dataset(task, **options)
    except (TypeError, ValueError, AssertionError) as error:
        raise UsageError(
            f"the task refuses its options: {error}", where=f"reasoning-gym:{task}", remedy=f"see the configuration of `{task}`"
        ) from error


def hub_rows(name: str, split: str, revision: str | None = None, files: Sequence[str] = ()) -> Iterator[Raw]:
    """Rows of the hub data set NAME or NAME:CONFIG, or of the JSONL `files` in it. Code that comes with a data set is never run."""
    try:
        import datasets
    except ImportError as error:
        raise MissingHere(
            f"hub data sets need `{error.name}`", where=f"hf:{name}", remedy="python -m pip install 'promptcot[data]'"
        ) from None
    repository, _, config = name.partition(":")
    try:
        if files:
            base = f"hf://datasets/{repository}@{revision or 'main'}"
            table = datasets.load_dataset("json", data_files={split: [f"{base}/{file}" for file in files]}, split=split)
        else:
            table = datasets.load_dataset(repository, config or None, split=split, revision=revision)
    except datasets.exceptions.DatasetNotFoundError as error:
        raise UsageError(
            f"no such data set: {error}", where=f"hf:{name}", remedy="check the name; a gated one needs `hf auth login`"
        ) from error
    except ConnectionError as error:
        raise MissingHere(
            f"the hub cannot be reached: {error}", where=f"hf:{name}", remedy="connect, or give the path of a downloaded copy"
        ) from error
    except (ValueError, OSError, datasets.exceptions.DatasetsError) as error:
        raise UsageError(
            f"the data set cannot be read: {error}", where=f"hf:{name} (split {split})", remedy="check `hub_split` and the configuration"
        ) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in _TRANSPORTS:
            raise
        raise MissingHere(
            f"the hub cannot be reached: {error}", where=f"hf:{name}", remedy="connect, or give the path of a downloaded copy"
        ) from error
    for number, row in enumerate(table, 1):
        yield Raw.of(f"hf:{name}:{number}", row)
