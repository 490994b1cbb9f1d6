"""Where weights change: the weighted maximum likelihood that the cold start and both fits of an EM round have in common.

`fit` is the only door. It minimizes, per optimizer step over a batch b of `settings.batch` examples,

    loss = sum_{i in b} w_i sum_t nll_it / (w_mean * n_b)

t runs over the tokens of the segments (never the prefix), n_b is their number in the batch, and w_mean the mean weight of a scored
token over all examples of the fit. So a batch that holds light examples takes a light step, as the weighted likelihood
asks; the scale is that of nats per token whether a seed brings one rationale of weight 1 or K of weight 1/K; multiplying all weights by
a constant changes nothing; an example of weight 0 is as good as absent. Over one full batch it is sum w nll / sum w tokens.

Torch and transformers are imported when a fit starts, so importing this package costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from promptcot.engines.protocol import FitExample
from promptcot.errors import MissingHere, UsageError
from promptcot.recipe import Fit, Training
from promptcot.training.log import FitLog, Progress

__all__ = ["FitLog", "Progress", "fit"]


def fit(
    model: Path,
    examples: Sequence[FitExample],
    settings: Fit,
    training: Training,
    out: Path,
    *,
    seed: int,
    kind: str = "transformers",
    on_step: Callable[[Progress], None] | None = None,
) -> FitLog:
    """Fit p_theta(z, x | c) or q_phi(z | c, x) to weighted texts: read the folder `model`, write the folder `out`.

    `out` must not exist or be empty; it appears whole or not at all. Its weights are fp32 whatever the source: a step at EM's learning rate
    (2e-6) is smaller than half a bf16 ulp of a typical weight, so rounding between rounds would undo most of a round.
    The same examples, settings and seed give the same losses and weights on the same kind of machine. `on_step` hears of each optimizer
    step. Raises `UsageError` for a bad folder or example, `Stopped` when the loss is not finite, `MissingHere` without the libraries."""
    if kind == "tabular":
        return _fit_tabular(model, examples, out)
    if kind != "transformers":
        raise UsageError(
            f"models of kind `{kind}` cannot be trained", where="engines", remedy="use an engine of kind transformers or tabular"
        )
    _require_train_extra()
    from promptcot.training.worker import fit_transformers

    return fit_transformers(model, examples, settings, training, out, seed=seed, on_step=on_step)


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
