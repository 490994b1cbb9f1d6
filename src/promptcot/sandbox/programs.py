"""Untrusted programs on inputs: what they print, what they use, how they end. What they should have printed is never here.

    with Session(Program(source, Language.PYTHON), Limits()) as session:
        for given in inputs:
            ran = session.run(given)

One sandbox serves all inputs of a program: its supervisor forks for each, in new namespaces of process ids, mounts and shared memory, and
the next input enters when all that the last one started is dead (see `supervisor`). Where the kernel denies such namespaces inside a
sandbox, each input gets a sandbox of its own.
"""

from __future__ import annotations

import marshal
import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import promptcot.sandbox.bubblewrap as bubblewrap
import promptcot.sandbox.seccomp as seccomp
from promptcot.sandbox.bubblewrap import Inside
from promptcot.sandbox.compiling import compile_cpp17
from promptcot.sandbox.launching import launch
from promptcot.sandbox.limits import MIB, Limits
from promptcot.sandbox.process import LOST, Process, SandboxFault

SUPERVISOR = Path(__file__).with_name("supervisor.py")
VALUES = Path(__file__).with_name("values.py")


class Language(StrEnum):
    """What a program is written in."""

    PYTHON = "python"
    CPP17 = "cpp17"


class Status(StrEnum):
    """How a run ended. Whether its output is right is judged elsewhere."""

    EXITED = "exited"  # with code 0
    RUNTIME_ERROR = "runtime_error"
    TIME_LIMIT = "time_limit"
    MEMORY_LIMIT = "memory_limit"
    OUTPUT_LIMIT = "output_limit"
    COMPILE_ERROR = "compile_error"
    SANDBOX_ERROR = "sandbox_error"  # ours


@dataclass(frozen=True)
class Program:
    """Source text. With `function`, an input is `values.encode((positional, named))`, and the value counts in place of what is printed."""

    source: str
    language: Language
    function: str = ""


@dataclass(frozen=True)
class Ran:
    """One run. `stderr` is its end only; `value` the encoded value of a function; seconds of CPU in sum and by the clock; bytes."""

    status: Status
    code: int = 0
    stdout: bytes = b""
    stderr: bytes = b""
    value: bytes = b""
    cpu_s: float = 0.0
    wall_s: float = 0.0
    peak: int = 0


_C_LIKE = r"""^\s*(#\s*include\s*[<"]|using\s+namespace\s+\w+\s*;|(int|signed|auto)\s+main\s*\()"""


def guess(source: str) -> Language:
    """C++ where the text includes headers or defines `main` as C does; else Python."""
    c_like = re.search(_C_LIKE, source, re.MULTILINE)
    return Language.CPP17 if c_like else Language.PYTHON


def run(program: Program, inputs: Iterable[bytes], limits: Limits) -> Iterator[Ran]:
    """Every input in turn; the program's sandbox ends with the iterator."""
    with Session(program, limits) as session:
        for given in inputs:
            yield session.run(given)


