"""inspect_ai: a scorer.

from promptcot.rewards.inspect_ai import math_answer
Task(dataset=..., solver=generate(), scorer=math_answer())
"""

from __future__ import annotations

from inspect_ai.scorer import CORRECT, INCORRECT, NOANSWER, Score, Scorer, Target, accuracy, scorer, stderr
from inspect_ai.solver import TaskState

from promptcot.errors import PromptcotError
from promptcot.outcomes import Verdict
from promptcot.rewards.grading import Grader

_VALUES = {Verdict.CORRECT: CORRECT, Verdict.NO_ANSWER: NOANSWER, Verdict.TRUNCATED: NOANSWER}


@scorer(metrics=[accuracy(), stderr()])
def math_answer(grader: Grader | None = None) -> Scorer:
    """Whether the final answer equals one of the targets. What is undecided counts as incorrect; `metadata["verdict"]` says what it was."""
    judge = grader or Grader()

    async def score(state: TaskState, target: Target) -> Score:
        truncated = state.output.stop_reason == "max_tokens"
        found = [judge.answer(text, state.output.completion, truncated=truncated) for text in target]
        best = next((f for wanted in (Verdict.CORRECT, Verdict.UNDECIDED) for f in found if f.verdict is wanted), found[0])
        if best.reward is None:
            raise PromptcotError(
                "the verifier failed, or the sample has no target", remedy="promptcot doctor"
            )  # the sample's error, no score
        return Score(value=_VALUES.get(best.verdict, INCORRECT), answer=best.answer, metadata={"verdict": best.verdict.value})

    return score
