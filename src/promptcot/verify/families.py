"""Scores of answers to procedural tasks, by reasoning-gym in a sandboxed process: its scorers evaluate what some answers say."""

from __future__ import annotations

import importlib.util
import json
import threading
import weakref
from pathlib import Path

import promptcot.verify.families_worker as families_worker
from promptcot.errors import MissingHere, UsageError
from promptcot.sandbox import Limits, Process, SandboxFault, start

WALL_S = 60.0
"""Seconds an answer may take in all, the machine's load included; the worker's limit on CPU ends it long before."""

START_S = 120.0
LIMITS = Limits(cpu_s=None, wall_s=None, memory_mb=1024, processes=16)


class Scorer:
    """One worker, started when first needed and again after an answer that it did not survive. Usable from several threads."""

    def __init__(self) -> None:
        self._workers = list[_Worker]()
        self._lock = threading.Lock()
        weakref.finalize(self, _close, self._workers)

    def score(self, reference: str, answer: str) -> float:
        """The task's own score of an answer, from 0 to 1; 0 where its scorer fails on the answer or takes too long over it.

        Raises `UsageError` for a reference that is none of ours, `MissingHere` without reasoning-gym or a sandbox."""
        try:
            row = json.loads(reference)
            request = {"task": str(row["task"]), "config": dict(row["config"]), "entry": row["entry"], "answer": answer}
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(f"no reference of a procedural task: {error!r}", where=reference[:80]) from None
        with self._lock:
            if not self._workers:
                self._workers.append(_Worker())
            reply = self._workers[0].ask(request)
            if not reply:
                self.close()
        if "error" in reply:
            raise UsageError(f"reasoning-gym refuses the reference: {reply['error']}", where=f"reasoning-gym:{request['task']}")
        return float(reply.get("score", 0.0))

    def close(self) -> None:
        """End the worker."""
        _close(self._workers)

    def __enter__(self) -> Scorer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def score(reference: str, answer: str) -> float:
    """`Scorer.score`, by one worker for all callers."""
    return _SHARED.score(reference, answer)


def _close(workers: list[_Worker]) -> None:
    while workers:
        workers.pop().process.close()


class _Worker:
    """One process. `ask` gives nothing when it did not answer: then it is of no more use."""

    def __init__(self) -> None:
        spec = importlib.util.find_spec("reasoning_gym")
        if spec is None or spec.origin is None:
            raise MissingHere("procedural tasks need `reasoning_gym`", remedy="python -m pip install reasoning-gym")
        packages = str(Path(spec.origin).parent.parent)
        script = (_SCRIPT, Path(families_worker.__file__).read_bytes())
        words = ["python3", "-I", "-S", "-c", _BOOT, _SCRIPT, packages]
        self.process: Process = start(words, LIMITS, readable=[packages], files=[script])
        self.number = 0
        if self._line(START_S) != "ready":
            self.process.close()
            raise SandboxFault("the scorer of procedural tasks does not start", remedy="promptcot doctor")

    def ask(self, request: dict[str, object]) -> dict[str, str | float]:
        self.number += 1
        line = json.dumps({"id": self.number, **request}).encode() + b"\n"
        try:
            while line:
                line = line[self.process.stdin.write(line) :]
            reply = json.loads(self._line(WALL_S) or "{}")
            return reply if reply.get("id") == self.number else {}
        except (OSError, ValueError, AttributeError):
            return {}

    def _line(self, seconds: float) -> str:
        """The next line, empty when the process closes its pipe; past the time the process is killed, which closes it."""
        timer = threading.Timer(seconds, self.process.kill)
        timer.start()
        try:
            return str(self.process.stdout.readline(1 << 16), "utf-8", "replace").strip()
        finally:
            timer.cancel()


_SCRIPT = "/sandbox/scoring.py"
_BOOT = "import sys, runpy; script = sys.argv[1]; sys.path[:0] = sys.argv[2:]; runpy.run_path(script, run_name='__main__')"
_SHARED = Scorer()
