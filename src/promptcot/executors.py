"""Who works on the shards: a step's items are cut into shards, streamed through `work`, and committed as they fill.

`work` takes an iterator of `Task`s and yields `(task index, rows)` in any order: engines keep a window of requests in flight
across shard borders. A `Workplace` says where rows and artifacts go: `LocalWorkplace` into a run folder (resuming what is there),
`MemoryWorkplace` nowhere (for studies and tests).
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Generic, Protocol, TypeVar, cast

import pyarrow as pa

from promptcot.budgets import Spending
from promptcot.durable import canonical, disk_errors, full_disk, make_folder, sealed, unsealed
from promptcot.errors import Incomplete, PromptcotError, UsageError
from promptcot.metering import Account, Meter
from promptcot.outcomes import Drop
from promptcot.recipe import Budget
from promptcot.records import Dropped, Record
from promptcot.store import Manifest, Run, ShardEntry, Step, StepSpec
from promptcot.tables import as_dict, from_table, to_table

T = TypeVar("T")
R = TypeVar("R", bound=Record)
Rows = Sequence[Record]  # kept rows and `Dropped` ones, mixed


MOST_THREADS = 256

CHECKPOINTS = "checkpoints"
"""In a step's folder: what the maker of its artifact keeps for the process after a kill. Removed once the artifact is published."""


def checkpoints_beside(making: Path) -> Path:
    """Where the maker of the folder `making` may keep states that a kill leaves behind."""
    return making.parent / CHECKPOINTS


@dataclass(frozen=True, slots=True)
class Task(Generic[T]):
    """One item of a step. `index` is its place among all items, `group` its shard."""

    index: int
    group: int
    item: T


Work = Callable[[Iterator[Task[T]]], Iterator[tuple[int, Rows]]]
"""Turns tasks into rows; every task is answered exactly once."""


@dataclass(frozen=True)
class Table(Generic[R]):
    """A step's result. `digest` stands for its content in later keys."""

    arrow: pa.Table
    dropped: pa.Table
    digest: str
    record: type[R]

    @property
    def rows(self) -> list[R]:
        """The kept rows as records."""
        return from_table(self.arrow, self.record)

    @property
    def drops(self) -> list[Dropped]:
        """The dropped rows."""
        return from_table(self.dropped, Dropped)


