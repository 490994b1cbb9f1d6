"""What work uses: tokens, requests, money, time. The one record of it, from an engine's counter to a shard's entry and a budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used since some moment. Usages add up and are subtracted field by field.

    Where nothing is said otherwise a field is 0: a model on a CPU uses no accelerator, one in this process costs no money."""

    tokens_in: int = 0
    """Tokens read by a model, to continue or to score them; each time they are read."""
    tokens_out: int = 0
    """Tokens written by a model, ends of sequence included."""
    requests: int = 0
    """HTTP requests sent, repeated ones included."""
    usd: float = 0.0
    """Price of both kinds of tokens in US dollars, where the engine's settings name one."""
    tokens_trained: int = 0
    """Tokens that a fit passed over, prefixes included, padding not; once per epoch."""
    gpu_seconds: float = 0.0
    """Wall seconds times the accelerators held meanwhile, loading and waiting included; a server that others run counts as none."""
    wall_seconds: float = 0.0
    """Wall seconds of the step that it was used in. An engine leaves them 0: the executor has the clock."""

    @property
    def tokens(self) -> int:
        """Tokens of every kind."""
        return self.tokens_in + self.tokens_out + self.tokens_trained

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(getattr(self, name) + getattr(other, name) for name in NAMES))

    def __sub__(self, other: Usage) -> Usage:
        return Usage(*(getattr(self, name) - getattr(other, name) for name in NAMES))

    def to_json(self) -> dict[str, float]:
        """The fields as they are stored: money and seconds to nine decimals."""
        return {name: round(getattr(self, name), 9) for name in NAMES}

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Usage:
        """From what `to_json` stored; what is absent is 0."""
        return cls(**{name: stored.get(name, 0) for name in NAMES})


NAMES = tuple(field.name for field in fields(Usage))


def total(usages: Iterable[Usage]) -> Usage:
    """The sum."""
    return sum(usages, Usage())
