"""A long-lived command inside a sandbox, spoken to over pipes.

    with start(["python3", "-c", PROGRAM], Limits(cpu_s=None, wall_s=None), readable=["/.../site-packages"]) as process:
        process.stdin.write(b"...\\n")
        process.stdout.readline()

`argv[0]` may be "python3": then it is the interpreter of this process, without its virtual environment, whose packages are not visible
unless their folder is named in `readable` (put it on `sys.path` inside; folders named there appear read-only at their own path).
`kill()`, the end of the `with`, of this process (by whatever signal) or of a limit ends everything that the command started, and `kill()`
and `wait()` return when nothing of it is left. Nothing is inherited: no environment, no descriptor above 2, no network, no home.

Errors: `MissingHere` where no sandbox works; then nothing has run.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import importlib.util
import marshal
import os
import socket
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import promptcot.sandbox.bubblewrap as bubblewrap
import promptcot.sandbox.seccomp as seccomp
from promptcot.errors import MissingHere, PromptcotError
from promptcot.sandbox.bubblewrap import Bubblewrap, Inside
from promptcot.sandbox.limits import MIB

KEEPER = Path(__file__).with_name("keeper.py")
ENTRY = Path(__file__).with_name("entry.py")
_POLL_S = 0.02
_SUPERVISED_POLL_S = 0.1  # its watchers look closer
_OVERHEAD = 64 * MIB  # of bubblewrap, the interpreter and the supervisor, in the control group's bound
_OWN_PROCESSES = 8


LOST = "lost"


class SandboxFault(PromptcotError):
    """The sandbox itself failed: ours, never the program's."""


@dataclass(frozen=True)
class Ending:
    """How a sandbox ended."""

    code: int
    """Exit code; negative for a signal."""
    why: str
    """Empty for the command's own end, else the limit that ended it (memory, cpu, wall), "killed", or "lost": the keeper was killed."""
    cpu_s: float
    """Seconds of CPU, of all its processes as far as seen."""
    peak: int
    """Bytes of memory, of all its processes in sum, the most seen."""


