"""The weighted loss on token ids, without a logit that is not scored.

A micro-batch is padded on the right and needs no attention mask: attention is causal, so no real token sees the padding, and padding is
never scored (nor recognized by its id, which may be a real token's).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from promptcot.engines.protocol import FitExample

ROWS = 32
"""Rows of logits in float32 at a time: 6 MB at a vocabulary of 49,152, which a CPU's cache holds."""


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """The tensors of one forward pass over B texts of at most T tokens with N scored ones.

    `input_ids` int64 [B, T]; `predicts` bool [B, T]: the positions whose next token is scored; `targets` int64 [N] and `weights`
    float32 [N]: those next tokens and their w_i, row by row."""

    input_ids: Tensor
    predicts: Tensor
    targets: Tensor
    weights: Tensor

    def to(self, device: torch.device) -> MicroBatch:
        """The same on a device."""
        return MicroBatch(self.input_ids.to(device), self.predicts.to(device), self.targets.to(device), self.weights.to(device))


def collate(examples: Sequence[FitExample]) -> MicroBatch:
    """Pad texts to one length. Scored are all tokens after the prefix."""
    width = max(len(example.tokens) for example in examples)
    input_ids = torch.zeros(len(examples), width, dtype=torch.long)
    predicts = torch.zeros(len(examples), width, dtype=torch.bool)
    targets: list[int] = []
    weights: list[float] = []
    for row, example in enumerate(examples):
        scored = [token for segment in example.tokens.segments for token in segment]
        start, end = len(example.tokens.prefix), len(example.tokens)
        input_ids[row, :end] = torch.tensor([*example.tokens.prefix, *scored])
        predicts[row, start - 1 : end - 1] = True
        targets += scored
        weights += [example.weight] * len(scored)
    return MicroBatch(input_ids, predicts, torch.tensor(targets), torch.tensor(weights))


def weighted_nll(model: torch.nn.Module, head: torch.nn.Module, batch: MicroBatch) -> Tensor:
    """sum_i w_i sum_t nll_it of a micro-batch in nats, a float32 scalar; `head` is the output layer inside `model`."""
    with only_where(head, batch.predicts):
        logits = model(input_ids=batch.input_ids, use_cache=False).logits
    total: Tensor = WeightedNll.apply(logits, batch.targets, batch.weights)  # type: ignore[no-untyped-call]
    return total


class WeightedNll(torch.autograd.Function):
    """sum_n w_n (-log softmax(logits_n)[target_n]), softmax in float32 for `ROWS` rows at a time.

    The gradient is written while a row's softmax is in the cache, in the format of the logits, so a batch never holds a float32 matrix
    of [N, V] (autograd's cross entropy holds three), and the pass costs half the time on a CPU."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """`logits` [N, V], `targets` [N], `weights` [N]; a float32 scalar."""
        gradient = torch.empty_like(logits)
        total = torch.zeros((), device=logits.device)
        for start in range(0, len(logits), ROWS):
            rows = slice(start, start + ROWS)
            target, weight = targets[rows, None], weights[rows, None]
            log_p = logits[rows].float().log_softmax(-1)
            total -= (weight * log_p.gather(1, target)).sum()
            gradient[rows] = log_p.exp_().scatter_add_(1, target, torch.full_like(weight, -1.0)).mul_(weight)
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:
        """weight_n (softmax - one-hot) times the gradient of the sum."""
        (gradient,) = ctx.saved_tensors
        return gradient.mul_(upstream[0]), None, None


@contextmanager
def only_where(head: torch.nn.Module, where: Tensor) -> Iterator[None]:
    """Let the output layer see only the hidden states [B, T, H] at `where`: the model's logits become [N, V].

    The model's own forward still runs, so whatever it does to logits (scaling, capping) or around itself (adapters, sharding) holds."""

    def select(_: torch.nn.Module, args: tuple[Any, ...]) -> tuple[Tensor]:
        return (args[0][where],)

    handle = head.register_forward_pre_hook(select)
    try:
        yield
    finally:
        handle.remove()


def output_layer(model: PreTrainedModel) -> torch.nn.Module:
    """The layer that maps hidden states to logits."""
    head: torch.nn.Module | None = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if head is None:
        raise TypeError(f"{type(model).__name__} has no output layer to score tokens with")
    return head
