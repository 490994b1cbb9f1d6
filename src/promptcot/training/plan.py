"""The data of a fit: its optimizer steps in order, each cut into micro-batches of tensors when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch.utils.data import Dataset

from promptcot.recipe import Fit
from promptcot.training import batches
from promptcot.training.loss import MicroBatch, collate
from promptcot.training.objectives import Objective


@dataclass(frozen=True, slots=True)
class Step:
    """One optimizer step. `divisor` turns the sum of its micro-batches into the loss, `unit` into the figure that is told."""

    micro: tuple[MicroBatch, ...]
    divisor: float
    unit: float
    tokens: int


class Plan(Dataset[dict[str, Step]]):
    """The data of a fit: element s is optimizer step s as `{"step": Step}` (the Trainer wants a dict), built when it is asked for."""

    def __init__(
        self,
        data: batches.Usable,
        objective: Objective,
        settings: Fit,
        batch_tokens: int,
        seed: int,
        *,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        """`share` is this process's number and how many there are: its micro-batches are a part of every batch."""
        self.data, self.objective, self.settings, self.batch_tokens, self.share = data, objective, settings, batch_tokens, share
        self.steps = batches.optimizer_steps(len(data.examples), settings.epochs, settings.batch, seed)

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, step: int) -> dict[str, Step]:
        batch = [self.data.examples[i] for i in self.steps[step]]
        rank, processes = self.share
        cuts = batches.shares(list(map(batches.padded_tokens, batch)), self.batch_tokens, processes)[rank]
        shortest = min(batch, key=batches.padded_tokens)
        planned = Step(
            tuple(collate([batch[i] for i in cut]) if cut else collate([shortest], silent=True) for cut in cuts),
            divisor=self.objective.divisor(batch),
            unit=self.objective.unit(batch),
            tokens=sum(map(batches.total_tokens, batch)),
        )
        return {"step": planned}

    def count(self, tokens: Callable[[batches.Example], int]) -> int:
        """Sum over every example of every step."""
        return sum(tokens(self.data.examples[i]) for step in self.steps for i in step)

    def learning_rate(self, step: int) -> float:
        """That of a step, from 0."""
        return self.settings.lr * batches.learning_rate_factor(step, len(self), self.settings)
