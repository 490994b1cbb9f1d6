"""Untrusted programs on inputs: what they print, what they use, how they end. What they should have printed is never here.

    with Session(Program(source, Language.PYTHON), Limits()) as session:
        for given in inputs:
            ran = session.run(given)

One sandbox serves all inputs of a program: its supervisor forks for each, in new namespaces of process ids, mounts and shared memory, and
the next input enters when all that the last one started is dead (see `supervisor`). Where the kernel denies such namespaces inside a
sandbox, each input gets a sandbox of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from promptcot.sandbox.compiling import compile_cpp17
from promptcot.sandbox.limits import Limits
from promptcot.sandbox.process import LOST, SandboxFault
from promptcot.sandbox.supervised import Answer, Supervised


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
        self._process: Supervised | None = None
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

    @property
    def _kind(self) -> str:
        if self.program.language is Language.CPP17:
            return "binary"
        return "function" if self.program.function else "script"

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _once(self, given: bytes) -> Ran:
        if self._process is None:
            self._process = Supervised(self._kind, self._text, self.program.function, self.limits, Session.nested)
        try:
            return self._judged(self._process.run(given))
        except (OSError, SandboxFault) as error:
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

    def _judged(self, answer: Answer) -> Ran:
        status = self._status(answer)
        if status is Status.SANDBOX_ERROR and answer.why == "nonamespaces":
            Session.nested = False
        value = answer.value if self.program.function and answer.value != _SYNTAX else b""
        return Ran(status, answer.code, answer.stdout, answer.stderr, value, answer.cpu_s, answer.wall_s, answer.peak)

    def _status(self, answer: Answer) -> Status:
        if answer.why == "nonamespaces":
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


def out_of_memory(stderr: bytes) -> bool:
    """Whether a program's last words are of a refused allocation."""
    lines = stderr.rstrip().splitlines()[-2:]
    return any(word in line for line in lines for word in _REFUSED)


def _encoded(source: str) -> bytes:
    return source.encode("utf-8", "surrogatepass")
