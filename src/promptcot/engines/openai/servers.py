"""A pool of servers of one model: who gets the next request, who is out, and how often a request is tried.

A request goes to the server with the lowest share of its limit in use. One that refuses connections, or fails `STRIKES` times in a row,
is taken out and asked for its models until it answers again, after ever longer waits; what it was working on is done elsewhere. When
none is left for as long as a request's retries last, the run stops as `Incomplete`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2
import tenacity

from promptcot.engines.openai.congestion import Congestion, Pacing
from promptcot.engines.openai.failures import Busy, Passing, Refused, Rejected, Secret, Slow, content, transport
from promptcot.errors import Incomplete, PromptcotError, UsageError
from promptcot.recipe import EngineSpec

STRIKES = 3
"""Failures in a row that take a server out."""
CONNECT_S = 10.0
"""Seconds for a connection, or for the list of models."""
REPEAT = "run the same command again to resume: what was answered is kept"

log = logging.getLogger(__name__)
T = TypeVar("T")
Mend = Callable[[], None]
"""Brings a server back that went silent. Blocks until it answers; raises a `PromptcotError` when it will not any more."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Waiting times in seconds: the first retry's, the longest between two, and how long a service may go on saying 429."""

    first_s: float = 0.5
    longest_s: float = 30.0
    busy_s: float = 900.0


class Server:
    """One server and what is known of its state."""

    def __init__(self, url: str, most: int) -> None:
        self.url, self.congestion = url, Congestion(most)
        self.in_flight = self.strikes = self.outages = self.failed_calls = 0
        self.paused_until = 0.0
        self.out = False
        self.lost: PromptcotError | None = None

    @property
    def load(self) -> float:
        """The share of its limit that is in use."""
        return self.in_flight / self.congestion.limit

    def free(self, now: float) -> bool:
        """Whether it may get a request."""
        return not self.out and now >= self.paused_until and self.in_flight < max(1, int(self.congestion.limit))


