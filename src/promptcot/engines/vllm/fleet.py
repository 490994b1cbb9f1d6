"""Which servers run: one per weights and settings, shared by all who open it, and none that nobody needs where memory is wanted.

Steps open and close an engine many times over the same weights. A server therefore outlives its users, and ends when memory is wanted
for others (by their `gpu_memory`, the whole where it is not set), before other weights are loaded or fitted here, at the end of a stage,
and with the process.
"""

from __future__ import annotations

import atexit
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from promptcot.engines.vllm.server import Server
from promptcot.errors import PromptcotError
from promptcot.recipe import EngineSpec

Key = tuple[str, str]


class Fleet:
    """The servers of this process."""

    def __init__(self) -> None:
        self._servers: dict[Key, Server] = {}
        self._users: Counter[Key] = Counter()
        self._lock = threading.RLock()
        self._logs: Path | None = None
        self._begun = 0

    def take(self, folder: Path, spec: EngineSpec, given_up: threading.Event) -> Server:
        """A server of the weights in `folder` that answers; `put_back` it. Idle ones that leave it no room are stopped first, those that
        were used longest ago before others.

        Raises `MissingHere` when it does not come up, `Incomplete` when it has died too often or `given_up` is set."""
        key = _key(folder, spec)
        with self._lock:
            server = self._servers.pop(key, None) or Server(folder, spec, self._next_log())
            self._make_room(server)
            self._servers[key] = server
            try:
                server.ensure(given_up)
            except PromptcotError:
                if not self._users[key]:  # the next one who asks gets a fresh start
                    self._stop([key])
                raise
            self._users[key] += 1
            return server

    def put_back(self, server: Server) -> None:
        """One user less. The server goes on, for the next."""
        with self._lock:
            key = _key(server.folder, server.spec)
            if self._servers.get(key) is server:
                self._users[key] -= 1

    def release(self) -> None:
        """Stop the servers that nobody uses: what comes next wants their memory."""
        with self._lock:
            self._stop([key for key in self._servers if not self._users[key]])

    def close(self) -> None:
        """Stop all servers."""
        with self._lock:
            self._stop(list(self._servers))
            self._users.clear()

    @contextmanager
    def logging_to(self, folder: Path) -> Iterator[None]:
        """Keep the logs of new servers in `folder`; in the end, stop all."""
        before, self._logs = self._logs, folder
        try:
            yield
        finally:
            self._logs = before
            self.close()

    def _make_room(self, wanted: Server) -> None:
        idle = [key for key in self._servers if not self._users[key]]  # in the order of their last use
        while idle and sum(server.share for server in (wanted, *self._servers.values())) > 1:
            self._stop([idle.pop(0)])

    def _stop(self, keys: list[Key]) -> None:
        for key in keys:
            self._servers.pop(key).stop()

    def _next_log(self) -> Path:
        if self._logs is None:
            self._logs = Path(tempfile.mkdtemp(prefix="promptcot-vllm-"))
        self._begun += 1
        return self._logs / f"vllm-{os.getpid()}-{self._begun}.log"


def _key(folder: Path, spec: EngineSpec) -> Key:
    return str(folder.resolve()), spec.model_dump_json()


FLEET = Fleet()
"""One for the process, since it is the machine's memory that it minds."""
atexit.register(FLEET.close)
