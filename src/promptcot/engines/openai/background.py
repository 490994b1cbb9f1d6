"""An event loop in a thread of its own, behind plain calls and iterators."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


class Background:
    """Runs coroutines until it is closed. Its calls may come from several threads and give way to signals."""

    def __init__(self, closing: Callable[[], Awaitable[None]]) -> None:
        """`closing` is awaited at the end, when all else is canceled."""
        self._closing = closing
        self._open: set[Future[Any]] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="requests", daemon=True)
        self._thread.start()
        self._ready.wait()

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._stop.wait()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._closing()

    def _submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            raise
        self._open.add(future)
        future.add_done_callback(self._open.discard)
        return future

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of one coroutine."""
        future = self._submit(work)
        try:
            return future.result()
        finally:
            future.cancel()

    def stream(self, work: Iterable[tuple[int, Coroutine[Any, Any, T]]], window: int) -> Iterator[T]:
        """The results of (cost, coroutine) pairs as they come. No pair is taken while those in flight cost `window` or more; when the
        consumer leaves, what is in flight is canceled."""
        done: SimpleQueue[Future[T]] = SimpleQueue()
        costs: dict[Future[T], int] = {}
        spent = 0
        try:
            for cost, coroutine in work:
                future = self._submit(coroutine)
                costs[future] = cost
                spent += cost
                future.add_done_callback(done.put)
                while spent >= window or not done.empty():
                    ready = done.get()
                    spent -= costs.pop(ready)
                    yield ready.result()
            while costs:
                ready = done.get()
                del costs[ready]
                yield ready.result()
        finally:
            for future in costs:
                future.cancel()

    def close(self) -> None:
        """Cancel what is in flight and end the thread; every call that waits fails."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        for future in list(self._open):  # handed over in the moment the loop ended
            future.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
