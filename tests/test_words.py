"""The normal form of exact duplicates: case, white space and LaTeX layout go, meaning stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcot.words import normal_form, text_hash


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (r"Find $\dfrac{1}{2}\, x^{2}$ , now.", r"find \(\frac12 x^2\), NOW."),
        ("3 + 4", "3+4"),
        (r"$\left( x \leq 1{,}000 \right)$", r"$(x\le1,000)$"),
        ("$$a$$ b", "a\n\nb"),
        (r"a \quad b\hspace{2cm}", "A B"),
        ("ﬁnd x²", "find x2"),
    ],
)
def test_what_only_lays_out_does_not_tell_texts_apart(a, b):
    assert text_hash(a) == text_hash(b)


@pytest.mark.parametrize(("a", "b"), [("3 + 4", "3 - 4"), ("1 2", "12"), (r"\leftarrow", r"\rightarrow"), ("x < 3", "x <= 3"), ("n!", "n")])
def test_what_means_something_does(a, b):
    assert text_hash(a) != text_hash(b)


@given(st.text(st.sampled_from("abXY 12+-.,\n\t$\\{}~frac"), max_size=30), st.text(" \n\t", min_size=1, max_size=3))
def test_white_space_and_case_never_matter(text, space):
    assert normal_form(text.upper().lower()) == normal_form(text.lower())
    assert normal_form(space.join(text.split())) == normal_form(" ".join(text.split()))
