"""From a completion and what it must reach to a verdict and a reward."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from promptcot.errors import UsageError
from promptcot.outcomes import Finish, Verdict
from promptcot.sandbox.limits import Limits
from promptcot.sandbox.runners import Runner, runner_at
from promptcot.verify import verdicts
from promptcot.verify.algebra import OptionalAlgebra
from promptcot.verify.answers import Policy, Verifier
from promptcot.verify.program_text import extract
from promptcot.verify.programs import OF_ATTEMPTS, judge
from promptcot.verify.suites import read_tests

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Judgement:
    """The verdict on a completion, and what was judged: the answer, or the program. `reward`: 1 for a correct one, 0 for any other, None
    where the fault is ours."""

    verdict: Verdict
    answer: str = ""

    @property
    def reward(self) -> float | None:
        """See above."""
        return None if self.verdict is Verdict.VERIFIER_ERROR else float(self.verdict is Verdict.CORRECT)


class Grader:
    """Judges completions by one policy. Cheap to make; algebra starts when it is first needed, in a sandbox, or never.

    Programs run within `limits` in the sandbox of this machine, or on the server at the address `runner`."""

    def __init__(self, policy: Policy | None = None, *, limits: Limits | None = None, runner: str = "") -> None:
        self.policy, self.limits, self.address = policy or Policy(), limits or Limits(), runner

    @cached_property
    def verifier(self) -> Verifier:
        """What compares answers."""
        return Verifier(self.policy, OptionalAlgebra())

    @cached_property
    def runner(self) -> Runner:
        """Who runs programs. Raises `MissingHere` where there is nobody: nothing runs unprotected."""
        return runner_at(self.address)

    def answer(self, reference: str, completion: str, *, truncated: bool = False) -> Judgement:
        """The verdict on a completion whose final answer must equal the reference."""
        finish = Finish.LENGTH if truncated else Finish.STOP
        given = self.verifier.read_completion(completion)
        return Judgement(verdicts.of_answer(reference, completion, finish, self.verifier), given.text if given else "")

    def program(self, tests: object, completion: str, *, truncated: bool = False, function: str = "") -> Judgement:
        """The verdict on a completion whose last program must pass all tests, given in any form of `verify.suites`.

        Tests that cannot be read are a fault of ours, and logged. Raises `MissingHere` without a sandbox, whatever the completion says."""
        runner = self.runner
        if truncated:
            return Judgement(Verdict.TRUNCATED)
        try:
            suite = read_tests(tests, function=function)
            found = extract(completion)
            if found is None:
                return Judgement(Verdict.NO_ANSWER)
            judged = judge(found.program(suite.function), suite.rows, self.limits, runner=runner, stop_early=True)
        except UsageError as error:
            log.warning("no verdict on a program: %s", " ".join(error.text().split()))
            return Judgement(Verdict.VERIFIER_ERROR)
        return Judgement(OF_ATTEMPTS[judged.verdict], found.source)


def text_of(completion: str | Sequence[Mapping[str, Any]]) -> str:
    """A completion's text: itself, or what the assistant said last in a conversation."""
    if isinstance(completion, str):
        return completion
    said = [message.get("content") for message in completion if message.get("role", "assistant") == "assistant"]
    return str(said[-1] or "") if said else ""


def side_by_side(judge: Callable[[T], Judgement], items: Sequence[T]) -> list[Judgement]:
    """Judgements in order, as many at a time as there are cores: programs wait for their sandboxes."""
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="programs") as pool:
        return list(pool.map(judge, items))
