"""The two leak measures against slow oracles, and what the normal form must and must not tell apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcot.leak import containment, lcs, overlap
from promptcot.words import words

PROBLEM = "A baker fills 12 trays with 9 rolls each and sells all but 17 of them. How many rolls are sold?"
letters = st.lists(st.sampled_from("abcd"), max_size=40)
texts = st.lists(st.sampled_from(["ab", "cd", "ef", "gh", "1", "2", "30", "x"]), max_size=30).map(" ".join)


def slow_lcs(a, b):
    row = [0] * (len(b) + 1)
    for x in a:
        old = row[:]
        for j, y in enumerate(b):
            row[j + 1] = old[j] + 1 if x == y else max(old[j + 1], row[j])
    return row[-1]


@given(letters, letters)
def test_lcs_equals_the_quadratic_table(a, b):
    assert lcs(a, b) == slow_lcs(a, b) == lcs(b, a)


@given(texts, texts, st.integers(1, 9))
def test_containment_equals_its_definition(x, z, n):
    a, b = words(x), words(z)
    n = min(n, len(a))
    grams = {tuple(a[i : i + n]) for i in range(len(a) - n + 1)}
    found = [g for g in grams if any(tuple(b[i : i + n]) == g for i in range(len(b)))]
    assert containment(x, z, n) == (len(found) / len(grams) if a else 0.0)


@given(texts, texts, texts)
def test_a_rationale_that_holds_the_problem_leaks_it_all(before, x, after):
    z = f"{before} {x} {after}"
    assert containment(x, z) == overlap(x, z) == (1.0 if words(x) else 0.0)


@given(texts, texts)
def test_both_are_shares_and_verbatim_runs_are_subsequences(x, z):
    assert 0 <= containment(x, z) <= 1
    assert 0 <= overlap(x, z) <= 1
    if containment(x, z) == 1:
        assert overlap(x, z) > 0


def test_another_design_text_does_not_leak():
    z = "Equal groups make a total by multiplication, and a leftover asks for one subtraction. I chose 12 and 9 for a large product."
    assert containment(PROBLEM, z) == 0.0
    assert overlap(PROBLEM, z) < 0.3


def test_strewn_words_hide_a_copy_from_containment_but_not_from_overlap():
    z = " ".join(w if i % 5 else f"well {w}" for i, w in enumerate(PROBLEM.split()))
    assert containment(PROBLEM, z) == 0.0
    assert overlap(PROBLEM, z) == 1.0


def test_half_a_copy_is_about_half():
    first = "A baker fills 12 trays with 9 rolls each and sells all but 17 of them."
    assert containment(PROBLEM, f"The setting: {first}") == pytest.approx(9 / 14)


def test_a_short_problem_is_one_gram():
    assert containment("Compute 3 + 4.", "so I ask to compute 3+4 here") == 1.0
    assert containment("Compute 3 + 4.", "so I ask to compute 4+3 here") == 0.0


@pytest.mark.parametrize("empty", ["", "   ", "$$ + $$", "?!"])
def test_nothing_to_leak(empty):
    assert containment(empty, PROBLEM) == overlap(empty, PROBLEM) == 0.0
    assert containment(PROBLEM, empty) == overlap(PROBLEM, empty) == 0.0


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (r"$\dfrac{1}{2} \leq x$", "1/2 <= x"),
        (r"\left( x_1 + 3 \right)", "(x_{1}+3)"),
        ("1,250 beads", "1250 beads"),
        ("1{,}250 beads", "1250 beads"),
        ("Janet’s  EGGS\n", "janet's eggs"),
        (r"\text{area of } \pi r^2", "Area of pi r^2"),
        ("ﬁve", "five"),
    ],
)
def test_spellings_of_one_text_have_one_normal_form(a, b):
    assert words(a) == words(b) != []


@pytest.mark.parametrize(("a", "b"), [("3.5", "35"), ("3.5", "3 5"), ("12,34", "1234"), ("can", "can't"), (r"\sin x", r"\cos x")])
def test_different_texts_keep_different_normal_forms(a, b):
    assert words(a) != words(b)