@dataclass(frozen=True)
class Artifact:
    """A folder that a step made (a model, a report), its content's fingerprint, and what the maker said of it."""

    path: Path
    digest: str
    info: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a step is, for people to watch."""

    step: str
    done: int
    total: int
    seconds: float
    note: str = ""


Watch = Callable[[Progress], None]


class Workplace(Protocol):
    """Where steps run. What they use, they have counted by `meter`."""

    meter: Meter

    def watch(self, progress: Progress) -> None:
        """Hear how far a step is."""
        ...

    def rows(
        self, spec: StepSpec, items: Sequence[T], work: Work[T], *, shard_rows: int, journal: bool = False, fan: int | None = 1
    ) -> Table[Any]:
        """Run a step that makes rows, or load it when it is done. Each item becomes `fan` rows, `len(item)` when `fan` is 0, any
        number when it is None."""
        ...

    def artifact(self, spec: StepSpec, make: Callable[[Path], tuple[str, Mapping[str, Any]]]) -> Artifact:
        """Run a step that fills a folder and returns its fingerprint and facts, or load it when it is done."""
        ...


def each(tasks: Iterator[Task[T]], make: Callable[[T], Rows]) -> Iterator[tuple[int, Rows]]:
    """Work that needs no engine: one item after the other."""
    for task in tasks:
        yield task.index, make(task.item)


def ask(
    tasks: Iterator[Task[T]],
    request: Callable[[Task[T]], Any],
    answer: Callable[[Iterable[Any]], Iterator[Any]],
    outcome: Callable[[T, Any], Rows],
) -> Iterator[tuple[int, Rows]]:
    """Work through an engine: `request` renders a task (its `id` unique), `answer` is `engine.sample` or `engine.score` with its
    settings bound, `outcome` makes rows of the reply. Every request must be answered once."""
    waiting: dict[str, Task[T]] = {}

    def requests() -> Iterator[Any]:
        for task in tasks:
            asked = request(task)
            assert asked.id not in waiting, f"two requests share the id {asked.id}"
            waiting[asked.id] = task
            yield asked

    for reply in answer(requests()):
        task = waiting.pop(reply.id)
        yield task.index, outcome(task.item, reply)
    assert not waiting, f"the engine left {len(waiting)} requests unanswered"


def side_by_side(tasks: Iterator[Task[T]], make: Callable[[T], Rows], width: int) -> Iterator[tuple[int, Rows]]:
    """Work whose items each need several answers in turn from an engine that may be asked by many threads: `width` items at once, in any
    order. An error ends it at once; the threads then end with the engine."""
    done: SimpleQueue[Future[Rows]] = SimpleQueue()
    index: dict[Future[Rows], int] = {}
    width = min(width, MOST_THREADS)
    pool = ThreadPoolExecutor(width, thread_name_prefix="items")
    try:
        for task in tasks:
            future = pool.submit(make, task.item)
            index[future] = task.index
            future.add_done_callback(done.put)
            while len(index) >= width or not done.empty():
                ready = done.get()
                yield index.pop(ready), ready.result()
        while index:
            ready = done.get()
            yield index.pop(ready), ready.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class Draining:
    """Whether to stop taking new shards; set by a signal handler, read between shards."""

    def __init__(self) -> None:
        self.requested = False

    def request(self) -> None:
        """Ask for an orderly stop."""
        self.requested = True


class LocalWorkplace:
    """Runs steps in this process and keeps them in a run folder."""

    def __init__(
        self,
        run: Run,
        *,
        watch: Watch | None = None,
        draining: Draining | None = None,
        confirm: Callable[[StepSpec, Run], str] | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.run = run
        self.spending = Spending(run, budget or Budget())
        self.meter = Meter()
        self._watch: Watch = watch or (lambda progress: None)
        self._account: Account | None = None
        self.draining = draining or Draining()
        self.confirm = confirm or (lambda spec, run: spec.key)

    def watch(self, progress: Progress) -> None:
        """Tell how far a step is, and write down now and then what it has used."""
        if self._account is not None:
            self._account.note(at_once=False)
        self._watch(progress)

    @contextmanager
    def _accounted(self, step: Step) -> Iterator[Account]:
        """The account of a step while it is worked on; what is left unbooked when it is given up is kept for the next process."""
        self._account = account = Account(step.folder, self.meter)
        try:
            yield account
        except BaseException:
            account.note()
            raise
        finally:
            self._account = None
            self.spending.add(_stage(step), account.used)

    def _halt(self, step: Step, account: Account, progress: str) -> PromptcotError | None:
        """Why nothing more of a step may begin; None while it may. `progress` says where it stands."""
        if self.draining.requested:
            return Incomplete(f"stopped on request {progress}", remedy="run the same command again to resume")
        return self.spending.exceeded(_stage(step), account.used, progress)

    def _settle(self, spec: StepSpec) -> tuple[Step, Manifest | None]:
        """The step to work in: usually under its own key; under an older one when the user keeps it."""
        key = self.confirm(spec, self.run)
        step = self.run.step(spec)
        if key != spec.key:
            step.folder = self.run.path / spec.name / key
        if not step.folder.is_dir():
            make_folder(step.folder)
        if key == spec.key:
            self.run.point(spec)
        step.verify()
        return step, step.manifest

    def rows(
        self, spec: StepSpec, items: Sequence[T], work: Work[T], *, shard_rows: int, journal: bool = False, fan: int | None = 1
    ) -> Table[Any]:
        """See `Workplace.rows`. Committed shards are not touched again; with `journal`, nor are the answered items of an open one."""
        step, manifest = self._settle(spec)
        if manifest is None:
            with self._accounted(step) as account:
                manifest = self._fill(_Collector(step, items, max(1, shard_rows), journal, fan, account), work)
        assert spec.record is not None
        return Table(step.table(), step.table("dropped"), manifest.digest, spec.record)

    def _fill(self, collector: _Collector[T], work: Work[T]) -> Manifest:
        step, total = collector.step, len(collector.items)
        done = step.committed()
        started = time.monotonic()
        open_shards = [i for i in range(collector.shards) if i not in done]
        filled = sum(len(collector.span(i)) for i in done)
        for entry in done.values():
            collector.check(entry)
        self.watch(Progress(step.spec.name, filled, total, 0.0))
        idle = not open_shards or self._halt(step, collector.account, "") is not None
        for index, rows in () if idle else work(self._feed(collector, open_shards)):
            collector.add(index, rows)
            filled += 1
            self.watch(Progress(step.spec.name, filled + collector.recalled, total, time.monotonic() - started))
        collector.flush()
        finished = collector.committed + len(done)
        progress = f"during `{step.spec.name}`: {finished} of {collector.shards} shards are committed"
        if finished < collector.shards and (halt := self._halt(step, collector.account, progress)):
            raise halt
        return collector.account.book(lambda rest: step.finish(collector.shards, rest=rest))

    def _feed(self, collector: _Collector[T], open_shards: Sequence[int]) -> Iterator[Task[T]]:
        for shard in open_shards:
            if self._halt(collector.step, collector.account, ""):
                return
            for task in collector.open(shard):
                if self.draining.requested and collector.journal:
                    return
                yield task

    def artifact(self, spec: StepSpec, make: Callable[[Path], tuple[str, Mapping[str, Any]]]) -> Artifact:
        """See `Workplace.artifact`. A folder appears whole or not at all."""
        step, manifest = self._settle(spec)
        if manifest is None:
            with self._accounted(step) as account:
                manifest = self._make(step, account, make)
        _remove(step.folder / CHECKPOINTS)
        return Artifact(step.folder / "artifact", manifest.digest, manifest.info)

    def _make(self, step: Step, account: Account, make: Callable[[Path], tuple[str, Mapping[str, Any]]]) -> Manifest:
        if halt := self._halt(step, account, f"before `{step.spec.name}`"):
            raise halt
        for orphan in step.folder.glob(".making-*"):
            shutil.rmtree(orphan)
        started = time.monotonic()
        with disk_errors(step.folder):
            temporary = Path(tempfile.mkdtemp(prefix=".making-", dir=step.folder))
        with full_disk(temporary):
            digest, info = make(temporary)
        seconds = time.monotonic() - started
        return account.book(lambda used: step.publish_artifact(temporary, digest, seconds, info, used))


def _remove(folder: Path) -> None:
    if folder.is_dir():
        shutil.rmtree(folder)


def _stage(step: Step) -> str:
    return step.spec.name.split("/")[0]


class _Collector(Generic[T]):
    """Gathers answers by shard and commits each shard when its last one is in."""

    def __init__(self, step: Step, items: Sequence[T], shard_rows: int, journal: bool, fan: int | None, account: Account) -> None:
        self.account = account
        self.step, self.items, self.shard_rows, self.journal, self.fan = step, items, shard_rows, journal, fan
        self.shards = -(-len(items) // shard_rows)
        self.answers: dict[int, dict[int, Rows]] = {}
        self.started: dict[int, float] = {}
        self.committed = self.recalled = 0
        self.clock = 0.0

    def span(self, shard: int) -> range:
        return range(shard * self.shard_rows, min(len(self.items), (shard + 1) * self.shard_rows))

    def open(self, shard: int) -> Iterator[Task[T]]:
        self.started[shard] = time.monotonic()
        self.answers[shard] = self._recall(shard) if self.journal else {}
        self.recalled += len(self.answers[shard])
        for index in [index for index in self.span(shard) if index not in self.answers[shard]]:  # the last answer commits the shard
            yield Task(index, shard, self.items[index])
        self._commit_if_full(shard)

    def add(self, index: int, rows: Rows) -> None:
        shard = index // self.shard_rows
        assert index not in self.answers[shard], f"{self.step.spec.name}: item {index} was answered twice"
        self.answers[shard][index] = rows
        if self.journal:
            self.account.note()
            if not any(map(_failed, rows)):
                self._note(shard, index, rows)
        self._commit_if_full(shard)

    def flush(self) -> None:
        for shard in list(self.answers):
            self._commit_if_full(shard)

    def _commit_if_full(self, shard: int) -> None:
        answers = self.answers.get(shard)
        if answers is None or len(answers) < len(self.span(shard)):
            return
        rows = [row for index in self.span(shard) for row in answers[index]]
        dropped = [row for row in rows if isinstance(row, Dropped)]
        kept = [row for row in rows if not isinstance(row, Dropped)]
        rows_in = self._rows_in(shard)
        now = time.monotonic()
        seconds = now - max(self.started[shard], self.clock)  # shards overlap in the engine's window: no second counts twice
        self.clock = now
        count = len(rows) if rows_in is None else rows_in
        self.account.book(lambda used: self.step.commit(shard, count, kept, dropped, seconds, used))
        self._journal_path(shard).unlink(missing_ok=True)
        del self.answers[shard]
        self.committed += 1

    def _rows_in(self, shard: int) -> int | None:
        span = self.span(shard)
        if self.fan is None:
            return None
        return self.fan * len(span) if self.fan else sum(len(cast(Sized, self.items[i])) for i in span)

    def check(self, entry: ShardEntry) -> None:
        """Raise `UsageError` for a committed shard that is not cut as this version cuts."""
        if entry.index >= self.shards or self._rows_in(entry.index) not in (None, entry.rows_in):
            raise UsageError(
                f"shard {entry.index} of `{self.step.spec.name}` was cut in another size",
                where=str(self.step.folder),
                remedy="finish the run with the version that began it, or delete the folder to redo the step",
            )

    def _journal_path(self, shard: int) -> Path:
        return self.step.folder / f"journal-{shard:05d}.jsonl"

    def _note(self, shard: int, index: int, rows: Rows) -> None:
        text = canonical([index, self._payload(index), [[type(row).__name__, as_dict(row)] for row in rows]])
        path = self._journal_path(shard)
        with disk_errors(path), open(path, "a", encoding="utf-8") as file:
            file.write(sealed(text))

    def _payload(self, index: int) -> str:
        """A hash of an item: what was answered for another one is no answer to it."""
        return hashlib.sha256(repr(self.items[index]).encode(errors="surrogatepass")).hexdigest()[:16]

    def _recall(self, shard: int) -> dict[int, Rows]:
        """Answers of a killed process. A torn last line is cut off, since appending to it would lose the next one too; a damaged line
        is passed over, and its item is worked on again; so is one of an item that has changed."""
        path, found = self._journal_path(shard), cast(dict[int, Rows], {})
        if not path.is_file():
            return found
        raw = path.read_bytes()
        for text in unsealed(raw):
            index, payload, rows = json.loads(text)
            if index in self.span(shard) and payload == self._payload(index):
                found[index] = [_revive(self._class(name), fields) for name, fields in rows]
        with disk_errors(path), open(path, "r+b") as file:
            file.truncate(raw.rfind(b"\n") + 1)
        return {index: found[index] for index in self.span(shard) if index in found}

    def _class(self, name: str) -> type[Record]:
        return Dropped if name == Dropped.__name__ or self.step.spec.record is None else self.step.spec.record


def _failed(row: Record) -> bool:
    """Whether a row only says that no answer came: a later process may ask again as long as its shard is open."""
    return Drop.FAILED in (getattr(row, name, None) for name in ("reason", "invalid", "rejected"))


def _revive(record: type[Record], fields: Mapping[str, Any]) -> Record:
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
    return record(**values)


class MemoryWorkplace:
    """Runs steps without keeping them, for studies and tests. Artifacts go below `folder` (temporary when None)."""

    def __init__(self, folder: Path | None = None, watch: Watch | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp()) if folder is None else folder
        if folder is None:
            weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.meter = Meter()
        self.watch: Watch = watch or (lambda progress: None)

    def rows(
        self, spec: StepSpec, items: Sequence[T], work: Work[T], *, shard_rows: int, journal: bool = False, fan: int | None = 1
    ) -> Table[Any]:
        """See `Workplace.rows`."""
        answers = dict(work(Task(i, i // max(1, shard_rows), item) for i, item in enumerate(items)))
        rows = [row for index in range(len(items)) for row in answers[index]]
        assert spec.record is not None
        kept = [row for row in rows if not isinstance(row, Dropped)]
        dropped = [row for row in rows if isinstance(row, Dropped)]
        return Table(to_table(kept, spec.record), to_table(dropped, Dropped), spec.key, spec.record)

    def artifact(self, spec: StepSpec, make: Callable[[Path], tuple[str, Mapping[str, Any]]]) -> Artifact:
        """See `Workplace.artifact`."""
        path = self.folder / spec.name / spec.key
        path.mkdir(parents=True, exist_ok=True)
        digest, info = make(path)
        _remove(checkpoints_beside(path))
        return Artifact(path, digest, info)
