r"""The final answer of a completion: the last complete box after the reasoning, never a lucky number."""

import pytest

from promptcot.verify.extraction import Fallback, answer_text, final_answer


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        (r"So \boxed{42}.", "42"),
        (r"First \boxed{1}, then \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{\boxed{7}}", "7"),
        (r"\boxed 7", "7"),
        (r"\fbox{7}", "7"),
        (r"\boxed{5} and then \boxed{", "5"),
        (r"\boxed{} is empty, \boxed{3} is not, \boxed{ }", "3"),
        (r"<think>\boxed{12}</think> \boxed{13}", "13"),
        (r"<think>a</think> b <think>\boxed{1}</think> \boxed{2}", "2"),
        ("Final Answer: **73**", "73"),
        ("Some work.\n#### 1,234", "1,234"),
        ("The answer is $x=4$.\nI am sure.", "x=4"),
        ("The answer is 42, since 6 times 7 is 42 and not 48.", "42"),
        (r"The answer is \boxed{12", None),
        (r"The answer is 5, as \boxed{6} shows", "6"),
    ],
)
def test_the_last_complete_box_or_a_marked_line_is_the_answer(completion, answer):
    assert final_answer(completion) == answer


@pytest.mark.parametrize(
    "completion",
    [
        "",
        "there are 12 of them",
        r"so \boxed{",
        r"<think>\boxed{12}</think> so 12",
        r"<think> \boxed{12} and on and on",
        "The answer is:\n\n",
    ],
)
def test_no_answer_is_no_answer(completion):
    assert final_answer(completion) is None


def test_the_last_number_counts_only_when_asked_for():
    assert final_answer("3 and 1,200 and -7/2 apples") is None
    assert final_answer("3 and 1,200 and -7/2 apples", Fallback.LAST_NUMBER) == "-7/2"
    assert final_answer("Final answer: 4", Fallback.NONE) is None


def test_a_reference_is_its_own_answer():
    assert answer_text(r"\frac{1}{2}") == r"\frac{1}{2}"
    assert answer_text(r"<think>\boxed{1}") is None
    assert answer_text("  ") is None


@pytest.mark.timeout(20)  # a hang or an explosion, not a slow machine
@pytest.mark.parametrize("bomb", [r"\boxed{" * 100_000, "{" * 500_000, "the " * 200_000, "answer" + " " * 500_000, "<think>" * 80_000])
def test_hostile_completions_have_no_answer(bomb):
    assert final_answer(bomb) is None


@pytest.mark.parametrize("text", ["The final answer is .", "Answer: **", "#### ...", "Final answer: =>"])
def test_a_mark_with_nothing_but_punctuation_behind_it_gives_no_answer(text):
    assert final_answer(text) is None


@pytest.mark.parametrize("answer", ["∅", "7", "x", r"\emptyset", "∞"])
def test_a_symbol_is_one(answer):
    assert final_answer(f"Final answer: {answer}") == answer
