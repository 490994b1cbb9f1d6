"""Metering: what engines and fits use, added up and booked on the shards of the step that used it.

    engine.usage, a fit's log  ->  Meter (all that this process used)  ->  Account (one step)  ->  shard-*.json, manifest.json

Engines keep a window of requests in flight across shard borders, their answers come interleaved and from several threads, and some of what
they do belongs to no row (a first look at a server, a retry, loading). So usage is not told apart by row: a commit books all that the
step used since the commit before it. Every token is then booked once, and the shards of a step add up to what it cost.

What was used for work that a kill undid was paid for all the same. It waits in `unbooked.jsonl` in the step's folder and is booked with the
next commit there, in whatever process. For served models that file is written with every answer, else every `EVERY` seconds
and when a step is left: so much may a SIGKILL hide, beside what had not been answered. Deleting a shard's entry or a manifest forgets what
it booked.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from promptcot.durable import canonical, disk_errors, sealed, unsealed
from promptcot.store import Manifest, Run, entries_in, load_entry
from promptcot.usage import Usage, total

UNBOOKED = "unbooked.jsonl"
EVERY = 5.0
"""Seconds between two notes of what is not yet booked."""

T = TypeVar("T")


class Meter:
    """Adds up readings: the usage of every engine and fit so far. Read it in the thread that runs the steps; engines count in their own."""

    def __init__(self) -> None:
        self._ended = Usage()
        self._open: list[Callable[[], Usage]] = []

    @contextmanager
    def reading(self, read: Callable[[], Usage]) -> Iterator[None]:
        """Count what `read` says while the block runs, and what it says last."""
        self._open.append(read)
        try:
            yield
        finally:
            self._open.remove(read)
            self._ended += read()

    @property
    def total(self) -> Usage:
        """All that was used so far."""
        return total((self._ended, *(read() for read in self._open)))


class Account:
    """What a step uses, from the making of the account on, and what of it is not yet booked: with what earlier processes left unbooked."""

    def __init__(self, folder: Path, meter: Meter) -> None:
        self._path, self._meter = folder / UNBOOKED, meter
        self._commits, self._carried = _commits(folder), unbooked(folder)
        self._began = time.monotonic()
        self._opened = self._booked = meter.total
        self._due = self._began + EVERY

    def _now(self) -> Usage:
        return replace(self._meter.total, wall_seconds=time.monotonic() - self._began)

    @property
    def used(self) -> Usage:
        """What this process has used for the step."""
        return self._now() - self._opened

    def book(self, commit: Callable[[Usage], T]) -> T:
        """Commit with all that is not yet booked."""
        now = self._now()
        done = commit(self._carried + (now - self._booked))
        self._carried, self._booked, self._commits = Usage(), now, self._commits + 1
        if self._path.exists():
            with disk_errors(self._path):
                self._path.unlink()
        return done

    def note(self, *, at_once: bool = True) -> None:
        """Write down what is not yet booked; unless `at_once`, no more often than every `EVERY` seconds."""
        if not at_once and time.monotonic() < self._due:
            return
        left = self._carried + (self._now() - self._booked)
        with disk_errors(self._path), open(self._path, "a", encoding="utf-8") as file:
            file.write(sealed(canonical({"commits": self._commits, "usage": left.to_json()})))
        self._due = time.monotonic() + EVERY


def unbooked(folder: Path) -> Usage:
    """What was noted in a step's folder since its last commit: the last whole line, unless a later commit has booked it."""
    try:
        lines = [json.loads(line) for line in unsealed((folder / UNBOOKED).read_bytes())]
    except FileNotFoundError:  # also when the run's own process has booked it in this moment
        return Usage()
    return Usage.of(lines[-1]["usage"]) if lines and lines[-1]["commits"] == _commits(folder) else Usage()


def _commits(folder: Path) -> int:
    """How many commits were made in a folder: those of its shards, and its end."""
    return sum(1 for _ in folder.glob("shard-*.json")) + (folder / "manifest.json").is_file()


def spent_in(folder: Path) -> Usage:
    """What was used for the result in a step's folder, finished or not."""
    path = folder / "manifest.json"
    if path.is_file():
        return Usage.of(load_entry(path, Manifest, "delete it: it is made anew from what is committed").usage)
    return total((*(Usage.of(entry.usage) for entry in entries_in(folder).values()), unbooked(folder)))


def spent(run: Run) -> dict[str, Usage]:
    """What each step of a run has used by name, in all processes so far, for former results too."""
    return {name: total(map(spent_in, run.folders(name))) for name in run.steps()}


def by_stage(steps: Mapping[str, Usage]) -> dict[str, Usage]:
    """What each stage has used, from its steps by name."""
    stages: dict[str, Usage] = defaultdict(Usage)
    for name, usage in steps.items():
        stages[name.split("/")[0]] += usage
    return dict(stages)
