"""The direct prompt: what is asked, and what is taken from the replies that instruct models give."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcot.outcomes import Drop
from promptcot.templates_direct import direct_prompt, parse_direct, render_direct


def test_the_prompt_holds_concepts_and_level_and_wants_no_solution():
    text = direct_prompt("code", ["graphs", "queues"], "AIME")
    assert "programming problem" in text
    assert "1. graphs\n2. queues\nDifficulty Level: AIME" in text
    assert "Do not solve it" in text


@given(st.text(alphabet="abc 1?:*\n", min_size=1).filter(str.strip))
def test_what_was_asked_for_comes_back(problem):
    assert parse_direct(render_direct(problem)) == problem.strip()


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("A train is late. How late?", "A train is late. How late?"),
        ("Sure! Here is one.\n\n**Problem:** How late?", "How late?"),
        ("### Problem\n\nHow late?", "How late?"),
        ("**Problem**: How late?", "How late?"),
        ("Problem statement:\nHow late?", "How late?"),
        ("Problem 3 of the list asks how late.", "Problem 3 of the list asks how late."),
        ("Problem: How late?\n\nSolution: Two hours.", Drop.UNPARSABLE),
        ("How late?\n**Answer:** 2", Drop.UNPARSABLE),
        ("Problem: Answer the question that the clerk asks.", "Answer the question that the clerk asks."),
        ("Problem:", Drop.EMPTY),
        ("  \n", Drop.EMPTY),
    ],
)
def test_replies_are_read_as_people_would(reply, found):
    assert parse_direct(reply) == found
