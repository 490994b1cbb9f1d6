"""verifiers: a taskset of problems with answers, rewarded by the verifier.

taskset = AnswerTaskset(AnswerConfig(path=Path("problems.jsonl")))      # rows with `problem` and `answer`
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import verifiers.v1 as vf

from promptcot.rewards.grading import Grader
from promptcot.templates_solving import solving_prompt

_GRADER = Grader()


class AnswerData(vf.TaskData):
    """A problem and its answer."""

    answer: str


class AnswerTask(vf.Task[AnswerData]):
    """Solve the problem: the final answer must equal the known one."""

    @vf.reward(weight=1.0)
    async def correct(self, trace: vf.Trace) -> float:
        """1 for the right answer, else 0."""
        return _GRADER.answer(self.data.answer, trace.last_reply, truncated=trace.is_truncated).reward or 0.0

    async def validate(self, runtime: vf.Runtime) -> bool | None:
        """The known answer must be one that the verifier reads, and equal to itself."""
        return _GRADER.answer(self.data.answer, rf"\boxed{{{self.data.answer}}}").reward == 1.0


class AnswerConfig(vf.TasksetConfig):
    """Where the rows are: JSONL with `problem` and `answer`."""

    path: Path = Path("problems.jsonl")


class AnswerTaskset(vf.Taskset[AnswerTask, AnswerConfig]):
    """A task for each row of the file."""

    def load(self) -> Iterator[AnswerTask]:
        """Read the rows, one after the other."""
        for line in self.config.path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            yield AnswerTask(AnswerData(prompt=solving_prompt("math", row["problem"]), answer=str(row["answer"])), self.config.task)
