"""What an exported folder's `task.py` calls inside inspect_ai: its samples and its scorer."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from anyio import to_thread
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.scorer import CORRECT, INCORRECT, NOANSWER, Score, Scorer, Target, accuracy, scorer, stderr
from inspect_ai.solver import TaskState
from inspect_ai.util import concurrency

from promptcot.evaluation.tasks import stored
from promptcot.outcomes import Verdict

_VALUES = {Verdict.CORRECT: CORRECT, Verdict.NO_ANSWER: NOANSWER, Verdict.TRUNCATED: NOANSWER}
_CUT = frozenset({"max_tokens", "model_length"})


def samples(folder: Path, policy: Mapping[str, Any]) -> MemoryDataset:
    """A sample a question; its metadata has the question's id."""
    asked = stored.opened(folder, policy).asked
    found = [
        Sample(id=one.question.name, input=one.prompt, target=one.target, metadata={"question": id_, "grading": one.question.grading})
        for id_, one in asked.items()
    ]
    return MemoryDataset(found, name=folder.resolve().name, location=str(folder / stored.QUESTIONS))


@scorer(metrics=[accuracy(), stderr()])
def verified(folder: str, policy: dict[str, Any]) -> Scorer:
    """The verdict that `promptcot evaluate` would give, in `metadata["verdict"]`. What is undecided counts as incorrect; where the verifier
    itself failed the sample is unscored."""
    found = stored.opened(Path(folder), policy)
    width = os.cpu_count() or 1

    async def score(state: TaskState, target: Target) -> Score:
        cut = state.output.stop_reason in _CUT
        judge = partial(found.grade, state.metadata["question"], state.output.completion, truncated=cut)
        async with concurrency("promptcot", width):
            grade = await to_thread.run_sync(judge)
        told = {"verdict": grade.verdict}
        if grade.verdict == Verdict.VERIFIER_ERROR:
            return Score.unscored(reason="scoring_failed", explanation=grade.detail, metadata=told)
        value = _VALUES.get(Verdict(grade.verdict), INCORRECT)
        return Score(value=value, answer=grade.answer, explanation=grade.detail or state.output.completion, metadata=told)

    return score
