"""What a sandbox might leave on this machine: processes, descriptors, mounts, temporary files, control groups."""

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Traces:
    processes: frozenset[str]
    descriptors: int
    mounts: str
    temporary: frozenset[str]
    groups: frozenset[str]

    @classmethod
    def now(cls) -> "Traces":
        return cls(
            frozenset(sandboxed()),
            len(os.listdir("/proc/self/fd")),
            Path("/proc/self/mountinfo").read_text(),
            frozenset(name for name in os.listdir(tempfile.gettempdir()) if "sandbox" in name),
            frozenset(str(path) for path in Path("/sys/fs/cgroup").glob("**/promptcot-sandbox-*") if not _foreign(path)),
        )


def sandboxed() -> list[str]:
    """Processes of any sandbox that this process, or one that it started, has to answer for: keepers by their command line, and what has
    entered namespaces of process ids below."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                line = Path(f"/proc/{name}/cmdline").read_bytes()
            except OSError:
                continue
            if b"/sandbox/keeper.py" in line or b"/sandbox/entry.py" in line or b"/sandbox/supervisor.py" in line or MARK in line:
                found.append(f"{name} {line[:200]!r}")
    return found


MARK = b"promptcot-test-mark"
"""In the command line of what tests start."""


def _foreign(path: Path) -> bool:
    """Of a keeper that is alive, so not left behind."""
    return Path(f"/proc/{path.name.rpartition('-')[2]}").exists()


def wait_until_gone(seconds: float = 20) -> list[str]:
    """What is still there after a while."""
    end = time.monotonic() + seconds
    while (left := sandboxed()) and time.monotonic() < end:
        time.sleep(0.02)
    return left
