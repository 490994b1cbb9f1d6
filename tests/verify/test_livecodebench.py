"""LiveCodeBench's conventions: what its grader accepts is accepted, and no more."""

import pytest

from promptcot.errors import UsageError
from promptcot.sandbox.limits import Limits
from promptcot.sandbox.runners import Local
from promptcot.verify.livecodebench import judge_solution
from promptcot.verify.programs import Judgement, Test

pytestmark = pytest.mark.usefixtures("sandbox")

LIMITS = Limits(cpu_s=5, wall_s=60)


def verdict(source, tests, function=""):
    return judge_solution(source, [Test(*t) for t in tests], function, LIMITS, Local()).verdict


def method(body):
    return f"class Solution:\n    def solve(self, xs, k):\n        {body}\n"


ROTATED = [("[1, 2, 3]\n1", "[3, 1, 2]")]


@pytest.mark.parametrize(
    "body",
    ["return xs[-k:] + xs[:-k]", "return tuple(xs[-k:] + xs[:-k])", "return [float(x) for x in xs[-k:] + xs[:-k]]", "return [3, True, 2]"],
)
def test_values_that_python_calls_equal_are_the_same(body):
    assert verdict(method(body), ROTATED, "solve") is Judgement.ACCEPTED


@pytest.mark.parametrize("body", ["return xs", "return [3, 1]", "return '[3, 1, 2]'", "return {3: 1}", "return None"])
def test_others_are_not(body):
    assert verdict(method(body), ROTATED, "solve") is Judgement.WRONG_ANSWER


def test_names_that_its_programs_find_imported_are_there():
    assert verdict("print(gcd(12, 18), len(list(pairwise([1, 2, 3]))))", [("", "6 2")]) is Judgement.ACCEPTED
    assert verdict(
        "class Solution:\n    def solve(self, xs: List[int]) -> int:\n        return inf if not xs else gcd(*xs)",
        [("[4, 6]", "2")],
        "solve",
    ) is (Judgement.ACCEPTED)


def test_printed_numbers_are_compared_by_value():
    assert verdict("print('1.00', '7')", [("", "1.0 7")]) is Judgement.ACCEPTED
    assert verdict("print(10**20 + 1)", [("", str(10**20))]) is Judgement.WRONG_ANSWER


def test_a_line_separator_inside_a_string_is_no_end_of_an_argument():
    assert verdict("class Solution:\n    def solve(self, s):\n        return len(s)", [('"a\u2028b"', "3")], "solve") is Judgement.ACCEPTED


def test_a_test_that_is_not_json_is_named():
    with pytest.raises(UsageError, match="not JSON"):
        verdict(method("return 1"), [("[1, 2", "1")], "solve")
