"""Files that survive a kill: written aside, synced, renamed into place. JSON carries a check of its own content.

    write_json(RUN/stages.json, {"done": ["seeds"]})   ->   .stages.json.PID.tmp, fsync, rename, fsync of the folder

A file is either the old one or the new one, never a part of it. A byte that changed later is noticed when the file is read.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from promptcot.errors import UsageError

CHECK = "check"
"""The key under which a JSON file carries the hash of its other keys."""
_ORPHAN = re.compile(r"\..+\.\d+\.tmp")


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def aside(path: Path) -> Path:
    """Where this process writes `path` before it is whole."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def remove_orphans(folder: Path) -> None:
    """Delete what killed processes left unfinished below `folder`. Only for who knows that no other process writes there."""
    for path in [p for p in folder.rglob(".*.tmp") if _ORPHAN.fullmatch(p.name)]:
        with disk_errors(path):
            path.unlink()


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON atomically and durably, with its check."""
    with disk_errors(path), open(aside(path), "w", encoding="utf-8") as file:
        json.dump({**value, CHECK: _check(value)}, file, indent=1, sort_keys=True, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    publish(aside(path), path)


def read_json(path: Path, remedy: str = "restore the file, or delete it to redo this part") -> dict[str, Any]:
    """Read a JSON object. Raises `UsageError` naming a damaged file; a file without a check is taken as it is."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise UsageError(f"cannot read: {error}", where=str(path), remedy=remedy) from error
    if not isinstance(value, dict):
        raise UsageError("not a JSON object", where=str(path), remedy=remedy)
    check = value.pop(CHECK, None)
    if check is not None and check != _check(value):
        raise UsageError("the file is damaged: it does not match its own checksum", where=str(path), remedy=remedy)
    return value


def _check(value: Mapping[str, Any]) -> str:
    """A hash of what a reader will get: through JSON once, so that keys are text."""
    return hashlib.sha256(canonical(json.loads(json.dumps(value))).encode()).hexdigest()[:16]


def sealed(text: str) -> str:
    """One line of a log that is appended to, with its check: a torn or damaged line is told from a whole one."""
    return f"{zlib.crc32(text.encode()):08x} {text}\n"


def unsealed(raw: bytes) -> Iterator[bytes]:
    """The texts of a log's whole lines."""
    for line in raw[: raw.rfind(b"\n") + 1].splitlines():
        check, _, text = line.partition(b" ")
        if check == b"%08x" % zlib.crc32(text):
            yield text


def publish(temporary: Path, final: Path) -> None:
    """Rename a finished, synced file or folder into place and make the rename durable."""
    with disk_errors(final):
        os.replace(temporary, final)
        sync_folder(final.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, durably."""
    missing = [path for path in (folder, *folder.parents) if not path.is_dir()]
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path in missing:
            sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Flush all files below a folder, and the folders."""
    for path in [*sorted(folder.rglob("*")), folder]:
        with disk_errors(path):
            if path.is_dir():
                sync_folder(path)
            elif path.is_file():
                with open(path, "rb") as file:
                    os.fsync(file.fileno())


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


@contextmanager
def full_disk(path: Path) -> Iterator[None]:
    """`disk_errors` around code that may fail in other ways too: only a disk that takes no more is translated."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS):
            raise
        with disk_errors(path):
            raise
