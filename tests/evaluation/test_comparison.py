"""Differences of paired runs: what is a gain, what pairs, and how often the truth is in the interval."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptcot.errors import UsageError
from promptcot.evaluation.comparison import compare, difference, holm, sign_test, survivors
from promptcot.evaluation.scores import passes
from tests.evaluation.simulated import marks, solver, tolerance


def test_runs_pair_by_question_and_name_what_does_not():
    new = [marks("a", "cc"), marks("b", "cw"), marks("only new", "cc"), marks("c", "cc")]
    old = [marks("c", "vv"), marks("b", "ww"), marks("a", "cw"), marks("only old", "cc")]
    got = compare(new, old)
    assert got.difference.value == pytest.approx(0.5)
    assert (got.shared, got.only_new, got.only_old) == (2, ("c", "only new"), ("only old",))
    assert (got.sign.better, got.sign.worse, got.sign.ties) == (2, 0, 0)
    with pytest.raises(UsageError, match="share no question"):
        compare(new, [marks("z", "c")])


def test_a_difference_inside_its_interval_is_no_gain():
    small = [marks(f"q{i:02d}", "c" if i < 16 else "w") for i in range(30)]
    smaller = [marks(f"q{i:02d}", "c" if i < 14 else "w") for i in range(30)]
    got = compare(small, smaller)
    assert got.difference.value > 0
    assert got.verdict == "no evidence"
    assert got.p > 0.05
    clear = compare(small, [marks(f"q{i:02d}", "w") for i in range(30)])
    assert (clear.verdict, clear.p < 0.002, clear.sign.p < 0.001) == ("gain", True, True)
    assert compare([marks(f"q{i:02d}", "w") for i in range(30)], small).verdict == "worse"


def test_pass_at_k_is_compared_like_avg():
    rng = np.random.default_rng(0)
    strong, weak = solver(np.full(40, 0.8), 8, rng), solver(np.full(40, 0.2), 8, rng)
    assert compare(strong, weak, passes(4)).verdict == "gain"


def test_two_runs_that_solve_all_or_agree_say_nothing_of_more():
    got = compare([marks(f"{i}", "cc") for i in range(30)], [marks(f"{i}", "cc") for i in range(30)])
    assert got.difference.low < -0.05 < 0.05 < got.difference.high
    assert (got.p, got.sign.p, got.sign.ties) == (1.0, 1.0, 30)
    assert (difference([0.25])[0].low, difference([0.25])[0].high) == (-1.0, 1.0)


def test_the_sign_test_is_the_exact_binomial():
    stats = pytest.importorskip("scipy.stats")
    for better, worse in ((0, 0), (5, 1), (9, 9), (2, 11)):
        got = sign_test([0.5] * better + [-0.1] * worse + [0.0] * 3)
        assert (got.better, got.worse, got.ties) == (better, worse, 3)
        assert got.p == pytest.approx(stats.binomtest(better, better + worse).pvalue if better + worse else 1.0, abs=1e-12)


@settings(max_examples=40)
@given(st.lists(st.integers(-8, 8), min_size=2, max_size=20), st.randoms())
def test_differences_are_bounded_and_the_other_way_round_is_the_negative(eighths, random):
    values = [x / 8 for x in eighths]
    there, p = difference(values, draws=300)
    back, _ = difference([-v for v in values], draws=300)
    assert -1 <= there.low <= there.value <= there.high <= 1
    assert 0 < p <= 1
    assert back.value == -there.value
    shuffled = list(values)
    random.shuffle(shuffled)
    new = [marks(f"{i}", "c" * (8 + x) + "w" * (8 - x)) for i, x in enumerate(eighths)]
    old = [marks(f"{i}", "c" * 8 + "w" * 8) for i in range(len(eighths))]
    assert compare(new, old, draws=50) == compare(new[::-1], old, draws=50)


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=20))
def test_the_p_value_agrees_with_the_interval(values):
    got, p = difference(values, draws=2000)
    if abs(p - 0.05) > 0.01:
        assert (got.verdict == "no evidence") == (p > 0.05)


def test_holm_adjusts_the_textbook_way():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert holm({}) == {}


def test_of_many_benchmarks_only_the_clear_gains_survive():
    rng = np.random.default_rng(1)
    clear = compare(solver(np.full(60, 0.9), 4, rng), solver(np.full(60, 0.5), 4, rng))
    nulls = {f"null {i}": compare(solver(np.full(30, 0.5), 4, rng), solver(np.full(30, 0.5), 4, rng)) for i in range(6)}
    assert survivors({"clear": clear, **nulls}) == ("clear",)


@pytest.mark.slow
@pytest.mark.parametrize("level", [0.95, 0.9])
@pytest.mark.parametrize(
    ("n", "k", "mean", "effect"), [(30, 16, 0.5, 0.5), (30, 1, 0.5, 1.0), (30, 16, 0.95, 1.0), (30, 1, 0.95, 1.0), (100, 4, 0.6, 0.0)]
)
def test_the_true_difference_is_in_the_interval_at_least_as_often_as_stated(n, k, mean, effect, level):
    rng, runs, hits = np.random.default_rng(5), 400, 0
    truth = float(np.mean(moved(p := rng.beta(mean, 1 - mean, 400_000), effect) - p))
    for seed in range(runs):
        p = rng.beta(mean, 1 - mean, n)
        differences = rng.binomial(k, moved(p, effect)) / k - rng.binomial(k, p) / k
        got, _ = difference(list(differences), level=level, draws=400, seed=seed)
        hits += got.low <= truth <= got.high
    assert hits / runs >= level - tolerance(level, runs)


def moved(p, effect):
    odds = np.clip(p, 1e-12, 1 - 1e-12)
    return 1 / (1 + (1 - odds) / odds * math.exp(-effect))
