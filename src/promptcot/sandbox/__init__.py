"""Where untrusted programs run: bubblewrap, a system-call filter, limits, and a keeper that ends what it started.

Two ways in. `start` runs one long-lived command and talks to it over pipes:

    start(argv, limits, *, readable=(), files=(), stderr=False) -> Process
    Process.stdin, .stdout   unbuffered binary pipes        Process.alive   bool
    Process.kill() -> Ending                                Process.wait() -> Ending     also a context manager

`available()` says which sandbox works here and raises `MissingHere` (exit code 5) where none does; nothing ever runs unprotected.

Not covered: holes of the kernel, which is shared. See docs/threat-model.md.
"""

from __future__ import annotations

import functools
import subprocess
from dataclasses import dataclass
from pathlib import Path

from promptcot.errors import MissingHere
from promptcot.sandbox import bubblewrap
from promptcot.sandbox.bubblewrap import Bubblewrap, Inside
from promptcot.sandbox.limits import Limits
from promptcot.sandbox.process import Ending, Process, SandboxFault, begin, start

__all__ = ["Available", "Ending", "Limits", "Process", "SandboxFault", "available", "start"]


@dataclass(frozen=True)
class Available:
    """The sandbox that works here."""

    binary: Bubblewrap

    @property
    def kind(self) -> str:
        """As people read it."""
        return f"bubblewrap {self.binary.version} ({self.binary.origin}) + seccomp"


@functools.cache
def available() -> Available:
    """Try once per process whether a sandbox really starts. Raises `MissingHere` with the command that mends it."""
    binary = bubblewrap.find()
    with begin(binary, Inside((bubblewrap.interpreter(), "-I", "-S", "-c", "print('up')"), Limits()), stderr=subprocess.PIPE) as trial:
        said = trial.stdout.read()
        complaint = trial.stderr.read().decode(errors="replace").strip() if trial.stderr else ""
    if said != b"up\n":
        raise MissingHere(f"no sandbox starts here: {complaint or 'no word from it'}", where=binary.path, remedy=remedy())
    return Available(binary)


def remedy() -> str:
    """The command that most likely mends a sandbox that does not start, from what the kernel says about itself."""
    switches = (
        ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "0", "1"),
        ("/proc/sys/kernel/unprivileged_userns_clone", "1", "0"),
        ("/proc/sys/user/max_user_namespaces", "15000", "0"),
    )
    for path, good, bad in switches:
        if Path(path).is_file() and Path(path).read_text().strip() == bad:
            return f"sysctl -w {path.removeprefix('/proc/sys/').replace('/', '.')}={good}"
    return (
        "allow user namespaces: in a container start it with --security-opt seccomp=unconfined --security-opt apparmor=unconfined"
        " --security-opt systempaths=unconfined; or give the address of a remote runner"
    )
