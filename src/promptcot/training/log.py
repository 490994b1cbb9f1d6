"""What a fit says while it runs and when it is done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """One optimizer step is done: `step` of `steps` (from 1), its mean loss in nats per scored token, and tokens per second so far.

    `tokens` were passed over so far, prefixes included; for so many `gpu_seconds` accelerators have been held, since before loading."""

    step: int
    steps: int
    loss: float
    tokens_per_second: float
    tokens: int
    gpu_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FitLog:
    """What a fit did, for its manifest.

    `examples` counts those with weight > 0 that were fitted; `dropped` holds the ids of those too long for it.
    `tokens` (scored) and `total_tokens` (prefixes too, padding not) count every pass. `losses`: per optimizer step, before the step,
    sum w nll / sum w tokens of its batch, in nats per scored token. `seconds` is the wall time of the steps, without loading and
    saving; `gpu_seconds` is the time with these, times the accelerators held. A closed-form fit has one step and no losses."""

    steps: int
    epochs: float
    examples: int
    tokens: int
    total_tokens: int
    dropped: tuple[str, ...] = ()
    seconds: float = 0.0
    losses: tuple[float, ...] = ()
    gpu_seconds: float = 0.0
