"""Diversity, against counts by hand; and intervals by halves, against simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptcot.analysis import diversity
from promptcot.analysis.halves import halves, over_halves

ALL = np.arange


def test_distinct_n_by_hand():
    """`a b a` and `a b c`: six words of which three are distinct; four bigrams ab, ba, ab, bc of which three are."""
    texts = ["a b a", "A, b; c"]
    assert diversity.distinct(texts, 1)(ALL(2)) == pytest.approx(3 / 6)
    assert diversity.distinct(texts, 2)(ALL(2)) == pytest.approx(3 / 4)
    assert diversity.distinct(texts, 2)(np.array([1])) == 1
    assert np.isnan(diversity.distinct(texts, 9)(ALL(2)))


def test_novelty_by_hand():
    """Of `b c d` the bigram `b c` is a seed's and `c d` is not; a text of one word has no bigram and no say."""
    assert diversity.novelty(["b c d", "x y", "alone"], ["a b c"], 2) == [0.5, 1.0]


def test_concepts_by_hand():
    seeds = [("Sums", "equal groups"), ("sums", "ratios")]
    made = [("sums", "ratios", "primes"), ("Equal  groups",), ()]
    assert diversity.covered(made, seeds)(ALL(3)) == 1
    assert diversity.covered(made, seeds)(np.array([1])) == pytest.approx(1 / 3)
    assert diversity.new_pairs(made, seeds) == [pytest.approx(2 / 3)], "sums+ratios is known; primes with either is not"


def test_the_spread_is_the_mean_over_pairs():
    vectors = np.random.default_rng(0).normal(size=(7, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = [1 - vectors[i] @ vectors[j] for i in range(7) for j in range(i)]
    assert diversity.spread(vectors)(ALL(7)) == pytest.approx(np.mean(pairs))
    assert diversity.spread(np.repeat(vectors[:1], 4, axis=0))(ALL(4)) == pytest.approx(0)


@given(st.integers(2, 41), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_halves_are_apart_and_equal(n, seed):
    for a, b in halves(n, 5, seed):
        assert len(a) == len(b) == n // 2
        assert not set(a) & set(b)
        assert set(a) | set(b) <= set(range(n))


def test_of_a_mean_the_interval_is_that_of_the_mean():
    """Its standard error is s / sqrt(n): halves are not a bootstrap of halves."""
    values = np.random.default_rng(1).normal(size=100)
    found = over_halves(lambda places: float(values[places].mean()), halves(100, 3000, 0))
    assert found.value == pytest.approx(values.mean(), abs=0.01)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * values.std(ddof=1) / 10, rel=0.06)


@pytest.mark.slow
@pytest.mark.parametrize("n", [40, 160])
def test_intervals_of_distinct_n_and_spread_cover_their_expectation(n):
    """At half the number of texts, over corpora drawn anew; 95 % nominal."""
    stream, vocabulary = np.random.default_rng(n), [f"w{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(200)]
    weights = 1 / np.arange(1, 201)
    weights /= weights.sum()

    def texts(count):
        return [" ".join(stream.choice(vocabulary, 12, p=weights)) for _ in range(count)]

    def vectors(count):
        drawn = stream.normal(size=(count, 6)) + np.eye(6)[0] * 2
        return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)

    makers = {"distinct": lambda count: diversity.distinct(texts(count), 2), "spread": lambda count: diversity.spread(vectors(count))}
    for name, make in makers.items():
        truth = np.mean([make(n // 2)(ALL(n // 2)) for _ in range(300)])
        found = [over_halves(make(n), halves(n, 40, seed)) for seed in range(80)]
        covered = np.mean([e.low <= truth <= e.high for e in found])
        assert covered >= 0.88, (name, covered)
