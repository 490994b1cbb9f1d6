"""From a completion and what it must reach to a verdict and a reward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from promptcot.outcomes import Finish, Verdict
from promptcot.verify import verdicts
from promptcot.verify.algebra import OptionalAlgebra
from promptcot.verify.answers import Policy, Verifier


@dataclass(frozen=True)
class Judgement:
    """The verdict on a completion. `reward`: 1 for a correct one, 0 for any other, None where the fault is ours."""

    verdict: Verdict
    answer: str = ""

    @property
    def reward(self) -> float | None:
        """See above."""
        return None if self.verdict is Verdict.VERIFIER_ERROR else float(self.verdict is Verdict.CORRECT)


class Grader:
    """Judges completions by one policy. Cheap to make; algebra starts when it is first needed, in a sandbox, or never."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.policy = policy or Policy()

    @cached_property
    def verifier(self) -> Verifier:
        """What compares answers."""
        return Verifier(self.policy, OptionalAlgebra())

    def answer(self, reference: str, completion: str, *, truncated: bool = False) -> Judgement:
        """The verdict on a completion whose final answer must equal the reference."""
        finish = Finish.LENGTH if truncated else Finish.STOP
        given = self.verifier.read_completion(completion)
        return Judgement(verdicts.of_answer(reference, completion, finish, self.verifier), given.text if given else "")


def text_of(completion: str | Sequence[Mapping[str, Any]]) -> str:
    """A completion's text: itself, or what the assistant said last in a conversation."""
    if isinstance(completion, str):
        return completion
    said = [message.get("content") for message in completion if message.get("role", "assistant") == "assistant"]
    return str(said[-1] or "") if said else ""
