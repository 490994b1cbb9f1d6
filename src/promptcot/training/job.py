"""A fit as data: all that decides the weights it ends with."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

from promptcot.durable import canonical
from promptcot.models import fingerprint
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

    @property
    def identity(self) -> str:
        """The same for fits that end at the same weights: of the model, the examples and what is done with them."""
        facts = [self.settings.model_dump(), self.training.facts(), self.seed, self.beta, fingerprint(self.model)]
        digest = hashlib.sha256(canonical(facts).encode())
        for example in self.examples:
            digest.update(canonical(asdict(example)).encode())
        return digest.hexdigest()
