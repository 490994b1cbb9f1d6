"""verl: `custom_reward_function.path=.../promptcot/rewards/verl.py custom_reward_function.name=compute_score`.

verl gives `ground_truth` from the row's `reward_model`; `extra_info` may say `{"truncated": true}`. What the ground truth is decides what
is judged: an object with `inputs` and `outputs` (and perhaps `fn_name`), as verl's own `prime_code` and `sandbox_fusion` take it, an object
with `tests`, or a list of objects with `input` are tests of a program, each also as JSON text; anything else is an answer. Unlike theirs,
the reward is for all tests or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from promptcot.outcomes import Verdict
from promptcot.rewards.grading import Grader
from promptcot.verify.suites import given_tests

_GRADER = Grader()
_TOLD = (Verdict.UNDECIDED, Verdict.NO_ANSWER, Verdict.PROGRAM_ERROR, Verdict.PROGRAM_TIMEOUT, Verdict.VERIFIER_ERROR)


def compute_score(
    data_source: str, solution_str: str, ground_truth: object, extra_info: Mapping[str, Any] | None = None, **_: Any
) -> dict[str, float]:
    """`score` is the reward, `acc` the same; the rest, `undecided` to `verifier_error`, tells what it hides: verl knows no "no reward"."""
    truncated, tests = bool((extra_info or {}).get("truncated")), given_tests(ground_truth)
    if tests is not None:
        judged = _GRADER.program(tests, solution_str, truncated=truncated)
    else:
        judged = _GRADER.answer(str(ground_truth), solution_str, truncated=truncated)
    score = judged.reward or 0.0
    return {"score": score, "acc": score, **{name.value: float(judged.verdict is name) for name in _TOLD}}
