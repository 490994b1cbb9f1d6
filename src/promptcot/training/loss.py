"""The nats of texts as token ids, without a logit that is not scored: what every objective is made of.

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

from promptcot.engines.protocol import PairExample
from promptcot.training.batches import Example, texts

ROWS = 32
"""Rows of logits in float32 at a time: 6 MB at a vocabulary of 49,152, which a CPU's cache holds."""


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """The tensors of one forward pass over B texts of at most T tokens with N scored ones: those of E examples, in their order.

    `input_ids` int64 [B, T]; `predicts` bool [B, T]: the positions whose next token is scored; `targets` int64 [N]: those next tokens, row
    by row; `lengths`: how many of them each text has. `weights` float32 [E]: w_i; `gaps` float32 [E]: log p(chosen) - log p(rejected) of a
    pair's reference, 0 for a single text."""

    input_ids: Tensor
    predicts: Tensor
    targets: Tensor
    weights: Tensor
    gaps: Tensor
    lengths: tuple[int, ...]

    def to(self, device: torch.device) -> MicroBatch:
        """The same on a device."""
        moved = [tensor.to(device) for tensor in (self.input_ids, self.predicts, self.targets, self.weights, self.gaps)]
        return MicroBatch(moved[0], moved[1], moved[2], moved[3], moved[4], self.lengths)


def collate(examples: Sequence[Example], *, silent: bool = False) -> MicroBatch:
    """Pad texts to one length. Scored are all tokens after the prefix. `silent`: with weight 0."""
    rows = [text for example in examples for text in texts(example)]
    width = max(map(len, rows))
    input_ids = torch.zeros(len(rows), width, dtype=torch.long)
    predicts = torch.zeros(len(rows), width, dtype=torch.bool)
    targets: list[list[int]] = []
    for row, text in enumerate(rows):
        targets.append([token for segment in text.segments for token in segment])
        input_ids[row, : len(text)] = torch.tensor([*text.prefix, *targets[-1]])
        predicts[row, len(text.prefix) - 1 : len(text) - 1] = True
    return MicroBatch(
        input_ids,
        predicts,
        torch.tensor([token for scored in targets for token in scored]),
        weights=torch.tensor([0.0 if silent else example.weight for example in examples]),
        gaps=torch.tensor(list(map(_gap, examples))),
        lengths=tuple(map(len, targets)),
    )


def _gap(example: Example) -> float:
    return example.reference[0] - example.reference[1] if isinstance(example, PairExample) else 0.0


def text_nll(model: torch.nn.Module, head: torch.nn.Module, batch: MicroBatch) -> Tensor:
    """-log p of each text's scored tokens in nats, float32 [B]; `head` is the output layer inside `model`."""
    with only_where(head, batch.predicts):
        logits = model(input_ids=batch.input_ids, use_cache=False).logits
    nll: Tensor = TokenNll.apply(logits, batch.targets)  # type: ignore[no-untyped-call]
    return torch.stack([text.sum() for text in torch.split(nll, list(batch.lengths))])


class TokenNll(torch.autograd.Function):
    """-log softmax(logits_n)[target_n] for every row n, softmax in float32 for `ROWS` rows at a time.

    The gradient is written while a row's softmax is in the cache, in the format of the logits, so a batch never holds a float32 matrix
    of [N, V] (autograd's cross entropy holds three), and the pass costs half the time on a CPU."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:
        """`logits` [N, V], `targets` [N]; float32 [N]."""
        gradient = torch.empty_like(logits)
        nll = torch.empty(len(logits), device=logits.device)
        for start in range(0, len(logits), ROWS):
            rows = slice(start, start + ROWS)
            target = targets[rows, None]
            log_p = logits[rows].float().log_softmax(-1)
            nll[rows] = -log_p.gather(1, target)[:, 0]
            gradient[rows] = log_p.exp_().scatter_add_(1, target, torch.full_like(target, -1.0, dtype=log_p.dtype))
        ctx.save_for_backward(gradient)
        return nll

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None]:
        """softmax - one-hot, each row times the gradient of its nll."""
        (gradient,) = ctx.saved_tensors
        return gradient.mul_(upstream[0][:, None]), None


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
