"""The decoding loop: a batch of prompts in, their draws out.

Prompts are left-padded and masked by attention, never by id (some models pad with their end of sequence). A prompt with several
draws is read once and its cache repeated; finished rows leave the batch, so its tail is cheap. A token is the inverse of
the cumulative distribution at the draw's own uniform number, so a draw does not depend on its place in the batch, beyond
the rounding of the arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from transformers import Cache, PreTrainedModel

from promptcot.engines.kv_cache import roomy_cache
from promptcot.engines.protocol import Ids, SampleRequest, Sampling
from promptcot.engines.randomness import uniforms
from promptcot.errors import PromptcotError
from promptcot.outcomes import Finish

COMPACT_AT = 8
"""Finished rows are taken out once they are one in so many: each time copies the cache."""
BLOCK = 256
"""Tokens summed at once in the inverse CDF."""


@dataclass(frozen=True, slots=True)
class Row:
    """One draw to make."""

    request: SampleRequest
    draw: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """One draw made: ids without the end of sequence; `log_p` over all `tokens`, end of sequence included, in nats at T=1."""

    row: Row
    ids: Ids
    log_p: float
    tokens: int
    finish: Finish


@dataclass(slots=True)
class _Live:
    """What the next step needs of the rows still in the batch; `rows` are their places in the batch.

    `mask` and `positions` are [rows, width + steps]: what a step sees is a slice of them."""

    rows: torch.Tensor
    cache: Cache
    mask: torch.Tensor
    positions: torch.Tensor
    logits: torch.Tensor

    def keep(self, chosen: torch.Tensor) -> None:
        """Leave the other rows out; `chosen` may repeat a row."""
        self.rows, self.mask, self.positions, self.logits = (t[chosen] for t in (self.rows, self.mask, self.positions, self.logits))
        self.cache.reorder_cache(cast(torch.LongTensor, chosen))


@torch.inference_mode()
def decode(model: PreTrainedModel, rows: Sequence[Row], sampling: Sampling, *, seed: int, eos: int) -> list[Drawn]:
    """Draw every row to its end of sequence or `max_tokens`, in the order of `rows`. Rows of one request must stand together.

    Raises `PromptcotError` when the model's numbers are not finite."""
    steps = sampling.max_tokens
    u = torch.from_numpy(np.stack([uniforms(seed, row.request.id, row.draw, steps) for row in rows])).to(model.device)
    ids = torch.zeros((len(rows), steps), dtype=torch.long, device=model.device)
    log_p = torch.zeros(len(rows), dtype=torch.float64, device=model.device)
    lengths = torch.full((len(rows),), steps, device=model.device)
    live = _prefill(model, rows, steps)
    going = torch.ones(len(rows), dtype=torch.bool, device=model.device)
    for step in range(steps):
        tokens, nats = choose(live.logits, u[live.rows, step], sampling)
        ids[live.rows, step] = tokens
        log_p[live.rows] += torch.where(going, nats, 0.0)
        ended = going & (tokens == eos)
        lengths[live.rows[ended]] = step + 1
        going = going & ~ended
        still = int(going.sum())
        if still == 0 or step + 1 == steps:
            break
        if still <= len(going) * (COMPACT_AT - 1) // COMPACT_AT:
            chosen = going.nonzero()[:, 0]
            live.keep(chosen)
            tokens, going = tokens[chosen], going[chosen]
        _advance(model, live, tokens)
    return [_drawn(row, *values, eos=eos) for row, *values in zip(rows, ids.tolist(), log_p.tolist(), lengths.tolist(), strict=True)]


