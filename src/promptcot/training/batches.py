"""Which examples form which optimizer step and which forward pass, decided before the first step and from the seed alone.

Worked example: 10 examples, batch 4, 1.5 epochs. Epoch one is a permutation cut into 4 + 4 + 2; the half epoch takes the first 5 of a
second permutation as 4 + 1. That is 5 steps; each is cut again into micro-batches of similar length that fit `training.batch_tokens`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from promptcot.engines.protocol import FitExample, PairExample, Tokens
from promptcot.errors import UsageError
from promptcot.recipe import Fit, Training

OVERHEAD_TOKENS = 200
"""What one more forward and backward pass costs, in tokens: the padding worth splitting a micro-batch for. As measured with a 135M model
on two CPU cores, where it is mostly the cast of all weights to bf16."""


Example = FitExample | PairExample


@dataclass(frozen=True, slots=True)
class Usable:
    """The examples a fit sees, and the ids of those too long for it."""

    examples: tuple[Example, ...]
    dropped: tuple[str, ...]

    @property
    def mean_weight(self) -> float:
        """The mean weight of a scored token."""
        tokens = [scored_tokens(example) for example in self.examples]
        return math.fsum(e.weight * n for e, n in zip(self.examples, tokens, strict=True)) / sum(tokens)


def texts(example: Example) -> tuple[Tokens, ...]:
    """The texts of an example: one, or a pair's chosen and rejected one. They are never put into different forward passes."""
    return (example.chosen, example.rejected) if isinstance(example, PairExample) else (example.tokens,)


def scored_tokens(example: Example) -> int:
    """How many tokens of the example bear loss: those of its segments."""
    return sum(len(segment) for text in texts(example) for segment in text.segments)


def total_tokens(example: Example) -> int:
    """All its tokens, prefixes included."""
    return sum(map(len, texts(example)))


def padded_tokens(example: Example) -> int:
    """What it takes of a forward pass: each of its texts is as wide as the longest."""
    return len(texts(example)) * max(map(len, texts(example)))


def usable(examples: Sequence[Example], training: Training, context: int | None = None) -> Usable:
    """Leave out examples of weight 0, then those with a text longer than `training.max_tokens` or the model's context.

    Raises `UsageError` naming the example's id."""
    limit = min(training.max_tokens, context or training.max_tokens)
    kept: list[Example] = []
    dropped: list[str] = []
    for example in examples:
        _check(example)
        longest = max(map(len, texts(example)))
        if example.weight == 0:
            continue
        if longest <= limit:
            _check_reference(example)
            kept.append(example)
        elif training.too_long == "drop":
            dropped.append(example.id)
        else:
            raise UsageError(
                f"a training text has {longest} tokens, more than {limit}",
                where=f"example {example.id}",
                remedy="raise training.max_tokens or set training.too_long: drop",
            )
    if not kept:
        raise UsageError(
            f"nothing to fit: {len(examples)} examples, {len(dropped)} too long, the rest of weight 0",
            where="training",
            remedy="give examples of positive weight, or raise training.max_tokens",
        )
    return Usable(tuple(kept), tuple(dropped))


def _check(example: Example) -> None:
    problem = None
    if not (math.isfinite(example.weight) and example.weight >= 0):
        problem = f"weight {example.weight} is not a finite number >= 0"
    elif not all(any(text.segments) for text in texts(example)):
        problem = "no segment has a token to score"
    elif not all(text.prefix for text in texts(example)):
        problem = "the prefix is empty, so nothing predicts the first scored token"
    if problem:
        raise UsageError(problem, where=f"example {example.id}")


def _check_reference(example: Example) -> None:
    if isinstance(example, PairExample) and not all(map(math.isfinite, example.reference)):
        raise UsageError(f"its reference log-probabilities are {example.reference}", where=f"example {example.id}")


def optimizer_steps(examples: int, epochs: float, batch: int, seed: int) -> list[list[int]]:
    """The example indices of every optimizer step.

    Each epoch is a permutation of its own, cut into batches of `batch`; its last one may be smaller. A fractional last epoch takes that
    share of the examples (rounded, at least one if it is the only epoch)."""
    whole, part = divmod(epochs, 1)
    sizes = [examples] * int(whole)
    rest = round(part * examples)
    if rest or not sizes:
        sizes.append(max(rest, 1))
    steps: list[list[int]] = []
    for epoch, size in enumerate(sizes):
        order = np.random.default_rng((seed, epoch)).permutation(examples)[:size].tolist()
        steps += [order[i : i + batch] for i in range(0, size, batch)]
    return steps


def micro_batches(lengths: Sequence[int], limit: int) -> list[list[int]]:
    """Cut a batch into forward passes of at most `limit` tokens, padding included (or of one example): the cheapest cut.

    Examples are sorted by length and cut where padded tokens plus `OVERHEAD_TOKENS` a pass are least, by dynamic programming.
    Returns positions in `lengths`, shortest first. A pair's length is what both its texts take."""
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], i))
    best: list[tuple[float, int]] = [(0.0, 0)]
    for end in range(1, len(order) + 1):
        widest = lengths[order[end - 1]]
        fits = (start for start in range(end) if start == end - 1 or (end - start) * widest <= limit)
        best.append(min((best[start][0] + (end - start) * widest + OVERHEAD_TOKENS, start) for start in fits))
    cuts, end = [], len(order)
    while end:
        start = best[end][1]
        cuts.append(order[start:end])
        end = start
    return cuts[::-1]


def shares(lengths: Sequence[int], limit: int, processes: int) -> list[list[list[int]]]:
    """Each process's micro-batches of a batch: the examples are dealt out by length, then each share is cut.

    All processes get the same number of them, since they meet at every one; an empty one stands for a pass that counts for nothing."""
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    parts = [sorted(order[rank::processes]) for rank in range(processes)]
    cuts = [[[part[i] for i in cut] for cut in micro_batches([lengths[i] for i in part], limit)] for part in parts]
    most = max(map(len, cuts))
    return [cut + [[] for _ in range(most - len(cut))] for cut in cuts]


def learning_rate_factor(step: int, steps: int, settings: Fit) -> float:
    """What the peak learning rate is multiplied by at `step` (from 0): a linear ramp, then `settings.schedule`.

    Never 0: unlike the usual schedules, which spend their first step at rate 0, short fits (a few steps a round) use every step."""
    warmup = round(settings.warmup * steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(steps - warmup, 1)
    match settings.schedule:
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * progress))
        case "linear":
            return 1 - progress
        case "constant":
            return 1.0
