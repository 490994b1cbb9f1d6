"""How good is p on problems it never saw? Held-out bounds on log p(x|c), and the stop rule of EM.

IWAE-K = E log 1/K sum_k p(z_k,x|c) / m(z_k|c,x), a lower bound that tightens with K (Burda et al. 2016); K = 1 is the ELBO
E_q[log p(z,x|c)] + H(q). The PromptCoT 2.0 paper prints E_q[log p(z,x|c)] - KL(q || p(z|c)) as its equation 2, which counts
log p(z|c) twice.

Two generators are compared under one shared proposal m: the mixture, in equal parts, of both rounds' posteriors, with as many valid draws
from each. Unlike the paper's convergence figure, nothing is conditioned on a rationale that has seen x.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from promptcot.intervals import Estimate, ratio_of_sums
from promptcot.records import BoundRow


def iwae(log_w: np.ndarray, k: int) -> float:
    """IWAE-k in nats from log importance weights [K], K >= k: the mean over consecutive blocks of k."""
    blocks = np.asarray(log_w, float)[: len(log_w) // k * k].reshape(-1, k)
    return float(np.mean(log_mean_exp(blocks)))


def log_mean_exp(values: np.ndarray) -> np.ndarray:
    """log of the mean of exp over the last axis, without overflow."""
    top = values.max(axis=-1, keepdims=True)
    top = np.asarray(np.where(np.isfinite(top), top, 0.0))
    with np.errstate(divide="ignore"):
        logs = np.log(np.exp(values - top).mean(axis=-1))
    total: np.ndarray = logs + top[..., 0]
    return total


def elbo(log_joint: np.ndarray, q: np.ndarray) -> float:
    """E_q[log p(z,x|c)] + H(q) in nats, over all z: [Z] log p(z,x|c) and [Z] q(z|c,x)."""
    seen = q > 0
    return float(np.sum(q[seen] * (log_joint[seen] - np.log(q[seen]))))


def log_weights(row: BoundRow, which: str) -> np.ndarray:
    """log p(z,x|c) - log m of the `best` or the `new` generator, [K]."""
    joint = row.log_p_best if which == "best" else row.log_p_new
    return np.subtract(joint, row.log_m, dtype=float)


def per_token(rows: Sequence[BoundRow], which: str, k: int, *, seed: int = 0) -> Estimate:
    """IWAE-k in nats per token of x, sum over sum, with a 90 % bootstrap interval over problems."""
    return ratio_of_sums([iwae(log_weights(r, which), k) for r in rows], [r.tokens_problem for r in rows], seed=seed)


def difference(rows: Sequence[BoundRow], k: int, *, seed: int = 0) -> Estimate:
    """Bound of `new` minus bound of `best`, paired by problem, nats per token of x, 90 % interval."""
    gains = [iwae(log_weights(r, "new"), k) - iwae(log_weights(r, "best"), k) for r in rows]
    return ratio_of_sums(gains, [r.tokens_problem for r in rows], seed=seed)
