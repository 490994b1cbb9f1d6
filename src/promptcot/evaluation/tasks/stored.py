"""Questions in a file of their own, each with the prompt that a solver reads, and the grading of completions that come from elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from promptcot.attempts import of_question
from promptcot.errors import UsageError
from promptcot.grading import PROGRAMS, Grader, grade_texts
from promptcot.lines import read_lines, write_lines
from promptcot.outcomes import Grading
from promptcot.recipe import Evaluate
from promptcot.recipes import overridden, validate
from promptcot.records import Grade, Question
from promptcot.sandbox.runners import chosen
from promptcot.verify.algebra import OptionalAlgebra

QUESTIONS = "questions.jsonl"
POLICY = ("fallback", "cpu_s", "memory_mb", "runner")
"""The keys of a recipe's `evaluate` that say how attempts are graded."""

_LEFT_OUT = ("parents", "split")
_KEYS = {"id": str, "prompt": str, "benchmark": str, "name": str, "problem": str, "grading": str, "reference": str}


@dataclass(frozen=True)
class Asked:
    """A question and the prompt that a solver reads."""

    question: Question
    prompt: str

    @property
    def target(self) -> str:
        """What other tools show as the target: the answer, or a digest of the tests, which may be megabytes."""
        given = self.question.reference
        if self.question.grading in (Grading.ANSWER, Grading.INTEGER):
            return given
        return f"{self.question.grading} {hashlib.sha256(given.encode()).hexdigest()[:16]}"


@dataclass(frozen=True)
class Stored:
    """A folder's questions, in their order, and what grades attempts at them."""

    asked: Mapping[str, Asked]
    grader: Grader

    def grade(self, question: str, text: str, *, truncated: bool = False) -> Grade:
        """The grade of a completion for the question with this id. May be called from several threads."""
        return grade_texts(self.grader, self.asked[question].question, [text], truncated=truncated)[0]


def write(folder: Path, questions: Iterable[Question]) -> None:
    """Write the questions' file."""
    write_lines(folder / QUESTIONS, (_row(question) for question in questions))


def opened(folder: Path, policy: Mapping[str, Any]) -> Stored:
    """A written folder, to be graded by `policy`. Raises `UsageError` for a damaged file, and `MissingHere` where programs cannot run,
    so that it is known before a model is asked."""
    return _opened(folder.resolve(), tuple(sorted(policy.items())))


@lru_cache(maxsize=8)
def _opened(folder: Path, policy: tuple[tuple[str, Any], ...]) -> Stored:
    path = folder / QUESTIONS
    asked = [_asked(row, f"{path}, question {row['name']}") for row in read_lines(path, _KEYS)]
    settings = evaluate_settings([folder.name], dict(policy), where=str(folder))
    grader = Grader(settings, OptionalAlgebra(), chosen(settings.runner))
    if any(one.question.grading in PROGRAMS for one in asked):
        grader.runner()
    return Stored({one.question.id: one for one in asked}, grader)


def evaluate_settings(benchmarks: Sequence[str], settings: Mapping[str, Any], overrides: Sequence[str] = (), *, where: str) -> Evaluate:
    """A recipe's section `evaluate`, without the recipe. Raises `UsageError` naming the key."""
    bare = {"schema": 1, "name": "evaluate", "inputs": {}, "evaluate": {"benchmarks": list(benchmarks), **settings}}
    found = validate(overridden(bare, overrides), where).evaluate
    assert found is not None
    return found


def _row(question: Question) -> dict[str, Any]:
    values = {name: value for name, value in asdict(question).items() if name not in _LEFT_OUT}
    return {"id": values.pop("id"), "prompt": of_question(question), **values}


def _asked(row: Mapping[str, Any], where: str) -> Asked:
    if row["grading"] not in set(Grading) - {Grading.NONE}:
        raise UsageError(f"`grading` is `{row['grading']}`", where=where, remedy="export the benchmark again")
    known = {field.name for field in fields(Question)} - set(_LEFT_OUT)
    return Asked(Question(**{name: value for name, value in row.items() if name in known}), row["prompt"])
