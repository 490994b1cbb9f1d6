"""This side of a supervisor: starts it in a sandbox, gives it one test at a time, hears what the program says.

The program's input lies in a sealed file in memory, which is its stdin; stdout, stderr and a returned value come back through pipes of the
test's own, straight from the program. The supervisor sees none of it (see `supervisor`).
"""

from __future__ import annotations

import contextlib
import marshal
import os
import re
import resource
import select
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import promptcot.sandbox.bubblewrap as bubblewrap
import promptcot.sandbox.seccomp as seccomp
from promptcot.sandbox.bubblewrap import Inside
from promptcot.sandbox.launching import launch
from promptcot.sandbox.limits import MIB, Limits
from promptcot.sandbox.process import Ending, SandboxFault, compiled, content

STOPPED = "stopped"
"""Why a test ended that was stopped from here."""
_INSIDE = ("entry", "loading", "looking", "supervisor", "values")
_FOLDER = "/sandbox/promptcot/sandbox"
_TAIL = 4096
_IMPORT = re.compile(rb"^[ \t]*(?:from|import)[ \t](.*)", re.MULTILINE)
_SHARED = re.compile(
    rb"\b(array|bisect|cmath|collections|copy|dataclasses|datetime|decimal|enum|fractions|functools|heapq|itertools|json|math|numbers|operator"
    rb"|random|re|statistics|string|textwrap|typing)\b"
)
"""Modules of the standard library that a program's tests share: loaded once, before anything of the program is."""


@dataclass(frozen=True)
class Answer:
    """What came back of one test. `why`: empty for the program's own end, "nonamespaces", or the limit that ended it."""

    why: str
    code: int
    cpu_s: float
    wall_s: float
    peak: int
    stdout: bytes
    stderr: bytes
    value: bytes


class Supervised:
    """A program in a sandbox, ready for its tests. `kind`: binary, script or function. Not `nested`: good for one test."""

    def __init__(self, kind: str, text: bytes, function: str, limits: Limits, nested: bool) -> None:
        self._output = limits.output_mb * MIB
        files = [
            *((f"{_FOLDER}/{name}.pyc", compiled(Path(__file__).with_name(f"{name}.py"))) for name in _INSIDE),
            ("/sandbox/strict.bpf", seccomp.assemble(bubblewrap.machine(), seccomp.Strength.STRICT)),
            ("/sandbox/job", marshal.dumps(_job(kind, function, _named(text) if kind != "binary" else (), limits, nested))),
            ("/program/main" if kind == "binary" else "/program/main.py", text),
        ]
        # Isolated as by -I, but for the environment, which is ours: its PYTHONHASHSEED makes verdicts repeat.
        command = (bubblewrap.interpreter(), "-s", "-P", "-S", f"{_FOLDER}/supervisor.pyc")
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            whole = replace(limits, cpu_s=None, wall_s=None)  # these are the tests' own
            inside = Inside(command, whole, tuple(files), supervisor=True)
            self._process = launch(inside, stderr=subprocess.DEVNULL, stdin=theirs.fileno())
        except BaseException:
            self._channel.close()
            raise
        finally:
            theirs.close()

    def run(self, given: bytes) -> Answer:
        """One test. Raises `SandboxFault` or `OSError` when the sandbox ends before its answer."""
        with contextlib.ExitStack() as opened:
            stdin = content(given)
            opened.callback(os.close, stdin)
            pipes = {}
            for name in ("stdout", "stderr", "value"):
                pipes[name] = os.pipe()
                opened.callback(os.close, pipes[name][0])
            theirs = [end for _, end in pipes.values()]
            try:
                socket.send_fds(self._channel, [b"t"], [stdin, *theirs])
            finally:
                for end in theirs:
                    os.close(end)
            heard = _Heard({ours: name for name, (ours, _) in pipes.items()}, self._output)
            why, code, cpu_s, wall_s, peak = heard.follow(self._channel)
            if heard.much and why in ("", STOPPED):
                why = "output"
            return Answer(why, code, cpu_s, wall_s, peak, heard.text("stdout"), heard.text("stderr")[-_TAIL:], heard.text("value"))

    def kill(self) -> Ending:
        """End the sandbox."""
        return self._process.kill()

    def close(self) -> None:
        """End the sandbox, and close what belongs to it."""
        try:
            self._process.close()
        finally:
            self._channel.close()


class _Heard:
    """What a program says."""

    def __init__(self, names: Mapping[int, str], limit: int) -> None:
        self.names, self.limit = names, limit
        self.parts: dict[str, list[bytes]] = {name: [] for name in names.values()}
        self.sizes = dict.fromkeys(self.parts, 0)

    @property
    def much(self) -> bool:
        """Whether it is more than allowed."""
        return max(self.sizes.values()) > self.limit

    def text(self, name: str) -> bytes:
        """As much of it as is allowed."""
        return b"".join(self.parts[name])[: self.limit]

    def follow(self, channel: socket.socket) -> tuple[str, int, float, float, int]:
        """Listen until the supervisor answers, which it does when nothing of the test is left."""
        poller, answers = select.poll(), channel.fileno()
        for fd in (answers, *self.names):
            poller.register(fd, select.POLLIN)
        for fd in self.names:
            os.set_blocking(fd, False)
        stopped = False
        while answers not in (ready := [fd for fd, _ in poller.poll()]):
            for fd in ready:
                if self.take(fd) == 0:
                    poller.unregister(fd)
            if self.much and not stopped:
                channel.send(b"s")
                stopped = True
                for fd in self.names:
                    with contextlib.suppress(KeyError):  # ended already
                        poller.unregister(fd)
        said = channel.recv(1 << 12)
        if not said:
            raise SandboxFault("the sandbox ended before its answer")
        for fd in self.names:
            while not self.much and self.take(fd):
                pass
        try:  # text, never marshal or pickle: who broke out of the test could say anything here
            why, code, cpu_s, wall_s, peak = said.decode().split("|")
            return why, int(code), float(cpu_s), float(wall_s), int(peak)
        except ValueError:
            raise SandboxFault("the sandbox's answer cannot be read") from None

    def take(self, fd: int) -> int | None:
        """How many bytes there were: 0 at the end, None where there are none now."""
        try:
            part = os.read(fd, 1 << 16)
        except BlockingIOError:
            return None
        self.parts[self.names[fd]].append(part)
        self.sizes[self.names[fd]] += len(part)
        return len(part)


def _named(source: bytes) -> list[str]:
    """The shared modules that its import statements name; one too many does no harm."""
    return sorted({name.decode() for line in _IMPORT.findall(source) for name in _SHARED.findall(line)})


def _job(kind: str, function: str, modules: Sequence[str], limits: Limits, nested: bool) -> dict[str, object]:
    """What the supervisor is told."""
    cpu_s = limits.cpu_s if limits.cpu_s is not None else 1e9
    return {
        "kind": kind,
        "function": function,
        "modules": list(modules),
        "nested": nested,
        "limits": bubblewrap.settings(limits, supervisor=True),
        "cpu_s": cpu_s,
        "wall_s": limits.wall_s if limits.wall_s is not None else 1e9,
        "memory": limits.memory,
        "tmpfs": f"mode=1777,size={limits.files_mb * MIB},nr_inodes=20000".encode(),
        "rlimits": [
            (resource.RLIMIT_CPU, bubblewrap.cpu_seconds(cpu_s)),
            (resource.RLIMIT_NPROC, limits.processes + bubblewrap.SUPERVISORS),
        ],
    }
