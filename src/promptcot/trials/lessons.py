r"""What a corpus teaches: a prompt and its solution, out of a run folder or a file.

A run gives its traces; where it has none, its labeled problems, each with the boxed answer alone. A file gives traces (`prompt, reasoning,
answer`), or problems with their `solution`, else their `answer`. What has neither, such as a program known by its tests, teaches nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from promptcot import material
from promptcot.errors import UsageError
from promptcot.outside import locate
from promptcot.recipe import Input
from promptcot.records import Problem, Seed, Trace, inherited, record_id
from promptcot.seeds import read_seeds
from promptcot.store import Run
from promptcot.templates_solving import solving_prompt


def lessons(path: str, *, domain: str, seed: int) -> list[Trace]:
    """The lessons of a run folder or file, sorted by id. Raises `UsageError` for what has none."""
    found = sorted(_read(path, domain, seed), key=lambda trace: trace.id)
    if not found:
        remedy = "a run with traces or labels; or a file with `prompt, reasoning, answer`, or `problem` and `solution` or `answer`"
        raise UsageError("nothing here can be learned: no problem has a solution or an answer", where=path, remedy=remedy)
    return found


def _read(path: str, domain: str, seed: int) -> list[Trace]:
    place = locate(path)
    if (place / "run.json").is_file():
        given = material.of_run(Run.open(place))
        return list(given.traces) or [_answered(problem, label.answer) for problem, label in given.labeled if label.answer]
    if not place.is_file():
        raise UsageError(f"no run folder and no file `{path}`", where="trial.corpora", remedy="the path of one, or one below --data")
    return list(material.of_file(place, domain=domain).traces) or _solved(place, domain, seed)


def _solved(path: Path, domain: str, seed: int) -> list[Trace]:
    rows: Sequence[Seed] = read_seeds([Input(path=str(path))], domain=domain, seed=seed).rows
    return [_lesson(row, row.solution) if row.solution else _answered(row, row.answer) for row in rows if row.solution or row.answer]


def _answered(row: Problem | Seed, answer: str | None) -> Trace:
    return _lesson(row, f"\\boxed{{{answer}}}")


def _lesson(row: Problem | Seed, solution: str) -> Trace:
    identity = record_id("lesson", (row.id,), 0, solution)
    prompt = solving_prompt(row.domain, row.problem)
    facts = {**inherited(row), "split": ""}
    return Trace(
        id=identity, parents=(row.id,), question=row.id, draw=0, prompt=prompt, reasoning="", answer=solution.strip(), tokens=0, **facts
    )
