"""math-verify and sympy in killable sandboxed processes: for answers that have no canonical form of ours.

A worker serves one request at a time, within 2 s of CPU and 512 MiB; one that dies or hangs costs its request (`unknown`) and is
replaced. The two texts go in sorted order, so the verdict does not depend on who is the reference.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, LifoQueue

import promptcot.verify.algebra_worker as algebra_worker
import promptcot.verify.guards as guards
from promptcot.errors import MissingHere
from promptcot.outcomes import Equality
from promptcot.sandbox import Limits, Process, SandboxFault, available, start
from promptcot.verify.guards import Unreadable

WALL_S = 15.0
"""Seconds a request may take in all, the machine's load included; on a quiet one the CPU limit ends it long before."""

START_S = 60.0
LIMITS = Limits(cpu_s=None, wall_s=None, memory_mb=512, processes=8)
REMEMBERED = 4096


class SandboxedAlgebra:
    """A pool of up to `size` workers, started when first needed. Usable from several threads; `close` ends them."""

    def __init__(self, size: int = 1) -> None:
        self._idle: LifoQueue[_Worker | None] = LifoQueue()
        for _ in range(size):
            self._idle.put(None)
        self._known: OrderedDict[tuple[str, str], Equality] = OrderedDict()
        self._lock = threading.Lock()

    def equal(self, a: str, b: str) -> Equality:
        """The verdict on two answers' texts. Never hangs; raises `MissingHere` where no sandbox works, `SandboxFault` where one
        fails."""
        pair = (min(a, b), max(a, b))
        try:
            for text in pair:
                guards.check(text)
        except Unreadable:
            return Equality.UNKNOWN
        with self._lock:
            if pair in self._known:
                return self._known[pair]
        found = self._ask(pair)
        with self._lock:
            self._known[pair] = found
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return found

    def _ask(self, pair: tuple[str, str]) -> Equality:
        worker = self._idle.get()
        try:
            worker = worker or _Worker()
            reply = worker.ask(*pair)
            if reply is None:
                worker.close()
                worker = None
            return reply or Equality.UNKNOWN
        finally:
            self._idle.put(worker)

    def close(self) -> None:
        """End every idle worker."""
        waiting = []
        with contextlib.suppress(Empty):
            while True:
                waiting.append(self._idle.get_nowait())
        for worker in waiting:
            if worker:
                worker.close()
            self._idle.put(None)

    def __enter__(self) -> SandboxedAlgebra:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def where_possible(say: Callable[[str], None]) -> Iterator[SandboxedAlgebra | None]:
    """A pool with a worker for every core, or None (and `say` why) on a machine without a sandbox."""
    try:
        available()
    except MissingHere as error:
        say(f"{error.what}: what only algebra can decide is `unknown` ({error.remedy})")
        yield None
        return
    with SandboxedAlgebra(os.cpu_count() or 1) as pool:
        yield pool


class OptionalAlgebra:
    """One worker, tried when first asked; without a sandbox every answer is `unknown`."""

    def __init__(self) -> None:
        self._pool: SandboxedAlgebra | None = SandboxedAlgebra()
        weakref.finalize(self, self._pool.close)  # at the latest when Python ends

    def equal(self, a: str, b: str) -> Equality:
        """As `SandboxedAlgebra.equal`, but it raises nothing."""
        if self._pool is None:
            return Equality.UNKNOWN
        try:
            return self._pool.equal(a, b)
        except MissingHere:
            self._pool = None
            return Equality.UNKNOWN


class _Worker:
    """One process. `ask` gives None when it did not answer: then it is of no more use."""

    def __init__(self) -> None:
        packages = _packages()
        paths = dict.fromkeys(str(package.parent) for package in packages)
        script = (_SCRIPT, Path(algebra_worker.__file__).read_bytes())
        words = ["python3", "-I", "-S", "-c", _BOOT, _SCRIPT, *paths]
        self.process: Process = start(words, LIMITS, readable=[str(package) for package in packages], files=[script])
        self.number = 0
        if self._line(START_S) != "ready":
            self.close()
            raise SandboxFault("the algebra worker does not start", remedy="promptcot doctor")

    def ask(self, a: str, b: str) -> Equality | None:
        self.number += 1
        try:
            self.process.stdin.write(json.dumps({"id": self.number, "a": a, "b": b}).encode() + b"\n")
            self.process.stdin.flush()
            line = self._line(WALL_S)
            reply = json.loads(line) if line else {}
            return Equality(reply["verdict"]) if reply.get("id") == self.number else None
        except (OSError, ValueError, KeyError):
            return None

    def _line(self, seconds: float) -> str:
        """The next line, empty when the process closes its pipe; past the time the process is killed, which closes it."""
        timer = threading.Timer(seconds, self.process.kill)
        timer.start()
        try:
            return str(self.process.stdout.readline(1 << 16), "utf-8", "replace").strip()
        finally:
            timer.cancel()

    def close(self) -> None:
        self.process.close()


_SCRIPT = "/sandbox/algebra.py"
_BOOT = "import sys, runpy; script = sys.argv[1]; sys.path[:0] = sys.argv[2:]; runpy.run_path(script, run_name='__main__')"


def _packages() -> list[Path]:
    """The folders of math-verify and what it needs: all of site-packages that the worker sees."""
    found = []
    for name in ("math_verify", "latex2sympy2_extended", "antlr4", "sympy", "mpmath"):
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise MissingHere(f"the package {name} is not installed", remedy="python -m pip install math-verify")
        found.append(Path(spec.origin).parent)
    return [*found, _metadata("antlr4-python3-runtime")]  # whose version the parser looks up


def _metadata(distribution: str) -> Path:
    return next(Path(str(file.locate())).parent for file in importlib.metadata.files(distribution) or () if file.name == "METADATA")
