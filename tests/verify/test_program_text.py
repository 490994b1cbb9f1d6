"""Which text of an answer is the program."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcot.sandbox.programs import Language
from promptcot.verify.program_text import Extracted, extract, whole

CODE = "print(int(input()) * 2)\n"
OTHER = "print(0)\n"
SAMPLE = "6\n"
SHELL = "python main.py < in.txt\n"


def fenced(text: str, name: str = "python", fence: str = "```") -> str:
    return f"{fence}{name}\n{text}{fence}\n"


@pytest.mark.parametrize(
    "answer",
    [
        fenced(CODE),
        f"Some words.\n{fenced(CODE)}It prints\n{fenced(SAMPLE, '')}",
        f"{fenced(CODE)}Run it:\n{fenced(SHELL, 'bash')}",
        f"{fenced(CODE)}Output:\n{fenced(SAMPLE, 'text')}{fenced(SAMPLE, 'json')}",
        f"<think>\n{fenced(OTHER)}</think>\n{fenced(CODE)}",
        f"{fenced(OTHER)}Better:\n{fenced(CODE)}",
        fenced(CODE, "Python3"),
        fenced(CODE, "py title=main.py"),
        fenced(CODE, "{.python}"),
        fenced(CODE, "", "~~~"),
        fenced(CODE, "python", "````"),
        f"{fenced(CODE)}Cut:\n```python\nprint(9",
        fenced(CODE).replace("\n", "\r\n").replace("2)\r\n", "2)\n"),
    ],
)
def test_the_last_program_is_taken(answer):
    assert extract(answer) == Extracted(CODE, Language.PYTHON)


@pytest.mark.parametrize(
    "answer",
    [
        "<think>Perhaps\n```python\nprint(1)\n```\nor not",
        "<think>a</think>b <think>\n```python\nprint(1)\n```",
        "",
        "The answer is 6.",
        "```python\nprint(1)",
        fenced("6 7\n8", ""),
        fenced("ls", "sh"),
        f"{fenced(CODE)}</think> no program",
        fenced("  \n"),
    ],
)
def test_where_there_is_none_there_is_none(answer):
    assert extract(answer) is None


def test_the_language_is_that_of_the_fence_or_of_the_text():
    cpp = "#include <cstdio>\nint main() {}\n"
    assert extract(fenced(cpp, "c++")) == extract(fenced(cpp, "")) == Extracted(cpp, Language.CPP17)


def test_a_longer_fence_holds_a_shorter_one():
    inner = 'text = """\n```\n"""\nprint(text)\n'
    assert extract(fenced(inner, "python", "````")) == Extracted(inner, Language.PYTHON)


@given(st.text(alphabet="`~ \n{}python<think>/=", max_size=400))
def test_any_text_is_read_without_fault(text):
    extract(text)


def test_a_hostile_answer_costs_no_more_than_its_length():
    extract("```" * 200_000)
    extract("```\n" * 200_001)
    extract("</think>" * 100_000 + "for x " * 100_000)
    extract(fenced("a" * 500_000 + ",", ""))


@pytest.mark.parametrize(
    "text", [CODE, "# a comment\n" + CODE, "#include <cstdio>\nint main() {}\n", "// why\n#include <cstdio>\nint main() {}\n"]
)
def test_a_text_may_be_nothing_but_a_program(text):
    found = whole(text)
    assert found is not None
    assert found.source == text


@pytest.mark.parametrize(
    "text", ["", "42", "no", "I use print(1).", "for x in y: it prints", fenced(CODE), "Here:\n#include <cstdio>\nint main() {}"]
)
def test_prose_is_no_program(text):
    assert whole(text) is None
