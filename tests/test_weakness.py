"""Weakness by concept: shrunk rates against the truth they were simulated from, their intervals, and the weights of the sampler."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptcot.intervals import beta_quantile
from promptcot.weakness import Tried, clustering, concept_rates, shrunk, weighed


def simulated(seed, concepts=60, mean=0.35, size=6.0, alike=0.2, attempts=8):
    """True rates by concept, and questions of one concept each: some concepts with two questions, some with twelve."""
    rng = np.random.default_rng(seed)
    truth = rng.beta(mean * size, (1 - mean) * size, concepts)
    tau = 1 / alike - 1
    tried = []
    for c, theta in enumerate(truth):
        for _ in range(rng.integers(2, 13)):
            p = rng.beta(theta * tau, (1 - theta) * tau)
            tried.append(Tried((f"c{c:03d}",), int(rng.binomial(attempts, p)), attempts))
    return truth, tried


def rates_of(tried, strength=1.0, floor=0.25):
    return concept_rates(tried, strength=strength, floor=floor)


def test_shrunk_rates_are_nearer_to_the_truth_than_raw_shares_and_their_intervals_cover():
    """Forty simulations of 60 concepts. An interval at 95 % may miss 5 % of 2,400 rates: 3 standard errors are 1.3 points."""
    raw, better, inside = [], [], []
    for seed in range(40):
        truth, tried = simulated(seed)
        rows = rates_of(tried)
        share, rate = (np.array([getattr(r, name) for r in rows]) for name in ("share", "rate"))
        raw.append(np.mean((share - truth) ** 2))
        better.append(np.mean((rate - truth) ** 2))
        inside += [r.low <= t <= r.high for r, t in zip(rows, truth, strict=True)]
    assert np.mean(better) < 0.85 * np.mean(raw)
    assert sum(b < a for a, b in zip(raw, better, strict=True)) >= 38
    assert 0.93 <= np.mean(inside) <= 0.98


def test_taking_attempts_for_independent_would_make_intervals_too_narrow():
    """The correlation within questions is found, and without it the same counts claim too much."""
    found, inside = [], []
    for seed in range(20):
        truth, tried = simulated(seed, alike=0.4)
        place = np.array([int(q.concepts[0][1:]) for q in tried])
        solved, counted = (np.array([getattr(q, name) for q in tried], float) for name in ("solved", "counted"))
        found.append(clustering(place, solved, counted))
        naive = shrunk(*(np.bincount(place, values).astype(float) for values in (solved, counted)))
        inside += [low <= t <= high for low, high, t in zip(naive.low, naive.high, truth, strict=True)]
    assert np.mean(found) == pytest.approx(0.4, abs=0.05)
    assert np.mean(inside) < 0.9


def test_much_evidence_is_believed_and_little_is_shrunk_to_the_mean():
    solved, counted = np.array([30.0, 60.0, 90.0, 1.0, 45.0]) * 10, np.array([100.0, 100.0, 100.0, 1.0, 100.0]) * 10
    solved[3], counted[3] = 1.0, 1.0
    found = shrunk(solved, counted)
    assert found.rate[[0, 1, 2]] == pytest.approx([0.3, 0.6, 0.9], abs=0.01)
    low, high = (beta_quantile(p, 600 + 1, 400 + 1) for p in (0.025, 0.975))
    assert (found.low[1], found.high[1]) == (pytest.approx(low, abs=0.01), pytest.approx(high, abs=0.01))
    assert abs(found.rate[3] - found.expected) < 0.2, "one attempt of one right is no rate of 1"


def test_concepts_that_do_not_differ_are_taken_as_one():
    rng = np.random.default_rng(0)
    solved = rng.binomial(8, 0.4, 200).astype(float)
    found = shrunk(solved, np.full(200, 8.0))
    assert np.ptp(found.rate) < 0.25 * np.ptp(solved / 8)
    assert found.expected == pytest.approx(solved.sum() / 1600, abs=0.02)


@given(st.lists(st.tuples(st.sets(st.sampled_from("abcdef"), min_size=1, max_size=3), st.integers(0, 8), st.integers(0, 8)), max_size=30))
@settings(max_examples=40, deadline=None)
def test_rates_lie_inside_their_intervals_and_weights_above_the_floor(given_):
    tried = [Tried(tuple(sorted(c)), min(s, n), n) for c, s, n in given_]
    rows = rates_of(tried, strength=2.0, floor=0.3)
    assert [r.concept for r in rows] == sorted({c for q in tried if q.counted for c in q.concepts})
    for row in rows:
        assert 0 < row.low < row.rate < row.high < 1
        assert row.weight >= 0.3
        assert row.solved <= row.counted
    assert rates_of(tried[::-1], 2.0, 0.3) == rows, "the order of questions changes nothing"


def test_a_concept_named_twice_counts_once_and_what_was_not_counted_says_nothing():
    once = rates_of([Tried(("a",), 2, 4), Tried(("b", "c"), 1, 4)])
    assert rates_of([Tried(("a", "a"), 2, 4), Tried(("b", "c"), 1, 4), Tried(("d",), 0, 0)]) == once
    assert [(r.concept, r.questions, r.solved, r.counted) for r in once] == [("a", 1, 2, 4), ("b", 1, 1, 4), ("c", 1, 1, 4)]


def test_failed_concepts_weigh_more_by_the_strength_and_no_one_vanishes():
    rate = np.array([0.05, 0.4, 0.999])
    assert weighed(rate, 0.4, 1.0, 0.25) == pytest.approx([0.95 / 0.6, 1.0, 0.25])
    assert weighed(rate, 0.4, 2.0, 0.1) == pytest.approx([(0.95 / 0.6) ** 2, 1.0, 0.1])
    assert weighed(rate, 0.4, 0.0, 0.25) == pytest.approx([1, 1, 1])


def test_alike_questions_of_different_concepts_are_no_evidence_of_likeness():
    """Every concept has one question, so how alike attempts at one are cannot be told from how concepts differ."""
    place = np.arange(4)
    assert clustering(place, np.array([8.0, 0, 8, 0]), np.full(4, 8.0)) == 1.0
    assert clustering(np.array([0, 0, 1, 1]), np.array([8.0, 0, 8, 0]), np.full(4, 8.0)) == 1.0
    assert clustering(np.array([0, 0, 1, 1]), np.array([1.0, 0, 1, 0]), np.ones(4)) == 0.0
