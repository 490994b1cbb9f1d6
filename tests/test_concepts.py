"""The concept sampler against a brute-force softmax over names: aligned, exact at large counts, distinct, held-out sets never."""

import math
from collections import Counter
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptcot.concepts import ConceptModel, sample_levels
from promptcot.errors import UsageError

NAMES = ["ratios", "area", "primes", "graphs", "median", "slope"]
LISTS = [
    *[["ratios", "area"]] * 3,
    *[["ratios", "primes", "area"]] * 2,
    *[["primes", "graphs"]] * 4,
    ["median", "slope"],
    ["slope", "area", "median"],
    ["graphs"],
]


def vectors(count, dimension=8, seed=0):
    return np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)


def fitted(lists=LISTS, names=NAMES, embeddings=None):
    return ConceptModel.fit(lists, names, vectors(len(names)) if embeddings is None else embeddings)


def law(lists, names, embeddings, size, temperature, weights=None):
    """Probability of every ordered set, straight from the definition and keyed by name."""
    weight = dict.fromkeys(names, 1.0) | (weights or {})
    vector = {n: v / np.linalg.norm(v) for n, v in zip(names, np.asarray(embeddings, float), strict=True)}
    frequency = Counter(c for concepts in lists for c in concepts)
    pair = Counter(p for concepts in lists for p in permutations(concepts, 2))
    out: dict[tuple[str, ...], float] = {(n,): frequency[n] * weight[n] / sum(frequency[m] * weight[m] for m in names) for n in names}
    for _ in range(size - 1):
        longer: dict[tuple[str, ...], float] = {}
        for chosen, p in out.items():
            mean = sum(vector[c] for c in chosen) / len(chosen)
            score = {n: sum(pair[c, n] for c in chosen) + vector[n] @ mean / np.linalg.norm(mean) for n in names if n not in chosen}
            mass = {n: weight[n] * math.exp((s - max(score.values())) / temperature) for n, s in score.items()}
            longer |= {(*chosen, n): p * m / sum(mass.values()) for n, m in mass.items()}
        out = longer
    return out


def assert_drawn_from(drawn, expected):
    """Chi-square below its 99.99 % point (Wilson-Hilferty), outcomes expected fewer than 5 times taken together."""
    seen, n = Counter(drawn), len(drawn)
    cells = [(seen[k], n * p) for k, p in expected.items() if n * p >= 5]
    rest = (n - sum(s for s, _ in cells), n - sum(e for _, e in cells))
    cells += [rest] if rest[1] >= 5 else []
    assert set(seen) <= {k for k, p in expected.items() if p > 0}
    df = len(cells) - 1
    limit = df * (1 - 2 / (9 * df) + 3.72 * math.sqrt(2 / (9 * df))) ** 3
    assert sum((s - e) ** 2 / e for s, e in cells) < limit


def test_the_first_concept_follows_frequency():
    drawn = fitted().sample(6000, 2, 0.5, 1, distinct=False)
    assert_drawn_from([(c,) for c, _ in drawn], law(LISTS, NAMES, vectors(6), 1, 0.5))


@pytest.mark.parametrize(("size", "temperature"), [(2, 0.5), (3, 1.5), (4, 4.0)])
def test_whole_sets_follow_the_softmax(size, temperature):
    drawn = fitted().sample(8000, size, temperature, 2, distinct=False)
    assert_drawn_from(drawn, law(LISTS, NAMES, vectors(6), size, temperature))


def test_weights_multiply_the_probability_of_a_concept_at_every_step():
    weights = {"median": 4.0, "area": 0.25, "algae": 9.0}
    drawn = fitted().sample(8000, 3, 1.5, 2, distinct=False, weights=weights)
    assert_drawn_from(drawn, law(LISTS, NAMES, vectors(6), 3, 1.5, {k: w for k, w in weights.items() if k in NAMES}))


def test_equal_weights_change_nothing():
    assert fitted().sample(50, 3, 0.3, 5, weights=dict.fromkeys(NAMES, 1.0)) == fitted().sample(50, 3, 0.3, 5)


def test_counts_are_those_of_the_lists():
    model = fitted([["b", "a"], ["a", "b", "b"], ["c"], ["c", "a"]], ["c", "b", "a"])
    assert dict(zip(model.names, model.frequency.tolist(), strict=True)) == {"a": 3, "b": 2, "c": 2}
    assert model.cooccurrence("a") == {"b": 2, "c": 1}
    assert model.cooccurrence("c") == {"a": 1}


@given(st.permutations(range(6)), st.permutations(range(len(LISTS))))
@settings(max_examples=20)
def test_the_order_of_concepts_and_lists_changes_nothing(order, rows):
    expected = fitted().sample(12, 3, 0.3, 5)
    shuffled = fitted([LISTS[i] for i in rows], [NAMES[i] for i in order], vectors(6)[list(order)])
    assert shuffled.sample(12, 3, 0.3, 5) == expected


def test_names_are_only_labels():
    renamed = {n: f"concept {n}" for n in NAMES}
    model = fitted([[renamed[c] for c in concepts] for concepts in LISTS], [renamed[n] for n in NAMES])
    assert model.sample(15, 3, 0.3, 0) == [tuple(renamed[c] for c in s) for s in fitted().sample(15, 3, 0.3, 0)]


