"""Which sandbox works here, and commands started in it."""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import promptcot.sandbox.bubblewrap as bubblewrap
from promptcot.errors import MissingHere
from promptcot.sandbox.bubblewrap import Bubblewrap, Inside
from promptcot.sandbox.limits import Limits
from promptcot.sandbox.process import Process, begin


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


def start(
    argv: Sequence[str], limits: Limits, *, readable: Sequence[str] = (), files: Sequence[tuple[str, bytes]] = (), stderr: bool = False
) -> Process:
    """Run `argv` in a sandbox of its own, under its working folder `/tmp`, empty and writable.

    `readable`: host folders, seen read-only at their own path. `files`: (path inside, content), read-only; not below `/tmp`.
    `stderr`: whether to pipe it (read it then); else it is thrown away.
    """
    command = (bubblewrap.interpreter(), *argv[1:]) if argv[0] in ("python", "python3") else tuple(argv)
    shown = tuple(os.path.abspath(path) for path in readable)
    return launch(Inside(command, limits, tuple(files), shown), stderr=subprocess.PIPE if stderr else subprocess.DEVNULL)


def launch(inside: Inside, *, stderr: int, stdin: int = subprocess.PIPE) -> Process:
    """Start a keeper with its sandbox; `stderr` and `stdin` as `subprocess` takes them."""
    return begin(available().binary, inside, stderr=stderr, stdin=stdin)
