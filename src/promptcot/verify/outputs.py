"""Whether a program's output is the expected one, as judges compare: token by token, so spaces and empty lines do not matter.

With a tolerance two tokens are also the same when both are decimal numbers and differ by at most that, absolutely or relative to the
expected one; with `by_value` when they are the same number, exactly (`1.00` and `1`). `nan` and `inf` are words, not numbers.
"""

from __future__ import annotations

import re
from decimal import Decimal

_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?")
_LONGEST = 64  # characters of a number


def same_output(expected: bytes, got: bytes, tolerance: float = 0.0, *, by_value: bool = False) -> bool:
    """Compare two outputs."""
    ours, theirs = expected.split(), got.split()
    if len(ours) != len(theirs):
        return False
    return all(a == b or ((tolerance > 0 or by_value) and _close(a, b, tolerance)) for a, b in zip(ours, theirs, strict=True))


def _close(a: bytes, b: bytes, tolerance: float) -> bool:
    if max(len(a), len(b)) > _LONGEST or not _NUMBER.fullmatch(a) or not _NUMBER.fullmatch(b):
        return False
    if tolerance == 0:
        return Decimal(a.decode()) == Decimal(b.decode())
    x, y = float(a), float(b)
    return abs(x - y) <= tolerance * max(1.0, abs(x)) if abs(x) != float("inf") else False
