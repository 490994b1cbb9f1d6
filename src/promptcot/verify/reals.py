"""Sets of reals as unions of intervals: merged, intersected, and without some points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import promptcot.verify.values as values


@dataclass(frozen=True)
class End:
    """An end of an interval: its value, the text that stands for it, and whether it belongs to the set."""

    value: Any
    key: str
    closed: bool


@dataclass(frozen=True)
class Piece:
    """All reals between two ends."""

    low: End
    high: End

    @property
    def key(self) -> tuple[str, bool, str, bool]:
        """What equal pieces share."""
        return (self.low.key, self.low.closed, self.high.key, self.high.closed)

    @property
    def point(self) -> bool:
        """Whether it is a single number."""
        return self.low.key == self.high.key


MINUS, PLUS = End(float("-inf"), "-inf", False), End(float("inf"), "inf", False)
REALS = Piece(MINUS, PLUS)


def merged(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """The same set in pieces that do not touch, in order; empty pieces are gone. Raises `Unreadable` for ends without an order."""
    found: list[Piece] = []
    for piece in sorted(filter(_holds_something, pieces), key=lambda p: (values.sortable(p.low.value), not p.low.closed)):
        last = found[-1] if found else None
        if last is not None and _touch(last.high, piece.low):
            found[-1] = Piece(last.low, _further(last.high, piece.high))
        else:
            found.append(piece)
    return tuple(found)


def _holds_something(piece: Piece) -> bool:
    if piece.point:
        return piece.low.closed and piece.high.closed
    return values.less(piece.low.value, piece.high.value)


def _touch(high: End, low: End) -> bool:
    return values.less(low.value, high.value) or (low.key == high.key and (low.closed or high.closed))


def _further(a: End, b: End) -> End:
    if a.key == b.key:
        return a if a.closed else b
    return b if values.less(a.value, b.value) else a


def _nearer(a: End, b: End) -> End:
    if a.key == b.key:
        return b if a.closed else a
    return a if values.less(a.value, b.value) else b


def intersected(a: Sequence[Piece], b: Sequence[Piece]) -> tuple[Piece, ...]:
    """What two sets have in common."""
    return merged([Piece(_later(p.low, q.low), _nearer(p.high, q.high)) for p in a for q in b])


def _later(a: End, b: End) -> End:
    if a.key == b.key:
        return b if a.closed else a
    return b if values.less(a.value, b.value) else a


def without(pieces: Sequence[Piece], points: Sequence[Piece]) -> tuple[Piece, ...]:
    """The set less some points."""
    found = tuple(pieces)
    for point in points:
        value, key = point.low.value, point.low.key
        found = intersected(found, (Piece(MINUS, End(value, key, False)), Piece(End(value, key, False), PLUS)))
    return found
