"""What a fit says while it runs and when it is done."""

from __future__ import annotations

from dataclasses import dataclass

METRICS = "metrics.jsonl"
"""Beside a fitted model: one `StepMetrics` a line, for every optimizer step. No part of the model's fingerprint."""


@dataclass(frozen=True, slots=True)
class StepMetrics:
    """One optimizer step: `step` from 1, the loss before it, and its learning rate.

    `loss`: for texts, nats per scored token; for pairs, the mean of w * -log sigmoid(margin). `margin` and `accuracy`, of pairs only: the
    mean margin, and the share of pairs whose margin is positive. `tokens` were passed over up to here since the fit began, prefixes
    included; `tokens_per_second` is the mean of the process that took the step."""

    step: int
    loss: float
    learning_rate: float
    tokens: int
    tokens_per_second: float
    margin: float | None = None
    accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """One optimizer step is done: `step` of `steps` (from 1), its loss (see `StepMetrics`), and tokens per second so far.

    `tokens` were passed over so far by this process, prefixes included; for so many `gpu_seconds` accelerators have been held, since before
    loading. `margin` and `accuracy` are those of the step, for pairs."""

    step: int
    steps: int
    loss: float
    tokens_per_second: float
    tokens: int
    gpu_seconds: float
    margin: float | None = None
    accuracy: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FitLog:
    """What a fit did, for its manifest.

    `examples` counts those with weight > 0 that were fitted; `dropped` holds the ids of those too long for it.
    `tokens` (scored) and `total_tokens` (prefixes too, padding not) count every pass. `losses`: per optimizer step, before the step,
    sum w nll / sum w tokens of its batch, in nats per scored token; of pairs, the mean of w * -log sigmoid(margin). `margins` and
    `accuracies`, of pairs only: per step, the mean margin and the share of positive ones. `seconds` is the wall time of the steps, without
    loading and saving; `gpu_seconds` is the time with these, times the accelerators held. `resumed_tokens` of `total_tokens` were
    passed over by a process that was killed, up to the checkpoint that this one went on from.
    A closed-form fit has one step and no losses."""

    steps: int
    epochs: float
    examples: int
    tokens: int
    total_tokens: int
    dropped: tuple[str, ...] = ()
    seconds: float = 0.0
    losses: tuple[float, ...] = ()
    margins: tuple[float, ...] = ()
    accuracies: tuple[float, ...] = ()
    gpu_seconds: float = 0.0
    resumed_tokens: int = 0
