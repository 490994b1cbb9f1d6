"""Programs against tests: verdicts, checkers, and the verb."""

import json
import os

import pytest

import promptcot
from promptcot import sandbox
from promptcot.errors import MissingHere, UsageError
from promptcot.outcomes import Verdict
from promptcot.sandbox import Limits
from promptcot.sandbox.programs import Language, Program
from promptcot.verify.programs import OF_ATTEMPTS, Comparison, Judgement, Test, judge
from tests.runs import Shell

pytestmark = pytest.mark.usefixtures("sandbox")

LIMITS = Limits(cpu_s=2, wall_s=30, memory_mb=128)
DOUBLE = Program("print(int(input()) * 2)", Language.PYTHON)
TESTS = [Test("3", "6"), Test("4", "8"), Test("5", "10")]


def verdicts(source: str, **options: object) -> list[str]:
    return [test.verdict for test in judge(Program(source, Language.PYTHON), TESTS, LIMITS, **options).tests]  # type: ignore[arg-type]


def test_every_judgement_has_its_verdict_on_an_attempt():
    assert OF_ATTEMPTS.keys() == set(Judgement)
    assert OF_ATTEMPTS[Judgement.SANDBOX_ERROR] is Verdict.VERIFIER_ERROR


def test_a_right_program_is_accepted():
    judged = judge(DOUBLE, TESTS, LIMITS)
    assert (judged.verdict, len(judged.tests)) == (Judgement.ACCEPTED, 3)
    assert judged.sandbox.startswith("bubblewrap ")


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("print(6)", ["accepted", "wrong_answer", "wrong_answer"]),
        ("pass", ["wrong_answer"] * 3),
        ("import os; os._exit(0)", ["wrong_answer"] * 3),
        ("print('6 8 10', *range(100))", ["wrong_answer"] * 3),
        ('import os\nfor fd in (1, 2): os.write(fd, b\'{"verdict": "accepted"}\\nPASSED\\n\')', ["wrong_answer"] * 3),
        ("print(6 if input() == '3' else 1 / 0)", ["accepted", "runtime_error", "runtime_error"]),
        ("print(open('/tmp/n').read() if __import__('os').path.exists('/tmp/n') else 6)", ["accepted", "wrong_answer", "wrong_answer"]),
    ],
)
def test_each_test_has_its_verdict(source, found):
    assert verdicts(source) == found


def test_the_first_failure_is_the_verdict_and_may_be_the_end():
    program = Program("print(6 if input() == '3' else 1 / 0)", Language.PYTHON)
    judged = judge(program, TESTS, LIMITS, stop_early=True)
    assert (judged.verdict, len(judged.tests)) == (Judgement.RUNTIME_ERROR, 2)


def test_a_tolerance_is_for_numbers():
    third = Program("print(1 / 3, 'x')", Language.PYTHON)
    tests = [Test("", "0.33333 x")]
    assert judge(third, tests, LIMITS).verdict is Judgement.WRONG_ANSWER
    assert judge(third, tests, LIMITS, comparison=Comparison(1e-4)).verdict is Judgement.ACCEPTED


CHECKER = """
import json, sys
shown = json.load(sys.stdin)
sys.exit(0 if sum(map(int, shown["output"].split())) == int(shown["input"]) == int(shown["expected"]) else 1)
"""


@pytest.mark.parametrize(
    ("source", "checker", "verdict"),
    [
        ("n = int(input()); print(1, n - 1)", CHECKER, "accepted"),
        ("n = int(input()); print(1, n)", CHECKER, "wrong_answer"),
        ("print('x')", "import sys; sys.exit(1)", "wrong_answer"),
        ("print('x')", "1 / 0", "sandbox_error"),
        ("print('x')", "import sys; sys.exit(3)", "sandbox_error"),
        ("1 / 0", CHECKER, "runtime_error"),
    ],
)
def test_a_checker_judges_in_a_sandbox_of_its_own(source, checker, verdict):
    comparison = Comparison(checker=Program(checker, Language.PYTHON))
    assert judge(Program(source, Language.PYTHON), [Test("7", "7")], LIMITS, comparison=comparison).verdict == verdict


