"""The bounds on log p(x|c) against exact enumeration over the toy problem, and as properties over any p and q."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptcot import bounds
from promptcot.engines.protocol import SampleRequest
from promptcot.records import BoundRow
from tests import toy

UNIFORM = np.full((3, 4, 2), 0.5)
nats = st.floats(-30, 5)


def weighted(values):
    """A value per cell (c, x), averaged over the toy's observations."""
    return float((toy.COUNTS * np.asarray(values)).sum() / toy.COUNTS.sum())


def elbo(p, q):
    joint = np.log(toy.joint(p))
    return weighted([[bounds.elbo(joint[c, x], q[c, x]) for x in range(4)] for c in range(3)])


def as_printed(p, q):
    """The paper's equation 2, E_q[log p(z,x|c)] - KL(q || p(z|c)): log p(z|c) is in it twice."""
    log_prior = np.log(toy.tables(p)["z_given_c"])[:, None, :]
    return weighted(np.sum(q * (np.log(toy.joint(p)) + log_prior - np.log(q)), axis=-1))


def argmax_as_printed(p):
    """Where equation 2 as printed is largest: q proportional to p(x|z,c) p(z|c)^2, which is not the posterior."""
    squared = toy.joint(p) * toy.tables(p)["z_given_c"][:, None, :]
    return squared / squared.sum(axis=-1, keepdims=True)


def test_elbo_is_the_correct_form_and_not_the_printed_one(tmp_path):
    p = toy.pair(tmp_path).generator
    exact, printed = toy.responsibilities(p), argmax_as_printed(p)
    assert [elbo(p, q) for q in (UNIFORM, exact, printed)] == pytest.approx([-1.527672, -1.347325, -1.356394], abs=1e-6)
    assert [as_printed(p, q) for q in (UNIFORM, exact, printed)] == pytest.approx([-2.236196, -1.990803, -1.981176], abs=1e-6)
    assert elbo(p, exact) == pytest.approx(toy.log_likelihood(p))


@given(st.lists(st.tuples(nats, st.floats(0.01, 1)), min_size=1, max_size=6))
def test_elbo_never_exceeds_log_p_x_and_meets_it_at_the_posterior(terms):
    joint, q = np.array([t for t, _ in terms]), np.array([w for _, w in terms])
    log_p = np.logaddexp.reduce(joint)
    assert bounds.elbo(joint, q / q.sum()) <= log_p + 1e-9
    assert bounds.elbo(joint, np.exp(joint - log_p)) == pytest.approx(log_p)


def test_elbo_takes_a_rationale_that_q_never_writes_as_zero():
    assert bounds.elbo(np.array([-1.0, -np.inf]), np.array([1.0, 0.0])) == -1.0


def expected_iwae(pair, c, x, k):
    """E of IWAE-k for one cell: every outcome of k draws from q, by its probability."""
    with pair.posterior.open() as engine:
        request = SampleRequest("", engine.tokenizer.encode(f"c{c} x{x}"), tuple(range(k)))
        joint, total = np.log(toy.joint(pair.generator))[c, x], 0.0
        for mass, completions in engine.outcomes(request):
            log_w = np.array([joint[engine.tokenizer.rationale(z.ids[0])] - z.log_p for z in completions])
            total += mass * bounds.iwae(log_w, k)
    return total


# E over k draws from the uniform q0, with p0
ONE_CELL = {1: -1.639101, 2: -1.445432, 4: -1.336375, 8: -1.289415, 16: -1.269529, 64: -1.25603, 256: -1.25282}
ALL_CELLS = {1: -1.527672, 2: -1.437499, 4: -1.387808, 8: -1.365818, 16: -1.356161, 64: -1.349465}


def test_iwae_rises_with_k_towards_log_p_x(tmp_path):
    pair = toy.pair(tmp_path)
    got = {k: expected_iwae(pair, 0, 0, k) for k in ONE_CELL}
    assert got == pytest.approx(ONE_CELL, abs=1e-6)
    log_p = float(np.log(toy.x_given_c(pair.generator)[0, 0]))
    assert log_p == pytest.approx(-1.251763, abs=1e-6)
    assert sorted(got.values()) == list(got.values())
    assert got[256] < log_p


@pytest.mark.parametrize("k", ALL_CELLS)
def test_iwae_of_the_whole_toy(tmp_path, k):
    pair = toy.pair(tmp_path)
    got = weighted([[expected_iwae(pair, c, x, k) for x in range(4)] for c in range(3)])
    assert got == pytest.approx(ALL_CELLS[k], abs=1e-6)
    if k == 1:
        assert got == pytest.approx(elbo(pair.generator, UNIFORM))


@given(st.lists(nats, min_size=1, max_size=8), st.floats(-1000, 1000))
def test_log_mean_exp_is_what_it_says_and_moves_with_its_argument(values, shift):
    array = np.array(values)
    assert bounds.log_mean_exp(array) == pytest.approx(np.log(np.mean(np.exp(array))))
    assert bounds.log_mean_exp(array + shift) == pytest.approx(float(bounds.log_mean_exp(array)) + shift, abs=1e-9)


def test_log_mean_exp_of_impossible_draws():
    assert bounds.log_mean_exp(np.array([-np.inf, -np.inf])) == -np.inf
    assert bounds.log_mean_exp(np.array([0.0, -np.inf])) == pytest.approx(-np.log(2))


@given(st.lists(nats, min_size=4, max_size=20), st.integers(1, 4))
def test_iwae_k_is_the_mean_over_whole_blocks_of_k_draws(log_w, k):
    blocks = [log_w[i : i + k] for i in range(0, len(log_w) - k + 1, k)]
    assert bounds.iwae(np.array(log_w), k) == pytest.approx(np.mean([np.log(np.mean(np.exp(b))) for b in blocks]))


def row(best, new, log_m, tokens, name="r"):
    return BoundRow(id=name, round=1, best=0, log_p_best=best, log_p_new=new, log_m=log_m, tokens_problem=tokens, draws=len(log_m))


def test_bounds_are_sums_of_nats_over_sums_of_tokens():
    rows = [row((-3.0, -4.0), (-2.0, -4.0), (-1.0, -1.0), 2), row((-9.0, -9.0), (-10.0, -10.0), (-1.0, -2.0), 8)]
    # K = 1: (-2.5 - 7.5) / 10 and (-2 - 8.5) / 10
    best, new = bounds.per_token(rows, "best", 1), bounds.per_token(rows, "new", 1)
    assert (best.value, new.value) == pytest.approx((-1.0, -1.05))
    assert bounds.difference(rows, 1).value == pytest.approx(-0.05)


@given(st.lists(st.tuples(nats, nats, nats), min_size=2, max_size=6), st.integers(1, 2), st.integers(1, 50))
@settings(max_examples=25)
def test_the_difference_is_paired_by_problem(draws, k, tokens):
    """Shared draws cancel: two generators a constant apart differ by exactly that, with no interval left."""
    draws = draws[: len(draws) // 2 * 2]
    log_m = tuple(m for _, _, m in draws)
    rows = [row((p,) * len(draws), (p + 1,) * len(draws), log_m, tokens, f"r{i}") for i, (p, _, _) in enumerate(draws)]
    gain = bounds.difference(rows, k)
    assert (gain.value, gain.low, gain.high) == pytest.approx((1 / tokens,) * 3)
