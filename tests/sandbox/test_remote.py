"""A runner elsewhere gives the verdicts that the sandbox here gives."""

import pytest

import promptcot
from promptcot.errors import MissingHere
from promptcot.rewards import Grader
from promptcot.sandbox.limits import Limits
from promptcot.sandbox.programs import Language, Program
from promptcot.sandbox.remote import Remote
from promptcot.verify.programs import Test, judge
from tests.sandbox.fusion import Handler, serving

LIMITS = Limits(cpu_s=20, wall_s=5, memory_mb=128)
TESTS = [Test("3\n", "6"), Test("4\n", "8")]
SOURCES = (
    "print(int(input()) * 2)",
    "print(int(input()) * 2 + (1 if False else 0), end='  \\n\\n')",
    "print(6)",
    "1 / 0",
    "def f(:",
    "x = bytearray(1 << 40)",
    "import os; os._exit(0)",
    "import sys; sys.stdout.buffer.write(b'\\xff\\xfe')",
    "print('6' * (17 << 20))",
)


@pytest.fixture(scope="module")
def remote():
    with serving() as url:
        yield Remote(url)


@pytest.mark.parametrize("source", SOURCES)
def test_verdicts_are_those_of_this_machine(remote, source):
    program = Program(source, Language.PYTHON)
    there, here = judge(program, TESTS, LIMITS, runner=remote), judge(program, TESTS, LIMITS)
    assert [test.verdict for test in there.tests] == [test.verdict for test in here.tests]
    assert there.sandbox.startswith("remote http://127.0.0.1:")


def test_rewards_and_the_python_function_use_it_by_its_address(remote, monkeypatch):
    def absent() -> None:
        raise MissingHere("no sandbox here")

    monkeypatch.setattr("promptcot.sandbox.runners.available", absent)
    tests = [{"input": "3", "output": "6"}]
    assert Grader(runner=remote.url, limits=LIMITS).program(tests, f"```python\n{SOURCES[0]}\n```").reward == 1.0
    assert promptcot.run_program(SOURCES[0], tests, limits=LIMITS, runner=remote.url).verdict == "accepted"


def test_time_runs_out_there_too(remote):
    judged = judge(Program("import time; time.sleep(50)", Language.PYTHON), TESTS[:1], Limits(wall_s=0.5), runner=remote)
    assert judged.verdict == "time_limit"


@pytest.mark.parametrize(
    "source",
    [
        "def f(a, b): return a + b",
        "def f(a, b): return float(a + b)",
        "class I(int):\n    __eq__ = lambda *a: True\ndef f(a, b): return I(3)",
        "def f(a, b): raise SystemExit(0)",
        "class Solution:\n    def f(self, a: List[int], b): return a + b",
        "print('noise')\ndef f(a, b):\n    print('more')\n    return a + b",
        "def g(): pass",
    ],
)
def test_functions_are_judged_alike(remote, source):
    program = Program(source, Language.PYTHON, "f")
    tests = [Test([1, 2], 3), Test("1\n2", "3")]
    there, here = judge(program, tests, LIMITS, runner=remote), judge(program, tests, LIMITS)
    assert [test.verdict for test in there.tests] == [test.verdict for test in here.tests]


def test_a_passing_fault_is_asked_again(remote):
    Handler.faults = 2
    assert judge(Program(SOURCES[0], Language.PYTHON), TESTS[:1], LIMITS, runner=remote).verdict == "accepted"


@pytest.mark.parametrize("path", ["/other", ":1"])
def test_what_is_no_runner_is_named(remote, path):
    address = remote.url.rpartition(":")[0] + path if path == ":1" else remote.url + path
    with pytest.raises(MissingHere, match=r"SandboxFusion|answer"):
        judge(Program(SOURCES[0], Language.PYTHON), TESTS, LIMITS, runner=Remote(address))


@pytest.mark.slow
@pytest.mark.parametrize(
    "source", ["#include <iostream>\nint main() { int x; std::cin >> x; std::cout << 2 * x; }", "int main() { return }"]
)
def test_cpp_is_judged_alike(remote, source):
    program = Program(source, Language.CPP17)
    assert judge(program, TESTS, LIMITS, runner=remote).verdict == judge(program, TESTS, LIMITS).verdict
