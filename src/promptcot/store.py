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
import json
import os
import shutil
import socket
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from promptcot.errors import UsageError
from promptcot.records import Dropped, Record
from promptcot.tables import read_parquet, write_parquet

FORMAT = 1


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
    """A committed shard: rows in, rows out, drops by reason, file hashes, seconds of work."""

    index: int
    rows_in: int
    rows_out: int
    dropped: Mapping[str, int]
    sha256: Mapping[str, str]
    seconds: float


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


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically and durably."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with disk_errors(path), open(temporary, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, sort_keys=True, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    publish(temporary, path)


def publish(temporary: Path, final: Path) -> None:
    """Rename a finished, synced file or folder into place and make the rename durable."""
    with disk_errors(final):
        os.replace(temporary, final)
        sync_folder(final.parent)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """The sha256 of a file, hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an operating-system error while writing `path` into one a person can act on."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"cannot write: {error.strerror or error}",
            where=str(path),
            remedy="free space or rights, then run again: what is committed is kept",
        ) from error


class Step:
    """One step's folder: committed shards, and the commit itself."""

    def __init__(self, run: Run, spec: StepSpec) -> None:
        self.run, self.spec = run, spec
        self.folder = run.path / spec.name / spec.key

    @property
    def manifest(self) -> Manifest | None:
        """The manifest of a finished step, else None."""
        path = self.folder / "manifest.json"
        return Manifest(**read_json(path)) if path.is_file() else None

    def committed(self) -> dict[int, ShardEntry]:
        """Committed shards by index, each checked for the presence and size of its files."""
        entries = (ShardEntry(**read_json(path)) for path in sorted(self.folder.glob("shard-*.json")))
        return {entry.index: entry for entry in entries}

    def verify(self) -> None:
        """Check every committed file against its hash. Raises `UsageError` naming the damaged file."""
        for entry in self.committed().values():
            for name, expected in entry.sha256.items():
                path = self.folder / name
                if not path.is_file() or sha256_of(path) != expected:
                    raise UsageError(
                        "a committed file is damaged or missing",
                        where=str(path),
                        remedy=f"delete {shard_name('shard', entry.index, 'json')} and manifest.json beside it to redo this shard alone",
                    )

    def commit(self, index: int, rows_in: int, kept: Sequence[Record], dropped: Sequence[Dropped], seconds: float) -> None:
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
        entry = ShardEntry(index, rows_in, len(kept), dict(sorted(reasons.items())), hashes, round(seconds, 3))
        write_json(entry_path, entry.__dict__)

    def _write(self, name: str, rows: Sequence[Record], record: type[Record]) -> str:
        path = self.folder / name
        temporary = path.with_name(f".{name}.{os.getpid()}.tmp")
        with disk_errors(path):
            write_parquet(rows, record, temporary)
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
        digest = sha256_of(temporary)
        publish(temporary, path)
        return digest

    def finish(self, shards: int, info: Mapping[str, Any] | None = None) -> Manifest:
        """Write the manifest once all shards are committed; the step is then complete."""
        entries = self.committed()
        missing = sorted(set(range(shards)) - entries.keys())
        assert not missing, f"{self.spec.name}: shards {missing} are not committed"
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
        )
        write_json(self.folder / "manifest.json", manifest.__dict__)
        return manifest

    def publish_artifact(self, temporary: Path, digest: str, seconds: float, info: Mapping[str, Any]) -> Manifest:
        """Move a finished folder into place and write the manifest."""
        final = self.folder / "artifact"
        for path in sorted(temporary.rglob("*")):
            if path.is_file():
                with disk_errors(path), open(path, "rb") as file:
                    os.fsync(file.fileno())
        if final.exists():
            shutil.rmtree(final)
        publish(temporary, final)
        manifest = Manifest(
            self.spec.name, self.spec.key, digest, 0, 0, {}, round(seconds, 3), 0, self.spec.settings, self.spec.inputs, dict(info)
        )
        write_json(self.folder / "manifest.json", manifest.__dict__)
        return manifest

    def table(self, kind: str = "part") -> pa.Table:
        """The committed rows (`part`) or drops (`dropped`) as an Arrow table, in shard order."""
        record = Dropped if kind == "dropped" else self.spec.record
        assert record is not None
        names = [shard_name(kind, index, "parquet") for index in sorted(self.committed())]
        return read_parquet([self.folder / name for name in names if (self.folder / name).exists()], record)


