"""A fit as data: all that decides the weights it ends with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from promptcot.recipe import Fit, Training
from promptcot.training.batches import Example


@dataclass(frozen=True, slots=True)
class Job:
    """Fit the folder `model` to `examples`. `beta` is the strength of a preference, None for a likelihood."""

    model: Path
    examples: tuple[Example, ...]
    settings: Fit
    training: Training
    seed: int
    beta: float | None = None
