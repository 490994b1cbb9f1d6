"""One vLLM server: started, found healthy, started again when it dies, stopped."""

from __future__ import annotations

import json
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

from promptcot.engines.vllm import environment, watchdog
from promptcot.engines.vllm.command import HOST, launch
from promptcot.errors import Incomplete, MissingHere
from promptcot.recipe import EngineSpec

RESTARTS = 2
"""How often a server that died is started again."""
GRACE_S = 10.0
"""Seconds that a server has to end when asked to."""
POLL_S = 0.2
ANSWER_S = 60.0
"""Seconds after which a server that does not say whether it is well is given up; on busy cores a healthy one can be slow."""
SHOWN = 15
"""Lines of the log that an error shows."""

log = logging.getLogger(__name__)
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Server:
    """Serves the weights in `folder`; what it says goes to the file `said`. Several threads may call it."""

    def __init__(self, folder: Path, spec: EngineSpec, said: Path) -> None:
        self.folder, self.spec, self.said = folder, spec, said
        self.name = f"promptcot-{secrets.token_hex(8)}"  # another server that got hold of our port would not list it
        self.port, self.restarts, self.seconds = 0, 0, 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0  # where the log of the present process begins
        self._lock = threading.RLock()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}/v1"

    @property
    def share(self) -> float:
        """The share of the memory that it takes."""
        return self.spec.gpu_memory or 1.0

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and _runs(self._process)

    def ensure(self, given_up: threading.Event) -> None:
        """Have it answer: start it, or start it again where it died. Ends early when `given_up` is set.

        Raises `MissingHere` when it does not come up, `Incomplete` when it has died too often."""
        with self._lock:
            if self._process is None:
                self.port = _free_port()
                self._start(given_up)
            while not self._well():
                self._start_again(given_up)

    def _start_again(self, given_up: threading.Event) -> None:
        if self.restarts == RESTARTS:
            raise Incomplete(
                f"the model's server died {RESTARTS + 1} times:\n{self._last_lines()}",
                where=str(self.said),
                remedy="look at its log; the same command resumes, and what was answered is kept",
            )
        self.restarts += 1
        log.warning("the model's server has died, and is started again (%d of %d): %s", self.restarts, RESTARTS, self.said)
        self._end()
        try:
            self._start(given_up)
        except MissingHere as error:
            log.warning("%s", error)

    def _start(self, given_up: threading.Event) -> None:
        plan = launch(self.folder, self.spec, environment.find(self.spec.python), self.port, self.name)
        self.said.parent.mkdir(parents=True, exist_ok=True)
        with open(self.said, "ab") as said:
            self._began = said.tell()
            said.write(f"$ {' '.join(plan.command)}\n".encode())
            said.flush()
            command = [sys.executable, "-IS", watchdog.__file__, str(GRACE_S), *plan.command]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=said, stderr=said, env=plan.variables, start_new_session=True
            )
        began = time.monotonic()
        try:
            self._await(began + self.spec.start_timeout_s, given_up)
        except BaseException:
            self._end()
            raise
        self.seconds = time.monotonic() - began

    def _await(self, until: float, given_up: threading.Event) -> None:
        while not self._lists_us():
            if not self.alive:
                raise self._absent("ended while it started")
            if time.monotonic() > until:
                raise self._absent(f"does not answer after {self.spec.start_timeout_s:g} s (`start_timeout_s`)")
            if given_up.wait(POLL_S):
                raise Incomplete("the start of a server was given up", remedy="run the same command again to resume")

    def _absent(self, what: str) -> MissingHere:
        return MissingHere(
            f"the server of {self.folder} {what}. Its last words:\n{self._last_lines()}",
            where=str(self.said),
            remedy="mend what its log complains of: memory (`gpu_memory`, `max_len`), devices (`gpus`, `tensor_parallel`), `extra_args`; "
            "`promptcot doctor` shows the environment",
        )

    def _lists_us(self) -> bool:
        models = self._get("/v1/models", 5.0)
        return models is not None and self.name in {model["id"] for model in json.loads(models)["data"]}

    def _well(self) -> bool:
        return self.alive and self._get("/health", ANSWER_S) is not None

    def _get(self, path: str, timeout_s: float) -> bytes | None:
        try:
            with _direct.open(f"http://{HOST}:{self.port}{path}", timeout=timeout_s) as reply:
                content: bytes = reply.read()
                return content
        except (urllib.error.URLError, OSError, ValueError):
            return None

    def _last_lines(self) -> str:
        with open(self.said, "rb") as said:
            said.seek(self._began)
            lines = said.read().decode(errors="replace").splitlines()
        return "\n".join(f"    | {line[:300]}" for line in lines[-SHOWN:])

    def stop(self) -> None:
        """End it and all its processes."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        until = time.monotonic() + 2 * GRACE_S
        while _runs(process) and time.monotonic() < until:
            time.sleep(POLL_S / 10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _runs(process: subprocess.Popen[bytes]) -> bool:
    """Whether a process runs. A dead one is not reaped, so that its number, which is that of its group, goes to nobody else."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
