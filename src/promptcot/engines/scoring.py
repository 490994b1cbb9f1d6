"""Scoring: log p of given segments in one pass, without a [tokens x vocabulary] matrix of the batch.

The trunk reads a right-padded batch; being causal, no real token sees the padding behind it, so no mask is needed. The
output layer then runs over scored positions only, in slices. Its logits must be those of the whole model: `head_is_linear` measures that
once per model, because some scale or cap their logits after the layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from transformers import PreTrainedModel

from promptcot.engines.protocol import ScoreRequest, Tokens

LOGITS_AT_ONCE = 1 << 24
"""Logits held at a time: 64 MiB in fp32."""


@torch.inference_mode()
def score_batch(model: PreTrainedModel, requests: Sequence[ScoreRequest]) -> list[tuple[float, ...]]:
    """log p of every segment of every request, in nats."""
    sequences = [_flat(request.tokens) for request in requests]
    hidden = _trunk(model, sequences)
    rows = [n for n, r in enumerate(requests) for _ in range(_scored(r.tokens))]
    places = [at for r in requests for at in range(len(r.tokens.prefix) - 1, len(r.tokens) - 1)]
    targets = [token for r, ids in zip(requests, sequences, strict=True) for token in ids[len(r.tokens.prefix) :]]
    at, to = (torch.tensor(list_, dtype=torch.long, device=hidden.device) for list_ in ((rows, places), targets))
    nats = _sliced_log_p(_head(model), hidden[at[0], at[1]], to)
    return _segment_sums(requests, nats)


@torch.inference_mode()
def score_rows(model: PreTrainedModel, requests: Sequence[ScoreRequest]) -> list[tuple[float, ...]]:
    """The same through the model's own head, one request at a time: for models that change their logits after the output layer."""
    nats = []
    for request in requests:
        ids = torch.tensor([_flat(request.tokens)], device=model.device)
        count = _scored(request.tokens)
        logits = model(input_ids=ids[:, :-1], use_cache=False, logits_to_keep=count).logits[0, -count:]
        nats.append(_log_p(logits, ids[0, -count:]))
    return _segment_sums(requests, torch.cat(nats))


@torch.inference_mode()
def head_is_linear(model: PreTrainedModel) -> bool:
    """Whether a linear output layer over the trunk gives the model's own logits, on a few tokens."""
    if not isinstance(_head(model), torch.nn.Linear):
        return False
    ids = torch.arange(8, device=model.device)[None] % model.config.get_text_config().vocab_size
    whole = model(input_ids=ids, use_cache=False).logits.float()
    parts = _head(model)(_states(model, ids)).float()
    return whole.shape == parts.shape and torch.allclose(whole, parts, rtol=1e-6, atol=1e-6)


def _head(model: PreTrainedModel) -> torch.nn.Linear:
    head: torch.nn.Linear = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    return head


def _states(model: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
    hidden: torch.Tensor = model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state  # type: ignore[no-untyped-call]
    return hidden


def _flat(tokens: Tokens) -> list[int]:
    return [*tokens.prefix, *(token for segment in tokens.segments for token in segment)]


def _scored(tokens: Tokens) -> int:
    return sum(map(len, tokens.segments))


def _trunk(model: PreTrainedModel, sequences: Sequence[Sequence[int]]) -> torch.Tensor:
    """Hidden states [rows, longest - 1, size]; the last token predicts nothing and stays out."""
    width = max(1, *(len(sequence) - 1 for sequence in sequences))
    ids = torch.zeros((len(sequences), width), dtype=torch.long)
    for row, sequence in zip(ids, sequences, strict=True):
        row[: len(sequence) - 1] = torch.tensor(sequence[:-1])
    return _states(model, ids.to(model.device))


def _sliced_log_p(head: torch.nn.Linear, states: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """log p of each target, fp64 [targets], by slices of the output layer."""
    size = max(1, LOGITS_AT_ONCE // head.weight.shape[0])
    starts = range(0, max(1, len(targets)), size)
    return torch.cat([_log_p(head(states[at : at + size]), targets[at : at + size]) for at in starts])


def _log_p(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    logits = logits.float()
    return (logits.gather(1, targets[:, None])[:, 0] - logits.logsumexp(dim=-1)).double()


def _segment_sums(requests: Sequence[ScoreRequest], nats: torch.Tensor) -> list[tuple[float, ...]]:
    lengths = [len(segment) for r in requests for segment in r.tokens.segments]
    sums: Iterator[float] = (float(part.sum()) for part in torch.split(nats.cpu(), lengths))
    return [tuple(next(sums) for _ in r.tokens.segments) for r in requests]
