"""Scores against enumeration, direct formulas and simulated solvers."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptcot.errors import UsageError
from promptcot.evaluation import metrics
from promptcot.evaluation.scores import majority_credit, passes
from promptcot.intervals import beta_cdf, bounded_mean, effective_size, exact, t_cdf, t_quantile
from promptcot.outcomes import Verdict
from tests.evaluation.simulated import marks, solver, tolerance

LETTERS = st.text("cwntuv", min_size=1, max_size=8)


@st.composite
def runs(draw, counted=1):
    texts = draw(st.lists(LETTERS.filter(lambda x: len(x) - x.count("v") >= counted), min_size=1, max_size=4))
    return [marks(f"q{i}", text) for i, text in enumerate(texts)]


RECORDED = [
    marks("a", "cwcw", tokens=[10, 20, 30, None]),
    marks("b", "cccv", tokens=[5, 5, 5, 900]),
    marks("c", "tnuw", piles=[-1, -1, 3, 4]),
    marks("d", "vvvv"),
]


def test_recorded_marks_give_known_scores():
    got = metrics.avg_at_k(RECORDED)
    assert got.value == pytest.approx((0.5 + 1 + 0) / 3)
    assert got.n == 3
    graded = RECORDED[:3]
    assert metrics.pass_at_k(graded, 2).value == pytest.approx((1 - 1 / 6 + 1 + 0) / 3)
    assert metrics.maj_at_k(graded, 3).value == pytest.approx((0.5 + 1 + 0) / 3)
    assert metrics.solved_within(graded, 1).value == pytest.approx(2 / 3)
    assert metrics.rate(RECORDED, Verdict.TRUNCATED).value == pytest.approx(0.25 / 3)
    assert metrics.rate(RECORDED, Verdict.UNDECIDED).value == pytest.approx(0.25 / 3)
    assert metrics.rate(RECORDED, Verdict.VERIFIER_ERROR).value == pytest.approx((0.25 + 1) / 4)
    assert metrics.format_rate(RECORDED).value == pytest.approx((1 + 1 + 0.5) / 3)
    assert metrics.mean_tokens(RECORDED[:2]).value == pytest.approx((20 + 915 / 4) / 2)


def test_too_few_attempts_are_an_error_that_names_the_question():
    for ask in (metrics.pass_at_k, metrics.maj_at_k, metrics.solved_within):
        with pytest.raises(UsageError, match="question d has 0 counted"):
            ask(RECORDED, 2)
    with pytest.raises(UsageError, match="k is 0"):
        metrics.pass_at_k(RECORDED, 0)


def test_a_question_twice_and_a_right_attempt_without_an_answer_are_refused():
    with pytest.raises(UsageError, match="more than once"):
        metrics.avg_at_k([RECORDED[0], RECORDED[0]])
    with pytest.raises(UsageError, match="no majority"):
        metrics.maj_at_k([marks("a", "cw", piles=[-1, 0])], 1)


def test_nothing_counted_says_nothing():
    got = metrics.avg_at_k([marks("a", "vv")])
    assert (math.isnan(got.value), got.low, got.high, got.n) == (True, 0.0, 1.0, 0)


@given(st.text("cwn", min_size=1, max_size=8), st.data())
def test_pass_at_k_is_the_mean_over_all_subsets(letters, data):
    k = data.draw(st.integers(1, len(letters)))
    subsets = list(itertools.combinations(letters, k))
    assert passes(k)(marks("q", letters)) == pytest.approx(sum("c" in s for s in subsets) / len(subsets), abs=1e-9)


@given(st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=4), st.integers(0, 2), st.data())
def test_a_majority_is_the_mean_over_all_subsets(piles, silent, data):
    votes = [i for i, (size, _) in enumerate(piles) for _ in range(size)] + [-1] * silent
    k = data.draw(st.integers(1, len(votes))) if votes else None
    if k is None or math.comb(len(votes), k) > 4000:
        return
    assert majority_credit(tuple(piles), silent, k) == pytest.approx(by_enumeration(piles, votes, k), abs=1e-9)


def by_enumeration(piles, votes, k):
    credits = []
    for subset in itertools.combinations(votes, k):
        sizes = Counter(v for v in subset if v >= 0)
        best = [v for v in sizes if sizes[v] == max(sizes.values())]
        credits.append(sum(piles[v][1] for v in best) / len(best) if best else 0.0)
    return sum(credits) / len(credits)


def test_a_majority_of_many_attempts_is_exact_too():
    """Two piles and odd k: right wins with more than half of a hypergeometric draw."""
    right, wrong, k = 140, 116, 65
    ways = sum(math.comb(right, i) * math.comb(wrong, k - i) for i in range(33, k + 1))
    assert majority_credit(((wrong, False), (right, True)), 0, k) == pytest.approx(ways / math.comb(right + wrong, k), abs=1e-9)


def test_the_clustered_error_is_the_direct_formula_and_splits_in_two():
    rng = np.random.default_rng(0)
    p = rng.beta(0.5, 0.5, 30)
    run = solver(p, 16, rng)
    shares = np.array([m.correct / 16 for m in run])
    got = metrics.errors(run)
    assert got.total == pytest.approx(math.sqrt(((shares - shares.mean()) ** 2).sum() / (30 * 29)), abs=1e-12)
    assert got.run == pytest.approx(math.sqrt((shares * (1 - shares) / 15).sum()) / 30, abs=1e-12)
    assert got.total**2 == pytest.approx(got.questions**2 + got.run**2)
    assert math.isnan(metrics.errors(solver(p, 1, rng)).run)


def test_both_parts_of_the_error_are_those_of_repeated_runs():
    rng = np.random.default_rng(1)
    p = rng.beta(0.8, 0.8, 30)
    again = [metrics.avg_at_k(solver(p, 8, rng)).value for _ in range(100)]
    said = np.mean([metrics.errors(solver(p, 8, rng)).run for _ in range(20)])
    assert said == pytest.approx(np.std(again), rel=0.3)  # the spread of 100 runs is known to 7 %


@settings(max_examples=40)
@given(runs())
def test_scores_are_shares_within_their_interval_whatever_the_order(run):
    for got, other in ((metrics.avg_at_k(run), metrics.avg_at_k(run[::-1])), (metrics.pass_at_k(run, 1), metrics.pass_at_k(run[::-1], 1))):
        assert got == other
        assert 0 <= got.low <= got.value <= got.high <= 1
    assert metrics.pass_at_k(run, 1).value == pytest.approx(metrics.avg_at_k(run).value)


@settings(max_examples=40)
@given(runs(counted=4))
def test_more_attempts_never_pass_less(run):
    passed = [metrics.pass_at_k(run, k).value for k in (1, 2, 3, 4)]
    solved = [metrics.solved_within(run, k).value for k in (1, 2, 3, 4)]
    assert passed == sorted(passed)
    assert solved == sorted(solved)
    for k in (1, 2, 3, 4):
        assert 0 <= metrics.maj_at_k(run, k).value <= metrics.pass_at_k(run, k).value + 1e-12


@settings(max_examples=40)
@given(runs(counted=4))
def test_attempts_after_the_first_success_do_not_matter(run):
    stopped = [m if not m.correct else cut(m, m.verdicts.index(Verdict.CORRECT) + 1) for m in run]
    assert metrics.solved_within(run, 4) == metrics.solved_within(stopped, 4)


def cut(m, n):
    return type(m)(m.question, m.verdicts[:n], m.piles[:n], m.tokens[:n])


def test_the_quantiles_are_scipys():
    stats, special = pytest.importorskip("scipy.stats"), pytest.importorskip("scipy.special")
    for a, b, x in [(0.5, 14.5, 0.01), (3, 400, 0.02), (200, 2.5, 0.999), (15, 15, 0.5)]:
        assert beta_cdf(x, a, b) == pytest.approx(special.betainc(a, b, x), abs=1e-11)
    for df in (1, 7, 29, 500):
        assert t_quantile(0.975, df) == pytest.approx(stats.t.ppf(0.975, df), abs=1e-9)
        assert t_cdf(-1.3, df) == pytest.approx(stats.t.cdf(-1.3, df), abs=1e-11)
    said = stats.binomtest(28, 30).proportion_ci(0.95, method="exact")
    assert exact(28, 30) == pytest.approx((said.low, said.high), abs=1e-9)


def test_yes_or_no_scores_have_the_exact_binomial_interval():
    got = bounded_mean([1.0] * 28 + [0.0] * 2)
    assert (got.low, got.high) == pytest.approx(exact(28, 30))
    assert bounded_mean([0.0] * 30).high == pytest.approx(exact(0, 30)[1])
    assert bounded_mean([1.0] * 30).low == pytest.approx(exact(30, 30)[0])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_values_tell_at_least_as_much_as_yes_or_no(values):
    assert effective_size(values) >= len(values)


CASES = [
    (30, 16, 0.5, 0.5),
    (30, 16, 0.9, 2.0),
    (30, 16, 0.99, 1.0),
    (30, 16, 0.01, 20.0),
    (30, 1, 0.5, 1.0),
    (30, 1, 0.97, 1.0),
    (120, 4, 0.7, 1.0),
]


def covered(case, score, truth, runs, level):
    """How often the interval of `score` holds `truth`, questions and attempts drawn anew."""
    n, k, mean, concentration = case
    rng, hits = np.random.default_rng(7), 0
    for _ in range(runs):
        got = score(solver(rng.beta(mean * concentration, (1 - mean) * concentration, n), k, rng), level)
        hits += got.low - 1e-12 <= truth <= got.high + 1e-12
    return hits / runs


@pytest.mark.slow
@pytest.mark.parametrize("level", [0.95, 0.9])
@pytest.mark.parametrize("case", CASES)
def test_the_true_avg_is_in_the_interval_at_least_as_often_as_stated(case, level):
    assert covered(case, metrics.avg_at_k, case[2], 300, level) >= level - tolerance(level, 300)


@pytest.mark.slow
@pytest.mark.parametrize("level", [0.95, 0.9])
@pytest.mark.parametrize("case", CASES[:3])
def test_the_true_pass_and_majority_are_in_the_interval_at_least_as_often_as_stated(case, level):
    mean, concentration = case[2:]
    p = np.random.default_rng(3).beta(mean * concentration, (1 - mean) * concentration, 400_000)
    q = 1 - p
    truths = {metrics.pass_at_k: (1 - q**4).mean(), metrics.maj_at_k: (p**4 + 4 * p**3 * q + 3 * p**2 * q**2).mean()}
    for metric, truth in truths.items():
        found = covered(case, lambda run, level, metric=metric: metric(run, 4, level), truth, 250, level)
        assert found >= level - tolerance(level, 250), metric
