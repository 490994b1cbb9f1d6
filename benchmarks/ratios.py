"""Measurements side by side: repeats that alternate, and a median with its spread."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TypeVar

T = TypeVar("T")


def spread(values: Sequence[float], digits: int = 2) -> str:
    """`median [smallest, largest]`; their number stands beside, where it is printed."""
    return f"{median(values):,.{digits}f} [{min(values):,.{digits}f}, {max(values):,.{digits}f}]"


def alternate(measures: Mapping[str, Callable[[int], T]], repeats: int) -> dict[str, list[T]]:
    """Every measure once per repeat, called with the repeat's number; who goes first changes from repeat to repeat."""
    found: dict[str, list[T]] = {name: [] for name in measures}
    names = list(measures)
    for repeat in range(repeats):
        first = repeat % len(names)
        for name in names[first:] + names[:first]:
            found[name].append(measures[name](repeat))
    return found


def paired(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """The ratio of each repeat."""
    return [a / b for a, b in zip(above, below, strict=True)]
