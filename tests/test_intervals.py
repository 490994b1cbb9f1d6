"""Intervals against published values and against repeated simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcot.intervals import Estimate, mean, ratio_of_sums, wilson


# the score method's rows of Newcombe, Statistics in Medicine 17 (1998), table I
@pytest.mark.parametrize(
    ("hits", "n", "low", "high"), [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
)
def test_wilson_has_the_published_limits(hits, n, low, high):
    got = wilson(hits, n)
    assert (got.value, got.low, got.high) == pytest.approx((hits / n, low, high), abs=5e-5)
    assert (got.n, got.level) == (n, 0.95)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_a_part_of_the_unit_interval_mirrored_for_misses(case):
    hits, n = case
    hit, miss = wilson(hits, n), wilson(n - hits, n)
    assert 0 <= hit.low <= hit.value + 1e-12
    assert hit.value - 1e-12 <= hit.high <= 1
    assert (hit.low, hit.high) == pytest.approx((1 - miss.high, 1 - miss.low))
    assert wilson(hits, n, 0.5).low >= hit.low - 1e-12


def test_no_trials_say_nothing():
    assert math.isnan(wilson(0, 0).value)
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)


@pytest.mark.parametrize("n", [10, 40])
def test_a_90_percent_interval_covers_the_true_ratio_about_nine_times_in_ten(n):
    """Nats and tokens of a problem: tokens vary fivefold, nats with them. The percentile bootstrap of a small sample is known to fall
    short a little; 800 repetitions have a standard error of 1.1 points."""
    stream = np.random.default_rng(0)
    hits = 0
    for seed in range(800):
        tokens = stream.integers(20, 100, n)
        nats = tokens * (1.5 + 0.4 * stream.standard_normal(n)) + 5 * stream.standard_normal(n)
        got = ratio_of_sums(nats.tolist(), tokens.tolist(), draws=500, seed=seed)
        hits += got.low <= 1.5 <= got.high
    assert (0.80 if n == 10 else 0.86) < hits / 800 < 0.93


def test_a_ratio_weighs_units_by_their_size():
    assert ratio_of_sums([1.0, 9.0], [1, 3]).value == 2.5
    assert mean([1.0, 9.0]).value == 5.0


@given(st.lists(st.tuples(st.floats(-5, 5), st.integers(1, 50)), min_size=2, max_size=20), st.integers(0, 3))
def test_the_interval_lies_within_the_units_own_ratios_and_repeats(units, seed):
    values, sizes = [v * s for v, s in units], [s for _, s in units]
    got = ratio_of_sums(values, sizes, draws=200, seed=seed)
    assert min(v for v, _ in units) - 1e-9 <= got.low <= got.high <= max(v for v, _ in units) + 1e-9
    assert got == ratio_of_sums(values, sizes, draws=200, seed=seed)


def test_one_unit_says_nothing_about_spread():
    assert (ratio_of_sums([3.0], [2]).low, ratio_of_sums([3.0], [2]).high) == (-math.inf, math.inf)
    assert ratio_of_sums([3.0], [2]).verdict == "no evidence"
    assert math.isnan(ratio_of_sums([], []).value)


def test_an_impossible_problem_pulls_the_value_and_the_low_end_to_minus_infinity():
    got = ratio_of_sums([-math.inf, *[1.0] * 9], [1] * 10)
    assert (got.value, got.low) == (-math.inf, -math.inf)
    assert got.high == 1.0  # a resample without it: 0.9^10 = 35 % of them


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.1, 0.3, "gain"), (-0.3, -0.1, "worse"), (-0.1, 0.3, "no evidence"), (0.0, 0.3, "no evidence")]
)
def test_a_verdict_needs_the_whole_interval_on_one_side(low, high, verdict):
    assert Estimate((low + high) / 2, low, high, 9, 0.9).verdict == verdict
