"""What a fit minimizes, as a function of its texts' nats: the weighted likelihood, or a preference between two texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor
from torch.nn.functional import softplus

from promptcot.training.batches import Example, Usable, scored_tokens
from promptcot.training.loss import MicroBatch


class Objective(Protocol):
    """The loss of an optimizer step is `total` summed over its micro-batches, divided by `divisor`; told is that over `unit`."""

    def divisor(self, batch: Sequence[Example]) -> float:
        """What the sum over the batch is divided by to get the loss."""
        ...

    def unit(self, batch: Sequence[Example]) -> float:
        """What the sum over the batch is divided by to get a figure for people."""
        ...

    def total(self, nll: Tensor, batch: MicroBatch) -> tuple[Tensor, Tensor | None]:
        """The sum over a micro-batch, from -log p of its texts [B]; and the margins of its pairs [E], where it is made of pairs."""
        ...


@dataclass(frozen=True, slots=True)
class Likelihood:
    """sum_i w_i nll_i / (w_mean n_b), n_b the scored tokens of the batch; told in nats per token, divided by sum_i w_i n_i."""

    mean_weight: float

    def divisor(self, batch: Sequence[Example]) -> float:
        """See `Objective`."""
        return self.mean_weight * sum(map(scored_tokens, batch))

    def unit(self, batch: Sequence[Example]) -> float:
        """See `Objective`."""
        return sum(example.weight * scored_tokens(example) for example in batch)

    def total(self, nll: Tensor, batch: MicroBatch) -> tuple[Tensor, None]:
        """See `Objective`."""
        return (batch.weights * nll).sum(), None


@dataclass(frozen=True, slots=True)
class Preference:
    """Direct preference optimization (Rafailov et al. 2023, arXiv 2305.18290, eq. 7): the mean over the pairs of a batch of

    w_i * -log sigmoid(m_i),   m_i = beta ((log p(chosen) - log p_ref(chosen)) - (log p(rejected) - log p_ref(rejected)))."""

    beta: float

    def divisor(self, batch: Sequence[Example]) -> float:
        """See `Objective`."""
        return float(len(batch))

    unit = divisor

    def total(self, nll: Tensor, batch: MicroBatch) -> tuple[Tensor, Tensor]:
        """See `Objective`. -log sigmoid(m) = log(1 + exp(-m))."""
        chosen, rejected = nll[0::2], nll[1::2]
        margins = self.beta * (rejected - chosen - batch.gaps)
        return (batch.weights * softplus(-margins)).sum(), margins.detach()


def objective(data: Usable, beta: float | None) -> Objective:
    """The preference of strength `beta`, or without it the likelihood."""
    return Likelihood(data.mean_weight) if beta is None else Preference(beta)