def shard_name(kind: str, index: int, ending: str) -> str:
    """`part-00007.parquet` and the like."""
    return f"{kind}-{index:05d}.{ending}"


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises `UsageError` naming a damaged file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise UsageError(f"cannot read: {error}", where=str(path), remedy="restore the file, or delete it to redo this part") from error
    if not isinstance(value, dict):
        raise UsageError("not a JSON object", where=str(path))
    return value


class Run:
    """A run folder. `Run.create` or `Run.open`, then `with run.writing():` around all work."""

    def __init__(self, path: Path, recipe: Mapping[str, Any]) -> None:
        self.path, self.recipe = path, recipe

    @classmethod
    def create(cls, path: Path, recipe: Mapping[str, Any]) -> Run:
        """Open the run at `path`, making it or replacing its stored recipe."""
        if path.exists() and not path.is_dir():
            raise UsageError("the run folder is a file", where=str(path), remedy="choose another --run")
        if path.is_dir() and any(path.iterdir()) and not (path / "run.json").is_file():
            raise UsageError("the folder holds something that is not a run", where=str(path), remedy="choose an empty or new --run folder")
        with disk_errors(path):
            path.mkdir(parents=True, exist_ok=True)
        if not (path / "run.json").is_file() or read_json(path / "run.json").get("recipe") != recipe:
            write_json(path / "run.json", {"format": FORMAT, "recipe": recipe})
        return cls(path, recipe)

    @classmethod
    def open(cls, path: Path) -> Run:
        """Open an existing run. Raises `UsageError` when there is none."""
        marker = path / "run.json"
        if not marker.is_file():
            raise UsageError("no run here", where=str(path), remedy="start one with `promptcot run RECIPE --run DIR`")
        stored = read_json(marker)
        if stored.get("format") != FORMAT:
            raise UsageError(f"the run has format {stored.get('format')}, this version reads {FORMAT}", where=str(marker))
        return cls(path, stored["recipe"])

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the run's lock. Raises `UsageError` when another process writes here."""
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
            handle.truncate(0)
            handle.write(f"pid {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}")
            handle.flush()
            yield
        finally:
            handle.close()

    def step(self, spec: StepSpec) -> Step:
        """The step's folder under its key (not created until something is committed)."""
        return Step(self, spec)

    def current(self, name: str) -> str | None:
        """The key in use for a step, else None."""
        path = self.path / name / "current.json"
        return str(read_json(path)["key"]) if path.is_file() else None

    def point(self, name: str, key: str, kept: Mapping[str, Any] | None = None) -> None:
        """Make `key` the one in use for a step. `kept` records a result kept although the settings changed."""
        if self.current(name) != key or kept:
            write_json(self.path / name / "current.json", {"key": key, "kept": kept})

    def kept(self, name: str) -> dict[str, Any] | None:
        """What was kept on purpose for a step, else None."""
        path = self.path / name / "current.json"
        return read_json(path).get("kept") if path.is_file() else None

    def manifest(self, name: str) -> Manifest | None:
        """The manifest of a step's current key, when it is complete."""
        key = self.current(name)
        path = self.path / name / (key or "-") / "manifest.json"
        return Manifest(**read_json(path)) if path.is_file() else None

    def steps(self) -> list[str]:
        """Names of all steps begun, in the order of their first start."""
        found = sorted(self.path.glob("**/current.json"), key=lambda p: (p.parent.stat().st_ctime_ns, str(p)))
        return [str(path.parent.relative_to(self.path)) for path in found]
