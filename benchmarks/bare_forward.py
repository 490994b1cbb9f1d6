"""Scoring against a bare forward pass: the trunk and the logits of all positions, in the same number format and over the same batches.

Every text has a prefix of its own here, so nothing is shared between texts; the bare pass computes no log-probability at all.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from benchmarks.ratios import alternate, paired, spread
from promptcot.engines.batching import pack
from promptcot.engines.protocol import ScoreRequest, Tokens
from promptcot.engines.transformers import TransformersEngine


def compare(engine: TransformersEngine, texts: Sequence[Tokens], repeats: int) -> None:
    """Print tokens a second of both, and the ratio of each repeat."""
    tokens = sum(map(len, texts))
    requests = [ScoreRequest(str(n), text) for n, text in enumerate(texts)]
    batches = padded(engine, texts)
    found = alternate({"bare": lambda _: forward(engine, batches), "ours": lambda _: scoring(engine, requests)}, repeats)
    rates = {name: [tokens / seconds for seconds in runs] for name, runs in found.items()}
    print(f"\nscoring {len(texts)} texts of {tokens} tokens, n = {repeats}")
    print("| bare forward, tokens/s | ours, tokens/s | ours over bare |\n|---|---|---|")
    print(f"| {spread(rates['bare'], 0)} | {spread(rates['ours'], 0)} | {spread(paired(rates['ours'], rates['bare']))} |", flush=True)


def padded(engine: TransformersEngine, texts: Sequence[Tokens]) -> list[torch.Tensor]:
    """The batches that scoring would form, [rows, longest]."""
    out = []
    for batch in pack(sorted(texts, key=len, reverse=True), len, max_tokens=engine.spec.batch_tokens):
        ids = torch.zeros((len(batch), len(batch[0])), dtype=torch.long, device=engine.model.device)
        for row, text in zip(ids, batch, strict=True):
            row[: len(text)] = torch.tensor([*text.prefix, *(token for segment in text.segments for token in segment)])
        out.append(ids)
    return out


@torch.inference_mode()
def forward(engine: TransformersEngine, batches: Sequence[torch.Tensor]) -> float:
    """Seconds of the bare passes."""
    started = time.perf_counter()
    for ids in batches:
        float(engine.model(input_ids=ids, use_cache=False).logits[0, 0, 0])
    return time.perf_counter() - started


def scoring(engine: TransformersEngine, requests: Sequence[ScoreRequest]) -> float:
    """Seconds of our scores."""
    started = time.perf_counter()
    list(engine.score(requests))
    return time.perf_counter() - started
