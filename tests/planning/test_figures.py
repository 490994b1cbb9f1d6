"""Figures: every constant has a spread, a unit and a source; what is used is remembered; wrong ones are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcot.errors import UsageError
from promptcot.planning import FIGURES, Range
from promptcot.planning.figures import Figures

POSITIVE = st.tuples(*[st.floats(0.01, 1e6)] * 3).map(lambda ends: Range(*sorted(ends)))


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_ordered_and_says_its_unit_and_source(name):
    figure = FIGURES[name]
    assert 0 <= figure.value.low <= figure.value.mid <= figure.value.high
    assert figure.unit
    assert figure.source.split(":")[0].split()[0] in {"assumption", "arithmetic", "measured", "planning", "vLLM", "arXiv"}


@given(POSITIVE, POSITIVE)
def test_what_is_reckoned_with_ordered_ranges_is_ordered(a, b):
    for value in (a + b, a * b, a / b, a.at_most(b), a.at_least(b)):
        assert value.low <= value.mid <= value.high


def test_most_work_at_the_lowest_rate_takes_longest():
    assert Range(10, 20, 40) / Range(1, 2, 5) == Range(2, 10, 40)


def test_only_what_was_read_counts_as_used_and_a_given_value_says_so():
    figures = Figures({"rationale_tokens": 400})
    assert figures["rationale_tokens"] == Range.exact(400)
    assert [(f.name, f.source) for f in figures.used()] == [("rationale_tokens", "given")]


@pytest.mark.parametrize(
    ("given", "said"),
    [({"rationale_token": 1}, "did you mean `rationale_tokens`"), ({"zzz": 1}, "known: "), ({"valid_share": -1}, "not negative")],
)
def test_a_figure_that_is_none_is_refused(given, said):
    with pytest.raises(UsageError, match=said):
        Figures(given)


def test_there_is_no_price_until_one_is_given():
    assert Figures().price is None
    assert Figures({"usd_per_gpu_hour": 2}).price == Range.exact(2)