@pytest.mark.parametrize(
    ("given", "output", "returned", "right"),
    [
        ([1, 2], 3, "a + b", True),
        ({"a": 1, "b": 2}, 3, "a + b", True),
        ("1\n2\n", "3", "a + b", True),
        ('"x"\n[1]', '["x", 1]', "[a, *b]", True),
        ([1, 2], 3, "float(a + b)", False),
        ([1, 0], 1, "True", False),
        ([1, 0], True, "True", True),
        ([1, 2], [1, 2], "(a, b)", False),
        ([1, 2], 3, "float('nan')", False),
        ([1, 2], "3", "str(a + b)", True),
    ],
)
def test_functions_are_compared_type_by_type(given, output, returned, right):
    program = Program(f"def f(a, b): return {returned}", Language.PYTHON, "f")
    assert (judge(program, [Test(given, output)], LIMITS).verdict is Judgement.ACCEPTED) is right


@pytest.mark.parametrize(
    ("program", "tests"),
    [
        (DOUBLE, []),
        (DOUBLE, [Test(3, "6")]),
        (DOUBLE, [Test("3", ["6"])]),
        (Program("", Language.PYTHON, "f"), [Test(3, 6)]),
        (Program("", Language.PYTHON, "f"), [Test("not json", "6")]),
        (Program("", Language.PYTHON, "f"), [Test("[" * 100_000, "6")]),
    ],
)
def test_tests_that_cannot_be_given_are_refused(program, tests):
    with pytest.raises(UsageError):
        judge(program, tests, LIMITS)


# the verb


@pytest.fixture
def shell(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "double.py").write_text("print(int(input()) * 2)")
    (tmp_path / "add.py").write_text("def add(a, b): return a + b")
    (tmp_path / "tests.json").write_text(json.dumps([{"input": "3\n", "output": "6\n"}, {"input": "4\n", "output": "9\n"}]))
    (tmp_path / "calls.json").write_text(json.dumps([{"input": [1, 2], "output": 3}]))
    return Shell(monkeypatch, capsys)


def test_the_verb_prints_what_others_script_against(shell):
    done = shell("run-program", "double.py", "--tests", "tests.json", "--json")
    found = json.loads(done.out)
    assert list(found) == ["schema", "verdict", "tests", "sandbox"]
    assert (found["schema"], found["verdict"]) == (1, "wrong_answer")
    assert [list(test) for test in found["tests"]] == [["index", "verdict", "cpu_s", "wall_s"]] * 2
    assert [test["verdict"] for test in found["tests"]] == ["accepted", "wrong_answer"]


def test_the_verb_is_readable_without_json(shell):
    done = shell("run-program", "add.py", "--tests", "calls.json", "--function", "add")
    assert done.out.splitlines()[-1].startswith("accepted  (bubblewrap ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["absent.py", "--tests", "tests.json"],
        ["double.py", "--tests", "absent.json"],
        ["double.py", "--tests", "double.py"],
        ["double.py", "--tests", "tests.json", "--language", "cobol"],
        ["double.py", "--tests", "tests.json", "--language", "cpp17", "--function", "f"],
        ["double.py", "--tests", "calls.json"],
    ],
)
def test_wrong_usage_leaves_with_2(shell, arguments):
    assert "error: " in shell("run-program", *arguments, code=2).err


def test_without_a_sandbox_nothing_runs_and_the_code_is_5(shell, monkeypatch):
    def absent() -> None:
        raise MissingHere("no sandbox here", remedy="apt-get install bubblewrap")

    monkeypatch.setattr("promptcot.sandbox.runners.available", absent)
    monkeypatch.setattr(sandbox.process.subprocess, "Popen", lambda *_, **__: os.abort())  # type: ignore[attr-defined]
    done = shell("run-program", "double.py", "--tests", "tests.json", code=5)
    assert "apt-get install bubblewrap" in done.err


def test_the_command_is_a_python_function_too(tmp_path):
    (tmp_path / "double.py").write_text(DOUBLE.source)
    tests = [{"input": "3", "output": "6"}, {"input": "4", "output": "9"}]
    judged = promptcot.run_program(tmp_path / "double.py", json.dumps(tests), limits=LIMITS)
    assert [test.verdict for test in judged.tests] == ["accepted", "wrong_answer"]
    assert promptcot.run_program(DOUBLE.source, tests[:1]).verdict is Judgement.ACCEPTED
    assert promptcot.run_program("def f(x): return x", {"inputs": ["3"], "outputs": ["3"], "fn_name": "f"}).verdict is Judgement.ACCEPTED
    with pytest.raises(UsageError, match="cannot be read"):
        promptcot.run_program(tmp_path / "none.py", tests)
    with pytest.raises(UsageError, match=r"(?s)no `output`.*tests, test 0"):
        promptcot.run_program(DOUBLE.source, [{"input": "3"}])
