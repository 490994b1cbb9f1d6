"""The processes that share a fit, as one of them sees them. One alone is a group too."""

from __future__ import annotations

from typing import TypeVar

import torch.distributed as dist

T = TypeVar("T")


def rank() -> int:
    """This process's number, from 0."""
    return dist.get_rank() if is_shared() else 0


def size() -> int:
    """How many there are."""
    return dist.get_world_size() if is_shared() else 1


def is_shared() -> bool:
    """Whether there are others."""
    return dist.is_initialized() and dist.get_world_size() > 1


def gathered(value: T) -> list[T]:
    """What every process says, by number; all have to ask."""
    if not is_shared():
        return [value]
    said: list[T | None] = [None] * size()
    dist.all_gather_object(said, value)
    return said  # type: ignore[return-value]
