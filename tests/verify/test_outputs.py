"""Outputs are compared as judges compare them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcot.verify.outputs import same_output

tokens = st.lists(st.binary(min_size=1, max_size=6).filter(lambda b: len(b.split()) == 1 and b.split()[0] == b), max_size=8)
spaces = st.lists(st.sampled_from([b" ", b"\n", b"\r\n", b"\t", b"  \n\n"]), min_size=9, max_size=9)


def joined(words: list[bytes], gaps: list[bytes]) -> bytes:
    return b"".join(word + gap for word, gap in zip(words, gaps, strict=False))


@given(tokens, spaces, spaces)
def test_space_does_not_matter(words, one, other):
    assert same_output(joined(words, one), joined(words, other))


@given(tokens, tokens, spaces, st.sampled_from([0.0, 1e-6]))
def test_different_tokens_do(a, b, gaps, tolerance):
    assert same_output(joined(a, gaps), joined(b, gaps)) == (a == b)
    assert same_output(joined(a, gaps), joined(a, gaps), tolerance)


@given(st.floats(-1e12, 1e12), st.floats(-0.9, 0.9))
def test_a_tolerance_is_absolute_or_relative(x, part):
    near, far = x + part * 1e-6 * max(1.0, abs(x)), x + 3e-6 * max(1.0, abs(x))
    assert same_output(repr(x).encode(), repr(near).encode(), 1.1e-6)
    assert not same_output(repr(x).encode(), repr(far).encode(), 1e-6)


@pytest.mark.parametrize(
    ("expected", "got"),
    [("1", "1.0"), ("yes", "YES"), ("1 2", "1"), ("", "0"), ("1", "1 1"), ("0.5", ".5"), ("10", "1e1"), ("1", "1_0"), ("12", "1 2")],
)
def test_without_a_tolerance_a_token_is_its_letters(expected, got):
    assert not same_output(expected.encode(), got.encode())


@pytest.mark.parametrize("got", ["nan", "inf", "-inf", "1e9999", "1_0", "0x1", "1e", "--1", "1" * 100_000])
def test_odd_numbers_are_not_near_anything(got):
    assert not same_output(b"1", got.encode(), 0.5)


def test_odd_expectations_are_met_by_themselves_alone():
    assert same_output(b"nan inf", b"nan inf", 0.5)
    assert not same_output(b"1e9999", b"1e9998", 0.5)
