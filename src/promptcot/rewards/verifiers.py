"""verifiers: tasksets of problems, rewarded by the verifier.

taskset = AnswerTaskset(AnswerConfig(path=Path("problems.jsonl")))      # rows with `problem` and `answer`
taskset = ProgramTaskset(ProgramConfig(path=Path("problems.jsonl")))    # rows with `problem` and `tests`; perhaps `function`, `program`
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import verifiers.v1 as vf

from promptcot.rewards.grading import Grader
from promptcot.sandbox.programs import guess
from promptcot.templates_solving import function_prompt, solving_prompt

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
        for row in _rows(self.config.path):
            yield AnswerTask(AnswerData(prompt=solving_prompt("math", row["problem"]), answer=str(row["answer"])), self.config.task)


class ProgramData(vf.TaskData):
    """A problem, its tests as JSON, the function that they call and a program that is known to pass, each "" without one."""

    tests: str
    function: str = ""
    program: str = ""


class ProgramTask(vf.Task[ProgramData]):
    """Write a program: it must pass all tests, in the sandbox of the machine that scores."""

    @vf.reward(weight=1.0)
    async def passes(self, trace: vf.Trace) -> float:
        """1 where the last program of the reply passes, else 0."""
        return await self._reward(trace.last_reply, trace.is_truncated) or 0.0

    async def validate(self, runtime: vf.Runtime) -> bool | None:
        """The tests must be readable, and a known program pass them."""
        known = self.data.program
        reward = await self._reward(f"~~~~~~{guess(known)}\n{known}\n~~~~~~" if known else "", False)
        return reward == 1.0 if known else reward is not None

    async def _reward(self, reply: str, truncated: bool) -> float | None:
        judged = asyncio.to_thread(_GRADER.program, self.data.tests, reply, truncated=truncated, function=self.data.function)
        return (await judged).reward


class ProgramConfig(vf.TasksetConfig):
    """Where the rows are: JSONL with `problem` and `tests`; `function` names a Python function to call, `program` is one that passes."""

    path: Path = Path("problems.jsonl")


class ProgramTaskset(vf.Taskset[ProgramTask, ProgramConfig]):
    """A task for each row of the file."""

    def load(self) -> Iterator[ProgramTask]:
        """Read the rows, one after the other."""
        for row in _rows(self.config.path):
            name = row.get("function") or ""
            prompt = function_prompt(row["problem"], name) if name else solving_prompt("code", row["problem"])
            tests, known = json.dumps(row["tests"]), row.get("program") or ""
            yield ProgramTask(ProgramData(prompt=prompt, tests=tests, function=name, program=known), self.config.task)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            yield json.loads(line)
