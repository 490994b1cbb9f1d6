"""The E-step as one would write it first, with transformers alone: what `estep.py` compares with.

One seed at a time: `generate` with K return sequences. Then, for each candidate by itself, two forward passes that keep the logits of all
positions in fp32: one for log p(z, x | c), one for log q(z | c, x). Weights are in the same format as ours; in fp32 it is only slower.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from promptcot.engines.protocol import Ids, Tokens


@torch.inference_mode()
def sample(model: PreTrainedModel, prefix: Ids, k: int, max_tokens: int, eos: int) -> list[Ids]:
    """K continuations of a prompt at T = 1, the end of sequence included where the model wrote it."""
    ids = torch.tensor([prefix], device=model.device)
    whole = model.generate(  # type: ignore[operator]
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=True,
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        num_return_sequences=k,
        max_new_tokens=max_tokens,
        pad_token_id=eos,
    )
    written: list[list[int]] = whole[:, len(prefix) :].tolist()
    return [tuple(row[: row.index(eos) + 1] if eos in row else row) for row in written]


@torch.inference_mode()
def log_p(model: PreTrainedModel, tokens: Tokens) -> tuple[float, ...]:
    """log p of each segment from the full logits, in nats."""
    scored = [token for segment in tokens.segments for token in segment]
    ids = torch.tensor([[*tokens.prefix, *scored]], device=model.device)
    nats = model(input_ids=ids, use_cache=False).logits[0, :-1].float().log_softmax(-1)
    chosen = nats.gather(1, ids[0, 1:, None])[-len(scored) :, 0].double()
    return tuple(float(part.sum()) for part in chosen.split([len(segment) for segment in tokens.segments]))


def timed_sample(model: PreTrainedModel, prefixes: Sequence[Ids], k: int, max_tokens: int, eos: int) -> tuple[list[list[Ids]], float]:
    """All prompts one after the other, and the seconds."""
    started = time.perf_counter()
    return [sample(model, prefix, k, max_tokens, eos) for prefix in prefixes], time.perf_counter() - started


def timed_log_p(model: PreTrainedModel, texts: Sequence[Tokens]) -> float:
    """Seconds to score all texts one after the other."""
    started = time.perf_counter()
    for tokens in texts:
        log_p(model, tokens)
    return time.perf_counter() - started