class Session:
    """A program, ready to run. Use as a context manager, from one thread; what does not compile answers `COMPILE_ERROR` to every input."""

    nested = True
    """Whether this machine lets a sandbox's supervisor make namespaces; learned at the first run."""

    def __init__(self, program: Program, limits: Limits) -> None:
        self.limits = limits if program.language is Language.PYTHON else replace(limits, stack_mb=max(limits.stack_mb, 256))
        self.program = program
        self._process: Process | None = None
        self._text, self._complaint = _encoded(program.source), b""
        if program.language is Language.CPP17:
            compiled = compile_cpp17(self._text)
            self._text, self._complaint = compiled.binary, compiled.complaint.encode()

    def run(self, given: bytes) -> Ran:
        """One input. A fault of the sandbox is tried again once, in a new one."""
        if self._complaint:
            return Ran(Status.COMPILE_ERROR, stderr=self._complaint)
        for _ in range(3):
            nested = Session.nested
            ran = self._once(given)
            if not nested or ran.status is Status.SANDBOX_ERROR:
                self.close()
            if ran.status is not Status.SANDBOX_ERROR:
                return ran
        return ran

    def close(self) -> None:
        """End the sandbox."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _once(self, given: bytes) -> Ran:
        self._process = self._process or _supervised(self.program, self._text, self.limits, Session.nested)
        try:
            _send(self._process, self._request(given), given)
            return self._judged(_Answer.read(self._process))
        except (OSError, SandboxFault, ValueError) as error:
            return self._lost(str(error))

    def _lost(self, what: str) -> Ran:
        """No answer came. A sandbox that served one input alone may have been ended by its program; else it is a fault of ours."""
        assert self._process is not None
        ending = self._process.kill()
        self.close()
        if ending.why == "memory":
            return Ran(Status.MEMORY_LIMIT, ending.code, cpu_s=ending.cpu_s, peak=ending.peak)
        status = Status.SANDBOX_ERROR if Session.nested or ending.why == LOST else Status.RUNTIME_ERROR
        return Ran(status, ending.code, stderr=what.encode())

    def _request(self, given: bytes) -> dict[str, object]:
        limits = self.limits
        cpu_s = limits.cpu_s if limits.cpu_s is not None else 1e9
        return {
            "input": len(given),
            "function": self.program.function,
            "cpu_s": cpu_s,
            "wall_s": limits.wall_s if limits.wall_s is not None else 1e9,
            "memory": limits.memory,
            "output": limits.output_mb * MIB,
            "files": limits.files_mb * MIB,
            "rlimits": {"CPU": bubblewrap.cpu_seconds(cpu_s), "NPROC": limits.processes + bubblewrap.SUPERVISORS},
        }

    def _judged(self, answer: _Answer) -> Ran:
        status = self._status(answer)
        if status is Status.SANDBOX_ERROR and answer.why == "nonamespaces":
            Session.nested = False
        value = answer.value if self.program.function and answer.value != _SYNTAX else b""
        return Ran(status, answer.code, answer.stdout, answer.stderr, value, answer.cpu_s, answer.wall_s, answer.peak)

    def _status(self, answer: _Answer) -> Status:
        if answer.why in ("fault", "nonamespaces"):
            return Status.SANDBOX_ERROR
        if answer.why in _LIMITS:
            return _LIMITS[answer.why]
        if answer.peak > self.limits.memory:
            return Status.MEMORY_LIMIT
        if self.limits.cpu_s is not None and answer.cpu_s > self.limits.cpu_s:
            return Status.TIME_LIMIT
        if answer.value == _SYNTAX and answer.code:
            return Status.COMPILE_ERROR
        killed = answer.code == _KILLED and 2 * answer.peak > self.limits.memory  # by the kernel
        if answer.code and (killed or out_of_memory(answer.stderr)):
            return Status.MEMORY_LIMIT
        if answer.code or (self.program.function and not answer.value):
            return Status.RUNTIME_ERROR
        return Status.EXITED


_LIMITS = {"time": Status.TIME_LIMIT, "memory": Status.MEMORY_LIMIT, "output": Status.OUTPUT_LIMIT}
_SYNTAX = b"syntax"
_REFUSED = (b"MemoryError", b"std::bad_alloc")
_KILLED = -9


@dataclass(frozen=True)
class _Answer:
    """What the supervisor says of one run."""

    why: str
    code: int
    cpu_s: float
    wall_s: float
    peak: int
    stdout: bytes
    stderr: bytes
    value: bytes

    @classmethod
    def read(cls, process: Process) -> _Answer:
        head = b""
        while not head.endswith(b"\n"):
            head += _exactly(process, 1)
        why, code, cpu_s, wall_s, peak, *lengths = head.decode().split()
        stdout, stderr, value = (_exactly(process, int(length)) for length in lengths)
        return cls(why, int(code), float(cpu_s), float(wall_s), int(peak), stdout, stderr, value)


def out_of_memory(stderr: bytes) -> bool:
    """Whether a program's last words are of a refused allocation."""
    lines = stderr.rstrip().splitlines()[-2:]
    return any(word in line for line in lines for word in _REFUSED)


def _supervised(program: Program, text: bytes, limits: Limits, nested: bool) -> Process:
    binary = program.language is Language.CPP17
    kind = "binary" if binary else "function" if program.function else "script"
    files = [
        ("/sandbox/supervisor.py", SUPERVISOR.read_bytes()),
        ("/sandbox/values.py", VALUES.read_bytes()),
        ("/sandbox/strict.bpf", seccomp.assemble(bubblewrap.machine(), seccomp.Strength.STRICT)),
        ("/program/main" if binary else "/program/main.py", text),
    ]
    # Isolated as by -I, but for the environment, which is ours: its PYTHONHASHSEED makes verdicts repeat.
    command = (bubblewrap.interpreter(), "-s", "-P", "-S", "/sandbox/supervisor.py", kind, str(int(nested)))
    whole = replace(limits, cpu_s=None, wall_s=None)
    return launch(Inside(command, whole, tuple(files), supervisor=True), stderr=subprocess.DEVNULL)


def _send(process: Process, request: dict[str, object], given: bytes) -> None:
    head = marshal.dumps(request)
    view = memoryview(len(head).to_bytes(8, "little") + head + given)
    while view:
        view = view[process.stdin.write(view) :]


def _exactly(process: Process, n: int) -> bytes:
    parts = []
    while n:
        part = process.stdout.read(min(n, 1 << 20))
        if not part:
            raise SandboxFault("the sandbox ended before its answer")
        parts.append(part)
        n -= len(part)
    return b"".join(parts)


def _encoded(source: str) -> bytes:
    return source.encode("utf-8", "surrogatepass")
