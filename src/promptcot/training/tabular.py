"""The M-step of a tabular model in closed form: weighted counts, normalized."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from promptcot.engines.protocol import FitExample
from promptcot.engines.tabular import TabularModel


def fit_tabular(folder: Path, examples: Sequence[FitExample], out: Path) -> float:
    """Maximize the weighted log-likelihood of the examples and save the model; rows without data keep their law.

    p(z|c) is proportional to sum_x N q, p(x|z) to sum_c N q (or p(x|c,z) where the model sees c); q(z|c,x), and p(x|c) of a generator
    without rationales, to their counts. Returns the total weight."""
    model = TabularModel.load(folder)
    counts = {name: np.zeros_like(table) for name, table in model.tables.items()}
    t = model.tokenizer
    for example in examples:
        c, first = t.concept(example.tokens.prefix[0]), example.tokens.segments[0][0]
        if not model.with_rationale:
            counts["x_given_c"][c, t.problem(first)] += example.weight
            continue
        z = t.rationale(first)
        if model.kind == "posterior":
            counts["z_given_cx"][c, t.problem(example.tokens.prefix[1]), z] += example.weight
            continue
        x = t.problem(example.tokens.segments[1][0])
        counts["z_given_c"][c, z] += example.weight
        if "x_given_cz" in counts:
            counts["x_given_cz"][c, z, x] += example.weight
        else:
            counts["x_given_z"][z, x] += example.weight
    TabularModel(model.kind, t, {name: _normalized(counts[name], old) for name, old in model.tables.items()}).save(out)
    return float(sum(example.weight for example in examples))


def _normalized(counts: np.ndarray, old: np.ndarray) -> np.ndarray:
    totals = counts.sum(axis=-1, keepdims=True)
    return np.where(totals > 0, counts / np.where(totals > 0, totals, 1), old)
