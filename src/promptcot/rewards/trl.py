"""TRL: reward functions for GRPOTrainer and its like.

    from promptcot.rewards.trl import answer_reward
    GRPOTrainer(model=..., reward_funcs=answer_reward, train_dataset=rows_with_prompt_and_answer, ...)

The data set has the columns `prompt` and `answer`. TRL leaves a sample out of a function's statistics where its reward is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from promptcot.rewards.grading import Grader, text_of

_GRADER = Grader()


def answer_reward(completions: Sequence[str | Sequence[Mapping[str, Any]]], answer: Sequence[str], **_: Any) -> list[float | None]:
    """1 where a completion's final answer equals the row's `answer`, 0 where it does not, None where the fault is ours."""
    return [_GRADER.answer(str(a), text_of(c)).reward for c, a in zip(completions, answer, strict=True)]
