"""Evaluations that are finished, read from their run folder."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from promptcot.errors import UsageError
from promptcot.evaluation.marks import Marks, marks_of
from promptcot.records import Grade, Question
from promptcot.store import Run
from promptcot.tables import from_table, read_parquet


@dataclass(frozen=True)
class Stored:
    """A model's marks at a benchmark, with its questions. `tries`: a question ended when it was solved."""

    model: str
    benchmark: str
    marks: tuple[Marks, ...]
    questions: tuple[Question, ...]
    tries: bool


def graded_models(run: Run) -> list[str]:
    """The names of the models that a run has graded."""
    return sorted({name for name, _ in _steps(run)})


def _steps(run: Run) -> dict[tuple[str, str], list[str]]:
    """Finished steps of grades, by model and benchmark."""
    found = defaultdict[tuple[str, str], list[str]](list)
    for step in run.steps():
        parts = step.split("/")
        if len(parts) == 4 and parts[0] == "evaluate" and parts[3].startswith("grades") and run.manifest(step):
            found[parts[2], parts[1]].append(step)
    return found


def read(run: Run, model: str | None = None) -> list[Stored]:
    """What a run has graded, of one model. Raises `UsageError` where there is nothing, or several models and none is named."""
    found = _steps(run)
    models = sorted({name for name, _ in found})
    if not models:
        raise UsageError("nothing is graded here", where=str(run.path), remedy="run `promptcot evaluate` first")
    if model is None and len(models) > 1:
        raise UsageError(f"several models were evaluated: {', '.join(models)}", where=str(run.path), remedy="--model-a, --model-b")
    if model is not None and model not in models:
        raise UsageError(f"no model `{model}` was evaluated", where=str(run.path), remedy=f"here: {', '.join(models)}")
    return [_stored(run, name, benchmark, steps) for (name, benchmark), steps in sorted(found.items()) if name == (model or models[0])]


def _stored(run: Run, model: str, benchmark: str, steps: list[str]) -> Stored:
    asked = tuple(_rows(run, f"evaluate/{benchmark}/questions", Question))
    tried = [step for step in steps if not step.endswith("/grades")]
    own = defaultdict[str, list[Grade]](list)
    for step in tried or steps:
        for grade in _rows(run, step, Grade):
            own[grade.question].append(grade)
    marks = tuple(marks_of(q.id, own[q.id]) for q in asked if q.id in own)
    return Stored(model, benchmark, marks, asked, bool(tried))


def _rows(run: Run, step: str, record: type) -> list:  # type: ignore[type-arg]
    key = run.current(step)
    folder = run.path / step / (key or "-")
    return from_table(read_parquet(sorted(folder.glob("part-*.parquet")), record), record)
