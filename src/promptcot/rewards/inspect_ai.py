"""inspect_ai: a scorer.

from promptcot.rewards.inspect_ai import math_answer
Task(dataset=..., solver=generate(), scorer=math_answer())
"""

from __future__ import annotations

from inspect_ai.scorer import CORRECT, INCORRECT, NOANSWER, Score, Scorer, Target, accuracy, scorer, stderr
from inspect_ai.solver import TaskState

from promptcot.outcomes import Verdict
from promptcot.rewards.grading import Grader, Judgement

_VALUES = {Verdict.CORRECT: CORRECT, Verdict.NO_ANSWER: NOANSWER, Verdict.TRUNCATED: NOANSWER}


@scorer(metrics=[accuracy(), stderr()])
def math_answer(grader: Grader | None = None) -> Scorer:
    """Whether the final answer equals one of the targets. What is undecided counts as incorrect; `metadata["verdict"]` says what it was."""
    judge = grader or Grader()

    async def score(state: TaskState, target: Target) -> Score:
        truncated = state.output.stop_reason == "max_tokens"
        found = [judge.answer(text, state.output.completion, truncated=truncated) for text in target]
        best = min(found, key=_rank, default=Judgement(Verdict.VERIFIER_ERROR))
        return Score(value=_VALUES.get(best.verdict, INCORRECT), answer=best.answer, metadata={"verdict": best.verdict.value})

    return score


def _rank(judged: Judgement) -> int:
    return [Verdict.CORRECT, Verdict.UNDECIDED].index(judged.verdict) if judged.verdict in (Verdict.CORRECT, Verdict.UNDECIDED) else 2
