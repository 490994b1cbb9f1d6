"""Where untrusted programs run: bubblewrap, a system-call filter, limits, and a keeper that ends what it started.

Two ways in. `start` runs one long-lived command and talks to it over pipes:

    start(argv, limits, *, readable=(), files=(), stderr=False) -> Process
    Process.stdin, .stdout   unbuffered binary pipes        Process.alive   bool
    Process.kill() -> Ending                                Process.wait() -> Ending     also a context manager

`available()` says which sandbox works here and raises `MissingHere` (exit code 5) where none does; nothing ever runs unprotected.

Not covered: holes of the kernel, which is shared. See docs/threat-model.md.
"""

from __future__ import annotations

from promptcot.sandbox.launching import Available, available, start
from promptcot.sandbox.limits import Limits
from promptcot.sandbox.process import Ending, Process, SandboxFault

__all__ = ["Available", "Ending", "Limits", "Process", "SandboxFault", "available", "start"]
