"""Rewards: one for a right answer, none for a fault of ours, the same in every form."""

from promptcot.outcomes import Equality, Finish, Verdict
from promptcot.rewards import Grader, Judgement
from promptcot.rewards.trl import answer_reward
from promptcot.rewards.verl import compute_score
from promptcot.sandbox import SandboxFault
from promptcot.verify.answers import Verifier
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
