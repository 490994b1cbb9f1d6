"""Rewards: one for a right answer or program, none for a fault of ours, the same in every form."""

import json
from typing import Any

import numpy as np
import pytest

from promptcot.errors import MissingHere
from promptcot.outcomes import Equality, Finish, Verdict
from promptcot.rewards import Grader, Judgement
from promptcot.rewards.trl import answer_reward
from promptcot.rewards.trl import tests_reward as program_reward
from promptcot.rewards.verl import compute_score
from promptcot.sandbox import Limits, SandboxFault
from promptcot.verify.answers import Verifier
from promptcot.verify.suites import given_tests
from promptcot.verify.verdicts import of_answer


def test_a_fault_of_ours_is_no_reward_at_all():
    assert Judgement(Verdict.VERIFIER_ERROR).reward is None
    assert {v: Judgement(v).reward for v in (Verdict.CORRECT, Verdict.WRONG, Verdict.TRUNCATED)} == {
        "correct": 1.0,
        "wrong": 0.0,
        "truncated": 0.0,
    }


def test_a_judgement_tells_no_answer_from_a_wrong_one():
    judge = Grader().answer
    assert judge("2", r"\boxed{3}") == Judgement(Verdict.WRONG, "3")
    assert judge("2", "perhaps").verdict is Verdict.NO_ANSWER
    assert judge("2", r"\boxed{2}", truncated=True).verdict is Verdict.TRUNCATED
    assert judge(" ", r"\boxed{2}").verdict is Verdict.VERIFIER_ERROR  # the row has no answer to compare with


def test_a_sandbox_that_fails_is_no_wrong_answer():
    class Failing:
        def equal(self, a: str, b: str) -> Equality:
            raise SandboxFault("it ended")

    verifier = Verifier(algebra=Failing())
    assert of_answer("2", r"\boxed{\int_0^2 1\,dx}", Finish.STOP, verifier) is Verdict.VERIFIER_ERROR


def test_trl_takes_texts_and_conversations():
    assert answer_reward([r"\boxed{1/2}", r"\boxed{2}"], answer=["0.5", "3"], prompts=["a", "b"], extra=1) == [1.0, 0.0]
    assert answer_reward([[{"role": "assistant", "content": r"\boxed{4}"}]], answer=["4"]) == [1.0]


def test_verl_calls_by_keyword_and_reads_a_score():
    given = compute_score(data_source="any", solution_str=r"\boxed{x=2}", ground_truth="2", extra_info={"num_turns": None})
    assert (given["score"], given["acc"], given["undecided"]) == (1.0, 1.0, 0.0)
    assert compute_score(data_source="any", solution_str="?", ground_truth="2")["no_answer"] == 1.0
    assert compute_score("any", r"\boxed{2}", "2", {"truncated": True})["score"] == 0.0


# programs

DOUBLES = [{"input": "3\n", "output": "6"}, {"input": "4", "output": "8\n"}]
COLUMNS = {"inputs": ["3\n", "4"], "outputs": ["6\n", "8"]}
ARRAYS = {name: np.array(column, dtype=object) for name, column in COLUMNS.items()}  # as tables keep lists
CALLS = {"inputs": ["3", "[1]"], "outputs": ["6", "[1, 1]"], "fn_name": "double"}
RIGHT, WRONG = "print(int(input()) * 2)", "print(6)"
FUNCTION = "def double(x):\n    return x * 2"
LIMITS = Limits(cpu_s=1, wall_s=60)


def reply(source: str) -> str:
    return f"<think>```python\n{WRONG}\n```</think>First an attempt.\n```python\n{WRONG}\n```\nBetter:\n```python\n{source}\n```\nDone."


@pytest.mark.usefixtures("sandbox")
def test_the_last_program_of_a_completion_must_pass_every_test():
    judge = Grader(limits=LIMITS).program
    assert judge(DOUBLES, reply(RIGHT)) == Judgement(Verdict.CORRECT, RIGHT + "\n")
    assert judge(DOUBLES, reply(WRONG)).verdict is Verdict.WRONG
    assert judge(DOUBLES, reply("print(1 / 0)")).verdict is Verdict.PROGRAM_ERROR
    assert judge(DOUBLES, reply("while True: pass")).verdict is Verdict.PROGRAM_TIMEOUT
    assert judge(DOUBLES, "I would double it.").verdict is Verdict.NO_ANSWER
    assert judge(DOUBLES, reply(RIGHT), truncated=True).verdict is Verdict.TRUNCATED
    assert judge(CALLS, reply(FUNCTION)).reward == 1.0
    assert judge([{"input": [3], "output": 6}], reply(FUNCTION), function="double").reward == 1.0
    assert judge([{"input": [3], "output": 6.0}], reply(FUNCTION), function="double").reward == 0.0


@pytest.mark.usefixtures("sandbox")
def test_a_wrong_language_where_a_function_is_called_is_the_replys_fault_and_not_ours():
    said = "```cpp\nint twice(int x) { return 2 * x; }\n```"
    judged = Grader(limits=LIMITS).program(CALLS, said)
    assert (judged.verdict, judged.reward) == (Verdict.PROGRAM_ERROR, 0.0)


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("tests", [[], "{", [{"input": "1"}], {"inputs": ["1"], "outputs": []}, [{"input": 1, "output": 2}], 5])
def test_tests_that_cannot_be_read_are_a_fault_of_ours_and_logged(tests, caplog):
    assert Grader().program(tests, reply(RIGHT)).verdict is Verdict.VERIFIER_ERROR
    assert "no verdict on a program" in caplog.text


def test_without_a_sandbox_no_program_is_judged_whatever_the_reply(monkeypatch):
    def absent() -> None:
        raise MissingHere("no sandbox here", remedy="apt-get install bubblewrap")

    monkeypatch.setattr("promptcot.sandbox.runners.available", absent)
    monkeypatch.setattr("promptcot.rewards.trl._GRADER", Grader())
    for said in (reply(RIGHT), "no program"):
        with pytest.raises(MissingHere, match="no sandbox here"):
            Grader().program(DOUBLES, said)
    with pytest.raises(MissingHere):
        program_reward([reply(RIGHT)], tests=[DOUBLES])


@pytest.mark.usefixtures("sandbox")
def test_trl_judges_programs_by_the_column_tests():
    said: list[Any] = [reply(RIGHT), [{"role": "assistant", "content": reply(WRONG)}], reply(FUNCTION), "?"]
    tests = [json.dumps(DOUBLES), DOUBLES, CALLS, None]
    assert program_reward(said, tests=tests, prompts=["?"] * 4) == [1.0, 0.0, 1.0, None]
    named = program_reward([reply(FUNCTION)], tests=[[{"input": [2], "output": 4}]], function=["double"])
    assert named == [1.0]
    assert answer_reward([r"\boxed{2}", "?"], answer=["2", None]) == [1.0, None]


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("truth", [COLUMNS, json.dumps(COLUMNS), json.dumps(DOUBLES), {"tests": DOUBLES}, ARRAYS])
def test_verl_judges_programs_where_the_ground_truth_is_tests(truth):
    given = compute_score("taco", reply(RIGHT), truth)
    assert (given["score"], given["acc"]) == (1.0, 1.0)
    assert compute_score("taco", reply("1 / 0"), truth)["program_error"] == 1.0
    assert compute_score("taco", r"\boxed{2}", truth)["no_answer"] == 1.0


@pytest.mark.parametrize("truth", ["2", "[1, 2]", "{1, 2}", '{"a": 1}', "[]", [], 2, "[input]"])
def test_what_is_no_tests_is_an_answer(truth):
    assert given_tests(truth) is None
