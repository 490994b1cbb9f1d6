"""Where weights change: the weighted maximum likelihood that the cold start and both fits of an EM round have in common, and preferences.

`fit` and `fit_pairs` are the only doors, to one worker. `fit` minimizes, per optimizer step over a batch b of `settings.batch` examples,

    loss = sum_{i in b} w_i sum_t nll_it / (w_mean * n_b)

t runs over the tokens of the segments (never the prefix), n_b is their number in the batch, and w_mean the mean weight of a scored
token over all examples of the fit. So a batch that holds light examples takes a light step, as the weighted likelihood
asks; the scale is that of nats per token whether a seed brings one rationale of weight 1 or K of weight 1/K; multiplying all weights by
a constant changes nothing; an example of weight 0 is as good as absent. Over one full batch it is sum w nll / sum w tokens.

`fit_pairs` prefers one text of a pair to the other (offline DPO, Rafailov et al. 2023): per batch of pairs it minimizes the mean of

    w_i * -log sigmoid(m_i),   m_i = beta ((log p(chosen_i) - log p_ref(chosen_i)) - (log p(rejected_i) - log p_ref(rejected_i)))

with log p summed over the tokens of all segments. Here weights scale the step: w = 1 is the loss as published.

Torch and transformers are imported when a fit starts, so importing this package costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from promptcot.engines.protocol import FitExample, PairExample
from promptcot.errors import MissingHere, UsageError
from promptcot.recipe import Fit, Training
from promptcot.training.job import Job
from promptcot.training.log import METRICS, FitLog, Progress, StepMetrics

__all__ = ["METRICS", "FitLog", "Progress", "StepMetrics", "fit", "fit_pairs", "longest_text"]


def fit(
    model: Path,
    examples: Sequence[FitExample],
    settings: Fit,
    training: Training,
    out: Path,
    *,
    seed: int,
    kind: str = "transformers",
    checkpoints: Path | None = None,
    on_step: Callable[[Progress], None] | None = None,
) -> FitLog:
    """Fit p_theta(z, x | c) or q_phi(z | c, x) to weighted texts: read the folder `model`, write the folder `out`.

    `out` must not exist or be empty; it appears whole or not at all. Its weights are fp32 whatever the source: a step at EM's learning rate
    (2e-6) is smaller than half a bf16 ulp of a typical weight, so rounding between rounds would undo most of a round.
    The same examples, settings and seed give the same losses and weights on the same kind of machine. `on_step` hears of each optimizer
    step. With `training.checkpoint_steps`, a fit that was killed goes on from the last state that it kept in the folder `checkpoints`,
    with the losses and to the weights of one that was not; who no longer needs that folder removes it.
    Raises `UsageError` for a bad folder or example, `Stopped` when the loss is not finite, `MissingHere` without the libraries."""
    if kind == "tabular":
        return _fit_tabular(model, examples, out)
    return _fit_transformers(Job(model, tuple(examples), settings, training, seed), out, kind, checkpoints, on_step)


def fit_pairs(
    model: Path,
    pairs: Sequence[PairExample],
    settings: Fit,
    beta: float,
    training: Training,
    out: Path,
    *,
    seed: int,
    kind: str = "transformers",
    checkpoints: Path | None = None,
    on_step: Callable[[Progress], None] | None = None,
) -> FitLog:
    """Prefer `chosen` to `rejected` in every pair, by `beta`: as `fit` in all else.

    `settings.batch` counts pairs; both texts of a pair go through one forward pass, and a pair with a text that is too long is dropped
    and named. Tables cannot be fitted to pairs."""
    if not beta > 0:
        raise UsageError(f"beta is {beta}", where="training", remedy="a number > 0; 0.1 is usual")
    return _fit_transformers(Job(model, tuple(pairs), settings, training, seed, beta), out, kind, checkpoints, on_step)


def longest_text(model: Path, training: Training) -> int:
    """The most tokens of a text that a fit of the folder `model` does not leave out: `training.max_tokens`, or its context where less."""
    _require_train_extra()
    from promptcot.training.folders import context_of

    return min(training.max_tokens, context_of(model) or training.max_tokens)


def _fit_transformers(job: Job, out: Path, kind: str, checkpoints: Path | None, on_step: Callable[[Progress], None] | None) -> FitLog:
    if kind != "transformers":
        raise UsageError(
            f"models of kind `{kind}` cannot be trained{'' if job.beta is None else ' on pairs'}",
            where="engines",
            remedy="use an engine of kind transformers" + (" or tabular" if job.beta is None else ""),
        )
    _require_train_extra()
    if job.training.backend == "command":
        from promptcot.training.command import fit_by_command

        return fit_by_command(job, out)
    if job.training.launch != "single":
        from promptcot.training.launch import fit_by_processes

        return fit_by_processes(job, out, checkpoints=checkpoints, on_step=on_step)
    from promptcot.training.worker import fit_transformers

    return fit_transformers(job, out, checkpoints=checkpoints, on_step=on_step)


def _require_train_extra() -> None:
    for name in ("torch", "transformers", "accelerate"):
        if find_spec(name) is None:
            raise MissingHere(f"training needs `{name}`, which is not installed", remedy="python -m pip install 'promptcot[train]'")


def _fit_tabular(model: Path, examples: Sequence[FitExample], out: Path) -> FitLog:
    from promptcot.training.tabular import fit_tabular

    out.mkdir(parents=True, exist_ok=True)
    fit_tabular(model, examples, out)
    scored = sum(sum(map(len, example.tokens.segments)) for example in examples)
    total = sum(len(example.tokens) for example in examples)
    return FitLog(steps=1, epochs=1.0, examples=len(examples), tokens=scored, total_tokens=total)