class Pool:
    """The servers of one engine. Lives on the engine's event loop; `close` it there. One who started the servers gives a `mend`, which is
    called in a thread whenever one was taken out."""

    def __init__(self, spec: EngineSpec, secret: Secret, patience: Patience, mend: Mend | None = None) -> None:
        self.spec, self.secret, self.patience, self._mend = spec, secret, patience, mend
        self.servers = [Server(url, spec.concurrency) for url in spec.urls]
        self.requests = 0
        self._pacing = Pacing(spec.requests_per_minute)
        self._changed = asyncio.Condition()
        self._revivals: set[asyncio.Task[None]] = set()
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
        timeout = httpx2.Timeout(spec.timeout_s, connect=min(CONNECT_S, spec.timeout_s), pool=None)
        here: dict[str, None] = {f"all://{host}": None for host in ("127.0.0.1", "localhost", "[::1]")}  # never by way of a proxy
        self._client = httpx2.AsyncClient(headers=secret.headers, limits=limits, timeout=timeout, mounts=here)

    async def close(self) -> None:
        """Close all connections."""
        for task in self._revivals:
            task.cancel()
        await self._client.aclose()

    async def models(self) -> list[str]:
        """The names that a server lists. Raises like `ask`."""
        listed = await self._tried("GET", "/models", None, lambda reply: reply)
        names = [str(entry["id"]) for entry in listed.get("data") or [] if isinstance(entry, dict) and "id" in entry]
        if not names:
            raise UsageError("the server lists no model", where=f"{self.servers[0].url}/models", remedy="set `model` in the engine")
        return names

    async def ask(self, path: str, body: dict[str, Any], read: Callable[[dict[str, Any]], T]) -> T:
        """POST `body` and `read` the reply, again and again while it fails for a passing reason (`read` raises those too).

        Raises the last `Passing` failure when the tries are used up, `Rejected` for a request that is wrong, `Incomplete` when no
        server is left."""
        return await self._tried("POST", path, body, read)

    async def _tried(self, method: str, path: str, body: dict[str, Any] | None, read: Callable[[dict[str, Any]], T]) -> T:
        first, longest = self.patience.first_s, self.patience.longest_s
        waits = tenacity.wait_exponential(multiplier=first, max=longest) + tenacity.wait_random(0, first)
        tries = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(Passing), stop=_Tries(self.spec.retries, self.patience.busy_s), wait=waits, reraise=True
        )
        last: list[Server] = []
        try:
            return await tries(self._once, method, path, body, read, last)
        except Busy as error:
            raise Incomplete(f"the service goes on refusing for want of room: {error}", remedy=REPEAT) from None
        except Refused as error:
            raise Incomplete(f"no server can be reached: {error}", where=self._named(), remedy=REPEAT) from None

    async def _once(
        self, method: str, path: str, body: dict[str, Any] | None, read: Callable[[dict[str, Any]], T], last: list[Server]
    ) -> T:
        async with self._lease(last) as server:
            last[:] = [server]
            await self._pacing.turn()
            sent = time.monotonic()
            try:
                value = read(await self._exchange(method, server.url + path, body))
            except Passing as failure:
                self._blame(server, failure, sent)
                raise
            server.congestion.grow()
            server.strikes = server.outages = 0
            return value

    async def _exchange(self, method: str, url: str, body: dict[str, Any] | None) -> dict[str, Any]:
        self.requests += 1
        try:
            async with asyncio.timeout(self.spec.timeout_s):
                response = await self._client.request(method, url, json=body)
        except (httpx2.RequestError, TimeoutError) as error:
            raise transport(error, url) from None
        return content(response, self.secret)

    @asynccontextmanager
    async def _lease(self, avoid: Sequence[Server]) -> AsyncIterator[Server]:
        """A place at a server; another one than last time where there is one. Raises `Incomplete` when all are gone for good."""
        async with self._changed:
            while (server := self._choose(avoid)) is None:
                self._require_one()
                await self._news()
            server.in_flight += 1
        try:
            yield server
        finally:
            server.in_flight -= 1
            await asyncio.shield(self._tell())

    def _choose(self, avoid: Sequence[Server]) -> Server | None:
        now = time.monotonic()
        free = [server for server in self.servers if server.free(now)]
        return min(free, key=lambda server: (server in avoid, server.load), default=None)

    async def _news(self) -> None:
        """Until something changes, or a pause ends."""
        now = time.monotonic()
        pauses = [server.paused_until - now for server in self.servers if not server.out and server.paused_until > now]
        try:
            async with asyncio.timeout(min(pauses, default=None)):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _require_one(self) -> None:
        lost = [server.lost for server in self.servers if server.lost is not None]
        if len(lost) == len(self.servers):
            raise lost[0]
        if all(server.out and server.failed_calls > self.spec.retries for server in self.servers):
            raise Incomplete("no server answers any more", where=self._named(), remedy=f"start one, then {REPEAT}")

    def _named(self) -> str:
        return ", ".join(server.url for server in self.servers)

    def _blame(self, server: Server, failure: Passing, sent: float) -> None:
        if isinstance(failure, Busy | Slow):
            server.congestion.shrink(sent)
        if isinstance(failure, Busy) and failure.after:
            server.paused_until = max(server.paused_until, time.monotonic() + failure.after)
        server.strikes += failure.strike
        if not server.out and (isinstance(failure, Refused) or server.strikes >= STRIKES):
            log.warning("taken out of the pool: %s", failure)
            server.out, server.failed_calls = True, 0
            task = asyncio.create_task(self._revive(server))
            self._revivals.add(task)
            task.add_done_callback(self._revivals.discard)

    async def _revive(self, server: Server) -> None:
        """Ask a server for its models until it answers: the wait doubles with each failed call, and with each outage after the other."""
        while server.out:
            await asyncio.sleep(min(self.patience.longest_s, self.patience.first_s * 2 ** min(16, server.outages + server.failed_calls)))
            if self._mend is not None and not await self._mended(server):
                return
            try:
                async with asyncio.timeout(min(CONNECT_S, self.spec.timeout_s)):
                    await self._exchange("GET", f"{server.url}/models", None)
            except (Passing, TimeoutError):
                server.failed_calls += 1
            except Rejected:
                server.out = False  # it listens, and some keep their list of models to themselves
            else:
                server.out = False
            await self._tell()
        server.strikes, server.outages = 0, server.outages + 1

    async def _mended(self, server: Server) -> bool:
        assert self._mend is not None
        try:
            await asyncio.to_thread(self._mend)
        except PromptcotError as error:
            server.lost = error
            await self._tell()
        return server.lost is None


class _Tries(tenacity.stop.stop_base):
    """Stop after so many failed tries; a refusal for want of room or of a listener is none, but has an end too."""

    def __init__(self, retries: int, busy_s: float) -> None:
        self.left, self.busy_until = retries, time.monotonic() + busy_s

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        if isinstance(error, Busy | Refused):
            return time.monotonic() > self.busy_until
        self.left -= 1
        return self.left < 0
