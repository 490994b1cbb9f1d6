"""TRL: reward functions for GRPOTrainer and its like.

    from promptcot.rewards.trl import answer_reward, tests_reward
    GRPOTrainer(model=..., reward_funcs=answer_reward, train_dataset=rows_with_prompt_and_answer, ...)
    GRPOTrainer(model=..., reward_funcs=tests_reward, train_dataset=rows_with_prompt_and_tests, ...)

The data set has the columns `prompt` and `answer`; or `prompt`, `tests` and, where functions are called, `function`. TRL leaves a sample
out of a function's statistics where its reward is None. So a data set of both kinds works with both functions: each judges its own rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from promptcot.rewards.grading import Grader, Judgement, side_by_side, text_of

Completions = Sequence[str | Sequence[Mapping[str, Any]]]

_GRADER = Grader()


def answer_reward(completions: Completions, answer: Sequence[str | None], **_: Any) -> list[float | None]:
    """1 where a completion's final answer equals the row's `answer`, 0 where it does not, None where the fault is ours or there is none."""
    return [None if a is None else _GRADER.answer(str(a), text_of(c)).reward for c, a in zip(completions, answer, strict=True)]


def tests_reward(
    completions: Completions,
    tests: Sequence[object],
    function: Sequence[str | None] | None = None,  # noqa: PT028 (no test)
    **_: Any,
) -> list[float | None]:
    """1 where a completion's last program passes the row's `tests` (a list or JSON text, see `verify.suites`), 0 where it does not, None
    where the fault is ours or there are none. Raises `MissingHere` without a sandbox."""
    names = function or [None] * len(completions)
    rows = list(zip(completions, tests, names, strict=True))
    judged = iter(side_by_side(_judged, [row for row in rows if row[1] is not None]))
    return [None if row[1] is None else next(judged).reward for row in rows]


def _judged(row: tuple[str | Sequence[Mapping[str, Any]], object, str | None]) -> Judgement:
    completion, tests, function = row
    return _GRADER.program(tests, text_of(completion), function=function or "")
