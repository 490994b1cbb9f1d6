"""verl: `custom_reward_function.path=.../promptcot/rewards/verl.py custom_reward_function.name=compute_score`.

verl gives `ground_truth` from the row's `reward_model`; `extra_info` may say `{"truncated": true}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from promptcot.outcomes import Verdict
from promptcot.rewards.grading import Grader

_GRADER = Grader()


def compute_score(
    data_source: str, solution_str: str, ground_truth: str, extra_info: Mapping[str, Any] | None = None, **_: Any
) -> dict[str, float]:
    """`score` is the reward, `acc` the same; `undecided` and `verifier_error` tell what it hides: verl knows no "no reward"."""
    judged = _GRADER.answer(str(ground_truth), solution_str, truncated=bool((extra_info or {}).get("truncated")))
    score = judged.reward or 0.0
    told = {name.value: float(judged.verdict is name) for name in (Verdict.UNDECIDED, Verdict.NO_ANSWER, Verdict.VERIFIER_ERROR)}
    return {"score": score, "acc": score, **told}
