"""The encoding: exact types and nothing else, for any value and any bytes."""

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcot.sandbox.values import NotEncodable, decode, encode, same

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
keys = st.recursive(
    scalars.filter(lambda x: x == x), lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=4
)
sets = st.sets(keys, max_size=4) | st.frozensets(keys, max_size=4)
values = st.recursive(
    scalars | keys | sets,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=20,
)


def alike(a: object, b: object) -> bool:
    """The plain way to say it, for trusted values."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (math.isnan(a) and math.isnan(b))
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return len(a) == len(b) and all(any(alike(k, j) and alike(a[k], b[j]) for j in b) for k in a)
    if isinstance(a, set | frozenset) and isinstance(b, set | frozenset):
        return len(a) == len(b) and all(any(alike(x, y) for y in b) for x in a)
    return a == b


@given(values)
def test_a_value_comes_back_as_it_was(value):
    assert alike(decode(encode(value)), value)
    assert same(encode(value), encode(value))


@given(values, values)
def test_two_encodings_are_the_same_when_the_values_are(a, b):
    assert same(encode(a), encode(b)) == alike(a, b) == same(encode(b), encode(a))


@given(st.binary() | values.map(encode), st.binary(max_size=30), st.integers(0, 200))
def test_hostile_bytes_never_do_more_than_differ(data, noise, at):
    broken = data[:at] + noise + data[at + 1 :]
    assert same(encode([1, "x"]), broken) in (True, False)
    with contextlib.suppress(ValueError, TypeError, MemoryError, OverflowError):
        decode(broken)


class Five(int):
    def __eq__(self, other):
        return True

    __hash__ = int.__hash__


@pytest.mark.parametrize("value", [Five(5), type("S", (str,), {})("5"), object(), [Five(5)], {Five(5): 1}, 5j, range(5), iter([5])])
def test_what_is_not_exact_equals_nothing(value):
    assert not same(encode(value), encode(value))
    assert not same(encode(5), encode(value))


@pytest.mark.parametrize(
    ("a", "b"), [(True, 1), (1, 1.0), ("1", b"1"), ([1], (1,)), ({1}, frozenset({1})), (0, None), ("", None), ({True}, {1})]
)
def test_types_are_told_apart(a, b):
    assert not same(encode(a), encode(b))


def test_order_counts_in_lists_only():
    assert same(encode({1: 2, 3: 4}), encode({3: 4, 1: 2}))
    assert same(encode({frozenset({1, 2}), "x"}), encode({"x", frozenset({2, 1})}))
    assert not same(encode([1, 2]), encode([2, 1]))


def test_a_tolerance_is_for_floats():
    assert same(encode([1.0, {"x": 2e9}]), encode([1.0 + 1e-7, {"x": 2e9 + 1}]), 1e-6)
    assert not same(encode(1.0), encode(1.1), 1e-6)
    assert not same(encode(10), encode(11), 1.0)
    assert not same(encode(math.inf), encode(1e308), 1.0)
    assert same(encode(math.nan), encode(math.nan))
    assert not same(encode(math.nan), encode(0.0), 1.0)


def test_what_is_too_deep_or_too_long_is_refused():
    deep: list[object] = []
    for _ in range(500):
        deep = [deep]
    circular: list[object] = []
    circular.append(circular)
    for value in (deep, circular, "x" * (17 << 20)):
        with pytest.raises(NotEncodable):
            encode(value)


@pytest.mark.parametrize(
    "data", [b"l\xff\xff\xff\xff" + b"N" * 100, b"l\x01\x00\x00\x00" * 5000, b"S\xff\xff\xff\xff", b"i\xff\xff\xff\xff1", b""]
)
def test_lengths_that_lie_are_seen(data):
    assert not same(data, data)


def test_colliding_hashes_cost_no_more_than_others():
    """2**61 - 1 is the modulus of Python's integer hash: as Python sets these would be quadratic."""
    hostile = {n * (2**61 - 1) for n in range(300)}
    body = b"".join(encode(n * (2**61 - 1)) for n in range(60_000))
    data = b"S" + (60_000).to_bytes(4, "little") + body
    assert same(data, data)
    assert not same(encode(hostile), data)
