"""How diverse a choice of problems is: figures against counts by hand, and the fewest problems left out for a floor."""

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptcot.diversity import Item, Reference, concept_pairs, measure, rarefied, rebalanced
from promptcot.recipe import Floor

OPEN = Floor(repeated=1, distinct=0, pairs=0)
NUMBERS = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "twenty"]


def harbor(n, place="harbor", concepts=("ratios", "area")):
    word = NUMBERS[n % 12]
    text = f"A {place} has {word} boats of {word} tons and {NUMBERS[(n * 5 + 1) % 12]} crates each. How heavy is the load of number {n}?"
    return Item(f"{place}{n:02d}", text, concepts)


def reference(*items):
    return Reference(tuple(i.problem for i in items), tuple(i.concepts for i in items))


def test_the_figures_are_those_counted_by_hand():
    mine = [Item("1", "a b c", ("r", "s")), Item("2", "a b d", ("r", "s"))]
    other = reference(Item("3", "e f g", ("r", "s")), Item("4", "h i j", ("s", "t")))
    found = measure(mine, other, Floor(), seed=0)
    assert (found.problems, found.repeated) == (2, 0.0)
    assert found.distinct == pytest.approx((3 / 4) / (4 / 4))  # `a b`, `b c`, `a b`, `b d`
    assert found.pairs == pytest.approx((1 / 2) / (2 / 2))


def test_texts_are_compared_at_the_same_number():
    """A choice from the same law as the reference is as diverse, however many each has."""
    units = [concept_pairs(c) for c in combinations("abcdefgh", 3)]
    whole, part = units * 6, units[::7]
    assert rarefied(whole, 8, 0) == pytest.approx(rarefied(units, 8, 0), abs=0.03)
    assert rarefied(whole, len(whole), 0) < 0.2 < rarefied(part, len(part), 0), "without that, more texts look less diverse"


def test_repeats_are_counted_by_clusters():
    items = [Item(str(n), "How many boats of seven tons lie in the old harbor today?", ("a",)) for n in range(3)]
    found = measure([*items, harbor(1)], reference(harbor(2)), Floor(), seed=0)
    assert found.repeated == pytest.approx(2 / 4)


def test_a_diverse_choice_is_left_as_it_is():
    items = [harbor(n, place, pair) for n, (place, pair) in enumerate(zip("pqrst", combinations("abcd", 2), strict=False))]
    done = rebalanced(items, reference(*items), Floor(repeated=0.5, distinct=0.9, pairs=0.9), seed=0)
    assert sorted(done.kept) == sorted(i.id for i in items)
    assert (done.left_out, done.before) == ({}, done.after)


def test_of_repeated_problems_one_stays_and_the_others_name_it():
    same = [Item(f"same{n}", "How many boats of seven tons lie in the old harbor today?", ("a", "b")) for n in range(4)]
    items = [*same, harbor(1), harbor(7, "dock")]
    done = rebalanced(items, reference(*items), OPEN.model_copy(update={"repeated": 0.2}), seed=0)
    assert len(done.left_out) == 3
    assert done.after.repeated == 0
    assert done.before.repeated == pytest.approx(3 / 6)
    (stays,) = {i.id for i in same} & set(done.kept)
    assert set(done.left_out.values()) == {f"repeats {stays}"}


def crowded():
    """Ten problems of one concept pair, and two of each of four others."""
    one = [harbor(n, "harbor") for n in range(10)]
    pairs = [("primes", "slope"), ("graphs", "area"), ("median", "slope"), ("primes", "ratios")]
    return one + [harbor(n, f"lake{k}", pair) for k, pair in enumerate(pairs) for n in range(2)]


def test_a_crowded_concept_pair_is_thinned_until_the_floor_is_reached_and_no_further():
    items = crowded()
    asked = reference(*[Item(f"{n}", f"text {n}", c) for n, c in enumerate(combinations(["ratios", "area", "primes", "slope"], 2))])
    floor = OPEN.model_copy(update={"pairs": 0.7})
    done = rebalanced(items, asked, floor, seed=0)
    assert done.before.pairs < 0.7 <= done.after.pairs
    counts = Counter(i.concepts for i in items if i.id in done.kept)
    assert counts[("ratios", "area")] < 10
    assert all(counts[i.concepts] == 2 for i in items if i.concepts != ("ratios", "area"))
    assert all("already has" in why for why in done.left_out.values())


def test_what_no_choice_can_reach_comes_back_with_its_figures():
    items = [harbor(n) for n in range(6)]
    other = reference(*[Item(f"{n}", f"alpha{n} beta{n} gamma{n}", (f"c{n}", "d")) for n in range(6)])
    done = rebalanced(items, other, OPEN.model_copy(update={"distinct": 1.1}), seed=0)
    assert len(done.kept) == 1
    assert done.after.misses(Floor(repeated=1, distinct=1.1, pairs=0)) == ["distinct 1.00 is less than 1.1"]


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from([("a", "b"), ("b", "c"), ("d",)])), min_size=1, max_size=20), st.integers(0, 3)
)
@settings(max_examples=30, deadline=None)
def test_every_problem_stays_or_is_left_out_with_a_reason(rows, seed):
    items = [Item(f"{n:02d}", harbor(k).problem, concepts) for n, (k, concepts) in enumerate(rows)]
    done = rebalanced(items, reference(harbor(1), harbor(2, "dock", ("x", "y"))), Floor(), seed=seed)
    assert sorted([*done.kept, *done.left_out]) == [i.id for i in items]
    assert done.kept
    assert done == rebalanced(items[::-1], reference(harbor(1), harbor(2, "dock", ("x", "y"))), Floor(), seed=seed)
