"""EM run through `fit` is EM: a neural model follows the closed-form likelihood, round by round.

The toy problem: 3 concepts, 2 rationales, 4 problems, N[c][x] observations of (c, x), 48 in all, and a start p0. EXACT is LL(t) =
sum N log p_t(x|c) / 48 in nats after t rounds of exact EM, from iterating p(z|c) <- sum_x N r / sum_zx N r and
p(x|z) <- sum_c N r / sum_cx N r with r = p(z,x|c) / sum_z p(z,x|c) in float64. A model whose x sees c ends at the entropy of the data,
SATURATED = sum N log(N / sum_x N) / 48, after one round.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from promptcot.engines.protocol import FitExample, Tokens
from promptcot.recipe import Fit, Training
from promptcot.training import fit
from tests.training.tiny import CONCEPTS, EOS, PROBLEMS, RATIONALES, save_toy

N = np.array([[8, 4, 2, 2], [2, 6, 6, 2], [1, 1, 4, 10]])
P0_Z = np.array([[0.62, 0.38], [0.5, 0.5], [0.41, 0.59]])
P0_X = np.array([[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]])
EXACT = {0: -1.347325, 1: -1.292128, 2: -1.253983, 3: -1.233824, 5: -1.223749, 10: -1.218817}
SATURATED = -1.151797

M_STEP = Fit(epochs=200, lr=0.03, batch=24, warmup=0.1, schedule="cosine")
"""Full batches, and a rate that lets the tables converge: an M-step, not a small move toward it."""


def joint(folder: Path) -> np.ndarray:
    """p(z, x <eos> | c) of the model in `folder`, float64 [C][Z][X], by plain forward passes."""
    model = AutoModelForCausalLM.from_pretrained(folder).double()
    texts = torch.tensor([[c, z, x, EOS] for c in CONCEPTS for z in RATIONALES for x in PROBLEMS])
    with torch.no_grad():
        log_p = model(input_ids=texts).logits.log_softmax(-1)
    total = sum(log_p[torch.arange(len(texts)), t, texts[:, t + 1]] for t in range(3))
    p: np.ndarray = np.exp(np.asarray(total))
    return p.reshape(len(CONCEPTS), len(RATIONALES), len(PROBLEMS))


def log_likelihood(p: np.ndarray) -> float:
    return float((N * np.log(p.sum(axis=1))).sum() / N.sum())


def em_round(folder: Path, out: Path) -> None:
    """E-step: the exact posterior. M-step: `fit` on every (c, z, x), weighted by N times the posterior."""
    p = joint(folder)
    weights = N[:, None, :] * p / p.sum(axis=1, keepdims=True)
    examples = [
        FitExample(f"{c}{z}{x}", Tokens((c,), ((z,), (x, EOS))), float(weights[c, i, j]))
        for c in CONCEPTS
        for i, z in enumerate(RATIONALES)
        for j, x in enumerate(PROBLEMS)
    ]
    fit(folder, examples, M_STEP, Training(dtype="fp32"), out, seed=0)


@pytest.mark.slow
def test_a_model_whose_problem_cannot_see_the_concepts_follows_exact_em(tmp_path: Path) -> None:
    save_toy(tmp_path / "0", P0_Z, P0_X, sees_c=False)
    likelihood = [log_likelihood(joint(tmp_path / "0"))]
    for t in range(10):
        em_round(tmp_path / str(t), tmp_path / str(t + 1))
        likelihood.append(log_likelihood(joint(tmp_path / str(t + 1))))
    assert {t: likelihood[t] for t in EXACT} == pytest.approx(EXACT, abs=1e-3)


def test_a_model_whose_problem_sees_the_concepts_needs_no_rationale(tmp_path: Path) -> None:
    save_toy(tmp_path / "0", P0_Z, P0_X, sees_c=True)
    assert log_likelihood(joint(tmp_path / "0")) == pytest.approx(EXACT[0], abs=1e-6)
    em_round(tmp_path / "0", tmp_path / "1")
    assert log_likelihood(joint(tmp_path / "1")) == pytest.approx(SATURATED, abs=2e-3)
