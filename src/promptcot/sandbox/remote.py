"""Programs on a server elsewhere, by SandboxFusion's protocol: `POST /run_code`, one request a test.

For programs that may attack the kernel, or machines without a sandbox. Expected outputs stay here; the verdicts come from the same
comparison. Unlike the local sandbox a server says how long a program took by the clock only, so the limit on CPU time is not enforced:
`cpu_s` of a run is the time by the clock, and only `wall_s` ends it.

Errors: `MissingHere` where the server cannot be reached or does not speak the protocol; a fault that it reports itself is `SANDBOX_ERROR`.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import httpx2

from promptcot.errors import MissingHere
from promptcot.sandbox.limits import MIB, Limits
from promptcot.sandbox.programs import Language, Program, Ran, Status, out_of_memory

_VALUES = Path(__file__).with_name("values.py")
_NAMES = {Language.PYTHON: "python", Language.CPP17: "cpp"}
_COMPILE_S, _SLACK_S = 60, 30
_TRIES = 3


class Remote:
    """A runner behind `url`, for instance ``http://127.0.0.1:8080``."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    @property
    def kind(self) -> str:
        """As people read it."""
        return f"remote {self.url}"

    def session(self, program: Program, limits: Limits) -> RemoteSession:
        """A program; the server compiles it anew for every input."""
        return RemoteSession(self.url, program, limits)


class RemoteSession:
    """A program on the server. Use as a context manager."""

    def __init__(self, url: str, program: Program, limits: Limits) -> None:
        self._url, self._program, self._limits = url, program, limits
        self._wall_s = 3600.0 if limits.wall_s is None else limits.wall_s
        self._client = httpx2.Client(timeout=self._wall_s + _COMPILE_S + _SLACK_S)

    def __enter__(self) -> RemoteSession:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def run(self, given: bytes) -> Ran:
        """One input."""
        nonce = secrets.token_hex(16)
        answer = self._ask(self._body(given, nonce))
        try:
            return self._ran(answer, nonce)
        except (KeyError, TypeError, ValueError) as error:
            raise MissingHere(
                f"the server's answer is not SandboxFusion's: {error!r}", where=self._url, remedy="check the address"
            ) from None

    def _body(self, given: bytes, nonce: str) -> dict[str, Any]:
        called = bool(self._program.function)
        return {
            "code": _calling(self._program, given, nonce) if called else self._program.source,
            "language": _NAMES[self._program.language],
            "stdin": "" if called else given.decode("utf-8", "replace"),
            "compile_timeout": _COMPILE_S,
            "run_timeout": self._wall_s,
            "memory_limit_MB": self._limits.memory_mb,
            "files": {},
            "fetch_files": [],
        }

    def _ask(self, body: dict[str, Any]) -> Any:
        for left in reversed(range(_TRIES)):
            try:
                response = self._client.post(f"{self._url}/run_code", json=body)
                response.raise_for_status()
                return response.json()
            except (httpx2.HTTPError, ValueError) as error:
                if not left:
                    remedy = "start the server, or leave the address out to use this machine's sandbox"
                    raise MissingHere(f"the runner does not answer: {error}", where=self._url, remedy=remedy) from error
        raise AssertionError

    def _ran(self, answer: dict[str, Any], nonce: str) -> Ran:
        if answer["status"] == "SandboxError":
            return Ran(Status.SANDBOX_ERROR, stderr=str(answer.get("message", "")).encode())
        compiled, ran = answer.get("compile_result"), answer.get("run_result")
        if ran is None or (compiled and compiled["status"] != "Finished") or (compiled and compiled.get("return_code")):
            return Ran(Status.COMPILE_ERROR, stderr=_bytes((compiled or {}).get("stderr")))
        stdout, stderr = _bytes(ran.get("stdout")), _bytes(ran.get("stderr"))
        stdout, value = _value(stdout, nonce) if self._program.function else (stdout, b"")
        code, seconds = int(ran.get("return_code") or 0), float(ran.get("execution_time") or 0.0)
        status = self._status(ran["status"], code, stdout, stderr, value)
        return Ran(status, code, stdout, stderr, value, seconds, seconds)

    def _status(self, said: str, code: int, stdout: bytes, stderr: bytes, value: bytes) -> Status:
        if said == "TimeLimitExceeded":
            return Status.TIME_LIMIT
        if len(stdout) > self._limits.output_mb * MIB:
            return Status.OUTPUT_LIMIT
        if code == 0 and said == "Finished":
            return Status.RUNTIME_ERROR if self._program.function and not value else Status.EXITED
        if out_of_memory(stderr):
            return Status.MEMORY_LIMIT
        last = stderr.rstrip().rpartition(b"\n")[2]
        syntax = last.startswith((b"SyntaxError:", b"IndentationError:", b"TabError:"))
        return Status.COMPILE_ERROR if syntax and self._program.language is Language.PYTHON else Status.RUNTIME_ERROR


def _bytes(text: Any) -> bytes:
    return str(text or "").encode("utf-8", "surrogatepass")


def _calling(program: Program, given: bytes, nonce: str) -> str:
    """A script that calls the function and prints its encoded value on a line that begins with the nonce. The nonce is no secret from the
    program: a forged line says no more than a returned value."""
    return f"""import sys
values = type(sys)("values")
exec(compile({_VALUES.read_text(encoding="utf-8")!r}, "values", "exec"), values.__dict__)
encode = values.encode
positional, named = values.decode({given!r})
solution = type(sys)("solution")
solution.__dict__["__builtins__"] = __builtins__
import bisect, collections, functools, heapq, itertools, math, string, typing
for module in (bisect, collections, functools, heapq, itertools, math, string):
    setattr(solution, module.__name__, module)
for module, names in ((typing, "Any Dict List Optional Set Tuple Union"), (collections, "Counter OrderedDict defaultdict deque"),
                      (functools, "cache lru_cache reduce")):
    for name in names.split():
        setattr(solution, name, getattr(module, name))
exec(compile({program.source!r}, "main.py", "exec", dont_inherit=True), solution.__dict__)
name = {program.function!r}
call = getattr(solution, name) if hasattr(solution, name) else getattr(solution.Solution(), name)
found = encode(call(*positional, **named)).hex()
print("\\n{nonce}" + found, flush=True)
"""


def _value(stdout: bytes, nonce: str) -> tuple[bytes, bytes]:
    before, mark, after = stdout.rpartition(b"\n" + nonce.encode())
    if not mark:
        return stdout, b""
    return before, bytes.fromhex(after.split()[0].decode() if after.split() else "")
