"""inspect_ai: scorers.

from promptcot.rewards.inspect_ai import math_answer, program_tests
Task(dataset=..., solver=generate(), scorer=math_answer())
Task(dataset=..., solver=generate(), scorer=program_tests())
"""

from __future__ import annotations

from anyio.to_thread import run_sync
from inspect_ai.scorer import CORRECT, INCORRECT, NOANSWER, Score, Scorer, Target, accuracy, scorer, stderr
from inspect_ai.solver import TaskState

from promptcot.errors import PromptcotError
from promptcot.outcomes import Verdict
from promptcot.rewards.grading import Grader, Judgement

_VALUES = {Verdict.CORRECT: CORRECT, Verdict.NO_ANSWER: NOANSWER, Verdict.TRUNCATED: NOANSWER}


@scorer(metrics=[accuracy(), stderr()])
def math_answer(grader: Grader | None = None) -> Scorer:
    """Whether the final answer equals one of the targets. What is undecided counts as incorrect; `metadata["verdict"]` says what it was."""
    judge = grader or Grader()

    async def score(state: TaskState, target: Target) -> Score:
        found = [judge.answer(text, state.output.completion, truncated=_truncated(state)) for text in target]
        best = next((f for wanted in (Verdict.CORRECT, Verdict.UNDECIDED) for f in found if f.verdict is wanted), found[0])
        return _scored(best, "the sample has no target")

    return score


@scorer(metrics=[accuracy(), stderr()])
def program_tests(grader: Grader | None = None) -> Scorer:
    """Whether the last program passes all tests: the sample's `metadata["tests"]` (with `["function"]`), else the target, as JSON."""
    judge = grader or Grader()

    async def score(state: TaskState, target: Target) -> Score:
        tests, name = state.metadata.get("tests", target.text), state.metadata.get("function") or ""
        text, truncated = state.output.completion, _truncated(state)
        return _scored(await run_sync(lambda: judge.program(tests, text, truncated=truncated, function=name)), "its tests cannot be read")

    return score


def _truncated(state: TaskState) -> bool:
    return bool(state.output.stop_reason == "max_tokens")


def _scored(found: Judgement, unusable: str) -> Score:
    """A fault of ours is the sample's error, no score."""
    if found.reward is None:
        raise PromptcotError(f"the verifier failed, or {unusable}", remedy="promptcot doctor")
    return Score(value=_VALUES.get(found.verdict, INCORRECT), answer=found.answer, metadata={"verdict": found.verdict.value})
