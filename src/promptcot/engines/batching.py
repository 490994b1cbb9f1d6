"""How requests become batches: windows that never mix groups, sorted by length, cut by size.

Sorting by length keeps padding small; sorting ties by id makes a batch a function of the set of requests in its window, whatever
order they came in. That is what lets a resumed run repeat a shard's numbers to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

WINDOW = 4096
"""Requests read ahead at most. Ids only: a few megabytes."""


class Grouped(Protocol):
    """A request that says which shard it belongs to."""

    @property
    def group(self) -> int:
        """The shard."""
        ...


G = TypeVar("G", bound=Grouped)
T = TypeVar("T")


def windows(requests: Iterable[G], size: int = WINDOW) -> Iterator[list[G]]:
    """Consecutive requests of one group, at most `size` of them, as they arrive."""
    window: list[G] = []
    for request in requests:
        if window and (request.group != window[0].group or len(window) == size):
            yield window
            window = []
        window.append(request)
    if window:
        yield window


def pack(rows: Sequence[T], tokens: Callable[[T], int], *, max_tokens: int, max_rows: int | None = None) -> Iterator[list[T]]:
    """Cut `rows`, sorted longest first, into batches of at most `max_tokens` tokens with padding (or a single row) and `max_rows` rows."""
    batch: list[T] = []
    for row in rows:
        widest = tokens(batch[0]) if batch else 0
        if batch and ((len(batch) + 1) * widest > max_tokens or len(batch) == max_rows):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