class Process:
    """A command in its sandbox. `stdin`, `stdout` and `stderr` are unbuffered pipes; read them, or the command will wait."""

    def __init__(self, keeper: subprocess.Popen[bytes], control: socket.socket) -> None:
        self._keeper, self._control = keeper, control
        self._ending: Ending | None = None
        self._lock = threading.Lock()
        assert keeper.stdout is not None
        self.stdout: IO[bytes] = keeper.stdout
        self.stderr: IO[bytes] | None = keeper.stderr

    @property
    def stdin(self) -> IO[bytes]:
        """What the command reads, unless it was started with a stdin of its own."""
        assert self._keeper.stdin is not None
        return self._keeper.stdin

    @property
    def alive(self) -> bool:
        """Whether anything of it may still run."""
        return self._ending is None and self._keeper.poll() is None

    def kill(self) -> Ending:
        """End the command and everything it started; returns when nothing is left. May be called twice, and from any thread."""
        with contextlib.suppress(OSError):  # it has ended by itself
            self._control.send(b"k")
        return self.wait()

    def wait(self) -> Ending:
        """Wait for the end."""
        with self._lock:
            if self._ending is None:
                self._ending = self._read_ending()
            return self._ending

    def _read_ending(self) -> Ending:
        said = b""
        while not said.endswith(b"\n") and (part := self._control.recv(1 << 16)):
            said += part
        self._keeper.wait()
        self._control.close()
        if not said.endswith(b"\n"):
            return Ending(self._keeper.returncode, LOST, 0.0, 0)
        code, why, cpu_s, peak = said.decode().split()
        return Ending(int(code), "" if why == "-" else why, float(cpu_s), int(peak))

    def communicate(self, data: bytes = b"", limit: int = 64 * MIB) -> tuple[bytes, bytes]:
        """Send `data`, read stdout and stderr to their end, at most `limit` bytes of each; more ends the command."""
        found: dict[str, bytes] = {}

        def listen(name: str, pipe: IO[bytes]) -> None:
            parts, size = [], 0
            while part := pipe.read(1 << 16):
                parts.append(part)
                size += len(part)
                if size > limit:
                    self.kill()
            found[name] = b"".join(parts)[:limit]

        pipes = {"stdout": self.stdout} | ({} if self.stderr is None else {"stderr": self.stderr})
        threads = [threading.Thread(target=listen, args=pair, daemon=True) for pair in pipes.items()]
        for thread in threads:
            thread.start()
        with contextlib.suppress(OSError):  # the command does not read its input
            view = memoryview(data)
            while view:
                view = view[self.stdin.write(view) :]
        _close(self.stdin)
        for thread in threads:
            thread.join()
        return found.get("stdout", b""), found.get("stderr", b"")

    def close(self) -> None:
        """Kill, and close the pipes."""
        try:
            self.kill()
        finally:
            for pipe in (self._keeper.stdin, self.stdout, self.stderr):
                if pipe is not None:
                    _close(pipe)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def begin(binary: Bubblewrap, inside: Inside, *, stderr: int, stdin: int = subprocess.PIPE) -> Process:
    """`launch` with a binary that need not have been tried before."""
    strength = seccomp.Strength.SUPERVISOR if inside.supervisor else seccomp.Strength.STRICT
    filtered = content(seccomp.assemble(bubblewrap.machine(), strength))
    own = [] if inside.supervisor else [("/sandbox/entry.pyc", compiled(ENTRY))]
    files = [(path, content(data)) for path, data in (*own, *inside.files)]
    ours, theirs = socket.socketpair()
    opened = [filtered, *(fd for _, fd in files)]
    try:
        argv = bubblewrap.command(binary, inside, seccomp=filtered, files=files)
        spec = content(marshal.dumps(_spec(binary, inside, argv, opened)))
        opened.append(spec)
        code = content(compiled(KEEPER))
        opened.append(code)
        passed = (*opened, theirs.fileno())
        # The base interpreter: a virtual environment's would only read its configuration first.
        words = [bubblewrap.interpreter(), "-I", "-S", f"/proc/self/fd/{code}", str(KEEPER), str(spec), str(theirs.fileno())]
        keeper = subprocess.Popen(
            words, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, pass_fds=passed, bufsize=0, start_new_session=True, cwd="/"
        )
    except OSError as error:
        ours.close()
        raise MissingHere(f"the sandbox did not start: {error}", remedy="promptcot doctor") from error
    finally:
        theirs.close()
        for fd in opened:
            os.close(fd)
    return Process(keeper, ours)


def _spec(binary: Bubblewrap, inside: Inside, argv: list[str], fds: list[int]) -> dict[str, object]:
    """What the keeper is told."""
    limits = inside.limits
    return {
        "argv": argv,
        "stage": bubblewrap.stage(binary, inside),
        "fds": fds,
        "parent": os.getpid(),
        "every_s": _SUPERVISED_POLL_S if inside.supervisor else _POLL_S,
        "memory": limits.memory + (_OVERHEAD if inside.supervisor else 0),
        "cpu_s": limits.cpu_s,
        "wall_s": limits.wall_s,
        "cgroup_memory": limits.memory + _OVERHEAD + 2 * limits.files_mb * MIB,
        "cgroup_pids": limits.processes + _OWN_PROCESSES,
    }


@functools.cache
def compiled(path: Path) -> bytes:
    """A module of ours as a `.pyc` file, which starts faster than its source; the interpreter inside is of this one's version."""
    code = compile(path.read_bytes(), path.name, "exec", dont_inherit=True)
    return importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(code)


def content(data: bytes) -> int:
    """A descriptor from which `data` can be read, sealed."""
    fd = os.memfd_create("sandbox", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
    return fd


def _close(pipe: IO[bytes]) -> None:
    with contextlib.suppress(OSError):  # a pipe to a dead process
        pipe.close()
