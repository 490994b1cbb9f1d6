"""A run on disk: `RUN/<step>/<key>/`, one folder per step and settings, and the commit protocol.

    RUN/run.json                       format version and recipe
    RUN/lock                           held by the process that writes
    RUN/<step>/current.json            the key in use, and keys kept on purpose
    RUN/<step>/<key>/part-00000.parquet, dropped-00000.parquet, shard-00000.json
    RUN/<step>/<key>/manifest.json     written last: the step is complete
    RUN/<step>/<key>/artifact/         instead of parts, where a step makes files (a model, the report)

A shard is committed by: temporary file, fsync, rename, fsync of the folder, for each data file; then the same for its
`shard-*.json`, which carries their sha256. Only that last rename counts; anything else found on resume is an orphan and is
overwritten. Times and hosts are in manifests, never in keys or tables.

Limits: the lock is `flock`, so one machine (or a network file system that implements it) writes a run at a time.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import socket
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import pyarrow as pa

from promptcot.durable import (
    aside,
    canonical,
    disk_errors,
    make_folder,
    publish,
    read_json,
    remove_orphans,
    sha256_of,
    sync_tree,
    write_json,
)
from promptcot.errors import UsageError
from promptcot.records import Dropped, Record
from promptcot.tables import read_parquet, write_parquet
from promptcot.usage import Usage, total

FORMAT = 1
_KEY = re.compile("[0-9a-f]{16}")


@dataclass(frozen=True)
class StepSpec:
    """What makes a step's result: its `name`, row class (None for an artifact), the integer `schema` bumped by hand when the
    code's meaning changes, the settings that can change results, and the digests of what it reads."""

    name: str
    record: type[Record] | None
    schema: int
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]

    @cached_property
    def key(self) -> str:
        """16 hex digits over everything above."""
        content = {
            "name": self.name,
            "record": self.record.__name__ if self.record else "artifact",
            "schema": self.schema,
            "settings": self.settings,
            "inputs": self.inputs,
        }
        return hashlib.sha256(canonical(content).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class ShardEntry:
    """A committed shard: rows in, rows out, drops by reason, file hashes, seconds of work, and what was used since the shard committed
    before it (the fields of `Usage`; absent where nothing was counted)."""

    index: int
    rows_in: int
    rows_out: int
    dropped: Mapping[str, int]
    sha256: Mapping[str, str]
    seconds: float
    usage: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """A finished step. `digest` covers content only: later keys are built on it."""

    step: str
    key: str
    digest: str
    rows_in: int
    rows_out: int
    dropped: Mapping[str, int]
    seconds: float
    shards: int
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    info: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """An artifact's files with their sha256; a table's are in its shards' entries."""
    usage: Mapping[str, float] = field(default_factory=dict)
    """What the engines (or a fit) used for it: the sum over its shards, and what it took to close the engine after the last one."""


T = TypeVar("T", Manifest, ShardEntry)


def load_entry(path: Path, cls: type[T], remedy: str) -> T:
    """Read a manifest or a shard's entry. Raises `UsageError` naming a damaged file."""
    try:
        return cls(**read_json(path, remedy))
    except TypeError as error:
        raise UsageError(f"not a {cls.__name__}: {error}", where=str(path), remedy=remedy) from error


def entries_in(folder: Path) -> dict[int, ShardEntry]:
    """The entries of a step folder's committed shards, by index."""
    remedy = "delete it, and manifest.json beside it, to redo this shard alone"
    entries = (load_entry(path, ShardEntry, remedy) for path in sorted(folder.glob("shard-*.json")))
    return {entry.index: entry for entry in entries}


class Step:
    """One step's folder: committed shards, and the commit itself."""

    def __init__(self, run: Run, spec: StepSpec) -> None:
        self.run, self.spec = run, spec
        self.folder = run.path / spec.name / spec.key

    @property
    def manifest(self) -> Manifest | None:
        """The manifest of a finished step, else None."""
        path = self.folder / "manifest.json"
        return load_entry(path, Manifest, "delete it: it is made anew from what is committed") if path.is_file() else None

    def committed(self) -> dict[int, ShardEntry]:
        """Committed shards by index; `verify` checks their files."""
        return entries_in(self.folder)

    def verify(self) -> None:
        """Check every committed file against its hash. Raises `UsageError` naming the damaged or missing file."""
        entries, manifest = self.committed(), self.manifest
        for entry in entries.values():
            redo = f"delete {shard_name('shard', entry.index, 'json')}, and manifest.json beside it, to redo this shard alone"
            self._check(self.folder, entry.sha256, redo)
        if manifest is not None:
            self._check(self.folder / "artifact", manifest.files, f"delete {self.folder / 'manifest.json'} to redo this step")
            missing = sorted(set(range(manifest.shards)) - entries.keys())
            if missing:
                raise UsageError(
                    "the entry of a finished shard is missing",
                    where=str(self.folder / shard_name("shard", missing[0], "json")),
                    remedy="restore it, or delete manifest.json beside it to redo what is missing",
                )

    def _check(self, folder: Path, files: Mapping[str, str], remedy: str) -> None:
        for name, expected in files.items():
            path = folder / name
            if not path.is_file() or sha256_of(path) != expected:
                raise UsageError("a committed file is damaged or missing", where=str(path), remedy=remedy)

    def commit(
        self, index: int, rows_in: int, kept: Sequence[Record], dropped: Sequence[Dropped], seconds: float, usage: Usage | None = None
    ) -> None:
        """Commit one shard. Rows in must equal rows out plus drops. A shard already committed is left alone."""
        entry_path = self.folder / shard_name("shard", index, "json")
        if entry_path.exists():
            return
        record = self.spec.record
        assert record is not None, f"{self.spec.name} makes no rows"
        if rows_in != len(kept) + len(dropped):
            raise AssertionError(f"{self.spec.name}: {rows_in} rows in, but {len(kept)} out and {len(dropped)} dropped")
        files = {shard_name("part", index, "parquet"): (kept, record)}
        if dropped:
            files[shard_name("dropped", index, "parquet")] = (dropped, Dropped)
        hashes = {name: self._write(name, rows, cls) for name, (rows, cls) in files.items()}
        reasons = Counter(row.reason for row in dropped)
        used = usage.to_json() if usage else {}
        entry = ShardEntry(index, rows_in, len(kept), dict(sorted(reasons.items())), hashes, round(seconds, 3), used)
        write_json(entry_path, entry.__dict__)

    def _write(self, name: str, rows: Sequence[Record], record: type[Record]) -> str:
        path = self.folder / name
        temporary = aside(path)
        with disk_errors(path):
            write_parquet(rows, record, temporary)
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
        digest = sha256_of(temporary)
        publish(temporary, path)
        return digest

    def finish(self, shards: int, info: Mapping[str, Any] | None = None, *, rest: Usage | None = None) -> Manifest:
        """Write the manifest once all shards are committed; the step is then complete. `rest` was used after the last commit."""
        entries = self.committed()
        assert entries.keys() == set(range(shards)), f"{self.spec.name}: {shards} shards wanted, committed are {sorted(entries)}"
        parts = {name: value for entry in entries.values() for name, value in entry.sha256.items() if name.startswith("part-")}
        reasons: Counter[str] = Counter()
        for entry in entries.values():
            reasons.update(entry.dropped)
        manifest = Manifest(
            step=self.spec.name,
            key=self.spec.key,
            digest=hashlib.sha256(canonical(parts).encode()).hexdigest()[:32],
            rows_in=sum(e.rows_in for e in entries.values()),
            rows_out=sum(e.rows_out for e in entries.values()),
            dropped=dict(sorted(reasons.items())),
            seconds=round(sum(e.seconds for e in entries.values()), 3),
            shards=shards,
            settings=self.spec.settings,
            inputs=self.spec.inputs,
            info=info or {},
            usage=total((rest or Usage(), *(Usage.of(e.usage) for e in entries.values()))).to_json(),
        )
        write_json(self.folder / "manifest.json", manifest.__dict__)
        return manifest

    def publish_artifact(
        self, temporary: Path, digest: str, seconds: float, info: Mapping[str, Any], usage: Usage | None = None
    ) -> Manifest:
        """Move a finished folder into place and write the manifest."""
        final = self.folder / "artifact"
        sync_tree(temporary)
        files = {str(path.relative_to(temporary)): sha256_of(path) for path in sorted(temporary.rglob("*")) if path.is_file()}
        if final.exists():
            shutil.rmtree(final)
        publish(temporary, final)
        manifest = Manifest(
            step=self.spec.name,
            key=self.spec.key,
            digest=digest,
            rows_in=0,
            rows_out=0,
            dropped={},
            seconds=round(seconds, 3),
            shards=0,
            settings=self.spec.settings,
            inputs=self.spec.inputs,
            info=dict(info),
            files=files,
            usage=usage.to_json() if usage else {},
        )
        write_json(self.folder / "manifest.json", manifest.__dict__)
        return manifest

    def table(self, kind: str = "part") -> pa.Table:
        """The committed rows (`part`) or drops (`dropped`) as an Arrow table, in shard order."""
        record = Dropped if kind == "dropped" else self.spec.record
        assert record is not None
        entries = sorted(self.committed().items())
        names = [name for index, entry in entries if (name := shard_name(kind, index, "parquet")) in entry.sha256]
        return read_parquet([self.folder / name for name in names], record)


def shard_name(kind: str, index: int, ending: str) -> str:
    """`part-00007.parquet` and the like."""
    return f"{kind}-{index:05d}.{ending}"


class Run:
    """A run folder. `Run.create` or `Run.open`, then `with run.writing():` around all work."""

    def __init__(self, path: Path, recipe: Mapping[str, Any]) -> None:
        self.path, self.recipe = path, recipe
        self._replaced: Mapping[str, Any] | None = None

    @classmethod
    def create(cls, path: Path, recipe: Mapping[str, Any]) -> Run:
        """The run at `path`, a new folder or one that holds a run. The recipe is stored once the lock is held."""
        if path.exists() and not path.is_dir():
            raise UsageError("the run folder is a file", where=str(path), remedy="choose another --run")
        if (path / "run.json").is_file():
            _stored(path)
        elif path.is_dir() and any(path.iterdir()) and not (path / "lock").is_file():
            raise UsageError("the folder holds something that is not a run", where=str(path), remedy="choose an empty or new --run folder")
        make_folder(path)
        return cls(path, recipe)

    @classmethod
    def open(cls, path: Path) -> Run:
        """Open an existing run. Raises `UsageError` when there is none."""
        marker = path / "run.json"
        if not marker.is_file():
            raise UsageError("no run here", where=str(path), remedy="start one with `promptcot run RECIPE --run DIR`")
        return cls(path, _stored(path))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the run's lock, with the recipe stored. Raises `UsageError` when another process writes here."""
        with disk_errors(self.path / "lock"):
            handle = open(self.path / "lock", "a+", encoding="utf-8")  # noqa: SIM115 - closed below, with the lock
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.seek(0)
                raise UsageError(
                    f"another process is working in this run ({handle.read().strip() or 'unknown'})",
                    where=str(self.path),
                    remedy="wait for it, end it, or choose another --run",
                ) from None
            with disk_errors(self.path / "lock"):
                handle.truncate(0)
                handle.write(f"pid {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}")
                handle.flush()
            remove_orphans(self.path)
            self._store()
            yield
        finally:
            handle.close()

    def _store(self) -> None:
        """Store the recipe, remembering the one it takes the place of."""
        before = _stored(self.path) if (self.path / "run.json").is_file() else None
        if before != self.recipe:
            self._replaced = before
            write_json(self.path / "run.json", {"format": FORMAT, "recipe": self.recipe})

    def put_back(self) -> None:
        """Store the former recipe again: the new one was refused, and a resume must not meet it."""
        if self._replaced is not None:
            write_json(self.path / "run.json", {"format": FORMAT, "recipe": self._replaced})
            self._replaced = None

    def step(self, spec: StepSpec) -> Step:
        """The step's folder under its key (not created until something is committed)."""
        return Step(self, spec)

    def current(self, name: str) -> str | None:
        """The key in use for a step, else None."""
        return cast(str | None, self.pointer(name).get("key"))

    def kept(self, name: str) -> dict[str, Any] | None:
        """What was kept on purpose for a step, else None."""
        return cast(dict[str, Any] | None, self.pointer(name).get("kept"))

    def pointer(self, name: str) -> dict[str, Any]:
        """The `key` in use for a step, the `settings` and `inputs` it stands for, and what was `kept`; empty before the first start."""
        path = self.path / name / "current.json"
        return read_json(path) if path.is_file() else {}

    def point(self, spec: StepSpec) -> None:
        """Make the spec's key the one in use."""
        if self.current(spec.name) != spec.key or self.kept(spec.name):
            self._point(spec.name, {"key": spec.key, "kept": None, "settings": spec.settings, "inputs": spec.inputs})

    def keep(self, name: str, kept: Mapping[str, Any]) -> None:
        """Record that a step's result is kept although its settings changed."""
        self._point(name, {**self.pointer(name), "kept": kept})

    def _point(self, name: str, pointer: Mapping[str, Any]) -> None:
        make_folder(self.path / name)
        write_json(self.path / name / "current.json", pointer)

    def manifest(self, name: str) -> Manifest | None:
        """The manifest of a step's current key, when it is complete."""
        key = self.current(name)
        path = self.path / name / (key or "-") / "manifest.json"
        return load_entry(path, Manifest, "delete it: it is made anew from what is committed") if path.is_file() else None

    def folders(self, name: str) -> list[Path]:
        """The folders of a step's results: the one in use and those of former keys."""
        return [path for path in sorted((self.path / name).iterdir()) if _KEY.fullmatch(path.name) and path.is_dir()]

    def steps(self) -> list[str]:
        """Names of all steps begun, in the order of their first start."""
        found = sorted(self.path.glob("**/current.json"), key=lambda p: (p.parent.stat().st_ctime_ns, str(p)))
        return [str(path.parent.relative_to(self.path)) for path in found]


def _stored(path: Path) -> dict[str, Any]:
    """The recipe in `run.json`. Raises `UsageError` when it is damaged or of another format."""
    marker = path / "run.json"
    stored = read_json(marker, "restore the file, or delete it and run the recipe again with --run: what is committed is kept")
    if stored.get("format") != FORMAT or not isinstance(stored.get("recipe"), dict):
        raise UsageError(f"the run has format {stored.get('format')}, this version reads {FORMAT}", where=str(marker))
    return cast(dict[str, Any], stored["recipe"])