def test_similarity_goes_to_the_concept_whose_vector_it_is():
    names = ["w", "z", "y", "x"]  # w is close to x, y to z; no pair ever co-occurs
    embeddings = np.array([[1, 0.1, 0], [0, 0.1, 1], [0, 0, 1], [1, 0, 0]], np.float32)
    drawn = ConceptModel.fit([[n] for n in names], names, embeddings).sample(200, 2, 0.02, 0, distinct=False)
    assert {frozenset(s) for s in drawn} == {frozenset("wx"), frozenset("yz")}


def test_counts_in_the_thousands_neither_overflow_nor_lose_the_cosine():
    lists = [["hub", "near"], ["hub", "far"]] * 5000 + [["hub", "rare"]]
    embeddings = np.array([[1, 0], [1, 0.2], [0.8, 1], [1, 0]], np.float32)
    names = ["hub", "near", "far", "rare"]
    drawn = ConceptModel.fit(lists, names, embeddings).sample(6000, 2, 0.2, 3, distinct=False)
    assert_drawn_from(drawn, law(lists, names, embeddings, 2, 0.2))
    assert ("hub", "rare") not in drawn


def test_a_draw_does_not_depend_on_how_many_are_made():
    names = [f"c{i}" for i in range(300)]
    rng = np.random.default_rng(1)
    model = fitted([[names[j] for j in rng.integers(300, size=4)] for _ in range(200)], names, vectors(300, 32))
    longest = model.sample(200, 4, 0.5, 7, distinct=False)
    for n in (1, 63, 64, 65, 130):
        assert model.sample(n, 4, 0.5, 7, distinct=False) == longest[:n]
    assert model.sample(200, 4, 0.5, 7) == model.sample(200, 4, 0.5, 7)
    assert model.sample(200, 4, 0.5, 8, distinct=False) != longest


@given(st.integers(0, 40), st.integers(1, 5), st.integers(-5, 2**40), st.sampled_from([0.05, 0.2, 2.0]))
@settings(max_examples=30)
def test_sets_hold_distinct_known_concepts(n, size, seed, temperature):
    drawn = fitted().sample(n, size, temperature, seed)
    assert [len(set(s) & set(NAMES)) for s in drawn] == [size] * n


@given(st.sets(st.sampled_from([frozenset(s) for s in combinations(NAMES, 3)]), max_size=19), st.integers(0, 99))
@settings(max_examples=30)
def test_held_out_sets_never_come_and_all_others_come_once_before_any_comes_twice(forbidden, seed):
    possible = {frozenset(s) for s in combinations(NAMES, 3)} - forbidden
    drawn = [frozenset(s) for s in fitted().sample(2 * len(possible) + 1, 3, 0.2, seed, forbidden=forbidden)]
    assert set(drawn[: len(possible)]) <= possible
    assert sorted(Counter(drawn).values()) == [2] * (len(possible) - 1) + [3]
    repeated = fitted().sample(50, 3, 0.2, seed, forbidden=forbidden, distinct=False)
    assert {frozenset(s) for s in repeated} <= possible


def test_sets_of_concepts_no_list_names_are_out_of_reach_but_one_of_them_may_join():
    names = ["a", "b", "new", "newer"]
    possible = {frozenset(s) for s in combinations(names, 2)} - {frozenset(["new", "newer"])}
    assert {frozenset(s) for s in fitted([["a"], ["b"]], names).sample(5, 2, 0.2, 0)} == possible


def test_held_out_sets_of_other_sizes_or_unknown_concepts_bar_nothing():
    forbidden = {frozenset(["ratios"]), frozenset(["ratios", "algae"]), frozenset(NAMES)}
    assert fitted().sample(15, 2, 0.2, 0, forbidden=forbidden) == fitted().sample(15, 2, 0.2, 0)


def test_no_set_left_is_an_error():
    everything = {frozenset(s) for s in combinations(NAMES, 2)}
    with pytest.raises(UsageError, match="no set of 2"):
        fitted().sample(1, 2, 0.2, 0, forbidden=everything)
    with pytest.raises(UsageError, match="no set of 7"):
        fitted().sample(1, 7, 0.2, 0)
    assert fitted().sample(0, 7, 0.2, 0) == []


@pytest.mark.parametrize(
    ("lists", "names", "rows", "words"),
    [
        ([["a"]], ["a", "b"], 3, "2 concept names"),
        ([["a"]], ["a", "a"], 2, "1 distinct"),
        ([["a", "c"]], ["a", "b"], 2, "`c` has no embedding"),
        ([[]], ["a", "b"], 2, "no concept"),
    ],
)
def test_what_does_not_fit_together_is_an_error(lists, names, rows, words):
    with pytest.raises(UsageError, match=words):
        ConceptModel.fit(lists, names, vectors(rows))


def test_without_embeddings_counts_alone_decide():
    model = ConceptModel.fit(LISTS, NAMES, np.zeros((6, 0)))
    assert_drawn_from(model.sample(4000, 2, 1.0, 0, distinct=False), law(LISTS, NAMES, np.ones((6, 1)), 2, 1.0))


def test_levels_follow_the_rows_or_are_uniform():
    rows = ["AMC8"] * 6 + ["AIME"] * 2
    share = Counter(sample_levels(rows, 4000, 0))["AMC8"] / 4000
    assert abs(share - 0.75) < 4 * math.sqrt(0.75 * 0.25 / 4000)
    even = Counter(sample_levels(["AMC8", "AIME"], 4000, 0))["AMC8"] / 4000
    assert abs(even - 0.5) < 4 * math.sqrt(0.25 / 4000)
    assert sample_levels(rows[::-1], 50, 3) == sample_levels(rows, 50, 3)
    with pytest.raises(UsageError):
        sample_levels([], 1, 0)
