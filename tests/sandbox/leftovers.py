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


MARK = f"promptcot-test-mark-{os.getpid()}".encode()
"""In the command line of what the tests of this process start: others may run sandboxes beside it."""


OTHERS: set[str] = set()
"""Keepers that tests elsewhere keep at work, such as a shared scorer's: by process id."""


def note_others() -> None:
    """Remember the keepers that are here before a module's tests."""
    OTHERS.clear()
    OTHERS.update(line.split()[0] for line in sandboxed())


def sandboxed() -> list[str]:
    """Processes with the mark, and keepers that are children of this process; those of others left out."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid() and name not in OTHERS:
            try:
                line = Path(f"/proc/{name}/cmdline").read_bytes()
                parent = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            if MARK in line or (b"/sandbox/keeper.py" in line and int(parent) == os.getpid()):
                found.append(f"{name} {line[:200]!r}")
    return found


def back_to(before: Traces, seconds: float = 10) -> bool:
    """Whether all is as it was, after a while: a killed keeper's control group goes with the next sandbox, be it another's."""
    end = time.monotonic() + seconds
    while Traces.now() != before and time.monotonic() < end:
        time.sleep(0.05)
    return Traces.now() == before


def _foreign(path: Path) -> bool:
    """Of a keeper that is alive, so not left behind."""
    return Path(f"/proc/{path.name.rpartition('-')[2]}").exists()


def wait_until_gone(seconds: float = 20) -> list[str]:
    """What is still there after a while."""
    end = time.monotonic() + seconds
    while (left := sandboxed()) and time.monotonic() < end:
        time.sleep(0.02)
    return left