def choose(logits: torch.Tensor, u: torch.Tensor, sampling: Sampling) -> tuple[torch.Tensor, torch.Tensor]:
    """The next token of each row and its log-probability at T=1, from logits [rows, vocabulary] and uniforms u [rows].

    Inverse CDF: the first token whose cumulative probability exceeds u. T=0 takes the most likely token."""
    logits = logits.float()
    log_total = logits.logsumexp(dim=-1)
    if not bool(torch.isfinite(log_total).all()):
        raise PromptcotError("the model's logits are not finite", remedy="run it with `dtype: fp32`, or check its weights")
    if sampling.temperature == 0:
        tokens = logits.argmax(dim=-1)
    else:
        weights = torch.softmax(logits / sampling.temperature, dim=-1)
        tokens = _inverse_cdf(weights if sampling.top_p >= 1 else _nucleus(weights, sampling.top_p), u)
    return tokens, (logits.gather(1, tokens[:, None])[:, 0] - log_total).double()


def _inverse_cdf(weights: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """The first token whose cumulative weight exceeds u times the whole, in fp64; never one of weight 0.

    Two levels, blocks of tokens and tokens of a block: a cumulative sum in fp64 over the vocabulary costs more than the softmax."""
    blocks = torch.nn.functional.pad(weights, (0, -weights.shape[1] % BLOCK)).view(len(weights), -1, BLOCK)
    upto = blocks.sum(dim=-1).double().cumsum(dim=-1)
    target = (u[:, None] * upto[:, -1:]).minimum(upto[:, -1:].nextafter(torch.zeros_like(upto[:, -1:])))
    block = torch.searchsorted(upto, target, right=True)
    inside = blocks.gather(1, block[:, :, None].expand(-1, -1, BLOCK))[:, 0].double().cumsum(dim=-1)
    before = upto.gather(1, block) - inside[:, -1:]
    last = (inside < inside[:, -1:]).sum(dim=-1, keepdim=True)
    place = torch.searchsorted(inside, (target - before).clamp(min=0), right=True).minimum(last)
    return (block * BLOCK + place)[:, 0]


def _nucleus(weights: torch.Tensor, top_p: float) -> torch.Tensor:
    """The weights of the smallest set of most likely tokens that holds `top_p`; 0 elsewhere."""
    ordered, order = weights.sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(dim=-1) - ordered
    return torch.zeros_like(weights).scatter(1, order, torch.where(before < top_p, ordered, 0.0))


def _prefill(model: PreTrainedModel, rows: Sequence[Row], steps: int) -> _Live:
    """Read every prompt once, then repeat what was read for its draws."""
    prompts = list(dict.fromkeys(row.request for row in rows))
    place = {request: n for n, request in enumerate(prompts)}
    width = max(len(request.prefix) for request in prompts)
    ids = torch.zeros((len(prompts), width), dtype=torch.long)
    mask = torch.zeros((len(prompts), width + steps), dtype=torch.long)
    for n, request in enumerate(prompts):
        ids[n, width - len(request.prefix) :] = torch.tensor(request.prefix)
        mask[n, width - len(request.prefix) :] = 1
    ids, mask = ids.to(model.device), mask.to(model.device)
    positions = (mask.cumsum(dim=-1) - 1).clamp(min=0)
    cache = roomy_cache(model.config)
    logits = _logits(model, ids, mask[:, :width], positions[:, :width], cache)
    live = _Live(torch.arange(len(prompts), device=model.device), cache, mask, positions, logits)
    live.keep(torch.tensor([place[row.request] for row in rows], device=model.device))
    live.rows = torch.arange(len(rows), device=model.device)
    return live


def _advance(model: PreTrainedModel, live: _Live, tokens: torch.Tensor) -> None:
    """Feed one token per row."""
    seen = live.cache.get_seq_length()
    live.logits = _logits(model, tokens[:, None], live.mask[:, : seen + 1], live.positions[:, seen : seen + 1], live.cache)


def _logits(model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: Cache) -> torch.Tensor:
    """The logits after the last token, [rows, vocabulary]."""
    output = model(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1)
    last: torch.Tensor = output.logits[:, -1]
    return last


def _drawn(row: Row, ids: list[int], log_p: float, tokens: int, *, eos: int) -> Drawn:
    stopped = ids[tokens - 1] == eos
    return Drawn(row, tuple(ids[: tokens - stopped]), log_p, tokens, Finish.STOP if stopped else Finish.LENGTH)
