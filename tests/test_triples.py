"""Which triples the fits and the bound see."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from promptcot.outcomes import Split
from promptcot.records import Triple, record_id
from promptcot.triples import held_out, of_split


def triple(name, family, split, *, problem=None, concepts=("c",)):
    return Triple(
        id=record_id("t", (), 0, name), family=family, split=split, concepts=concepts, level="", rationale="z", problem=problem or name
    )


splits = st.sampled_from([*Split, Split.DEV, Split.DEV])
many = st.lists(st.tuples(st.sampled_from("abc"), splits), max_size=30).map(
    lambda rows: [triple(f"p{i}", family, split) for i, (family, split) in enumerate(rows)]
)


@given(many, st.randoms())
def test_a_split_holds_its_own_rows_in_an_order_that_does_not_depend_on_the_input(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    pools = [of_split(rows, split, "d") for split in Split]
    assert sorted(t.id for pool in pools for t in pool.rows) == sorted(t.id for t in rows)
    assert all(t.split == split for split, pool in zip(Split, pools, strict=True) for t in pool.rows)
    assert of_split(shuffled, Split.DEV, "d") == of_split(rows, Split.DEV, "d")
    assert len({pool.digest for pool in pools}) == len(Split)


@given(many, st.integers(1, 12), st.integers(0, 5), st.randoms())
def test_the_bound_takes_one_of_every_family_before_a_second_of_any(rows, count, seed, random):
    dev = [t for t in rows if t.split == Split.DEV]
    pool = held_out(rows, "d", count, seed)
    assert len({t.id for t in pool.rows}) == len(pool.rows) == min(count, len(dev))
    assert all(t.split == Split.DEV for t in pool.rows)
    available, taken = Counter(t.family for t in dev), Counter(t.family for t in pool.rows)
    turns = max(taken.values(), default=0)
    assert all(taken[f] >= min(available[f], turns - 1) for f in available)
    random.shuffle(rows)
    assert held_out(rows, "d", count, seed) == pool
    assert held_out(rows, "d", count + 1, seed).rows[:count] == pool.rows


def test_two_of_each_of_three_families_make_six():
    rows = [triple(f"p{i}", f"f{i % 3}", Split.DEV) for i in range(12)]
    for seed in range(5):
        assert Counter(t.family for t in held_out(rows, "d", 6, seed).rows) == {"f0": 2, "f1": 2, "f2": 2}


def test_a_problem_annotated_twice_counts_once_but_with_other_concepts_again():
    twice = [triple(name, "f", Split.DEV, problem="same") for name in ("first", "second")]
    other = triple("third", "f", Split.DEV, problem="same", concepts=("d",))
    assert len(held_out([*twice, other], "d", 9, 0).rows) == 2


def test_the_digest_says_which_rows_were_taken():
    rows = [triple(f"p{i}", "f", Split.DEV) for i in range(9)]
    pools = [held_out(rows, digest, count, seed) for digest in "de" for count in (3, 4) for seed in (0, 1)]
    assert len({pool.digest for pool in pools}) == len(pools)


def test_which_family_comes_first_depends_on_the_seed():
    rows = [triple(f"p{i}", f"f{i}", Split.DEV) for i in range(9)]
    assert len({held_out(rows, "d", 1, seed).rows[0].family for seed in range(20)}) > 3
