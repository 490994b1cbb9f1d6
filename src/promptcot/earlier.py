"""What an earlier run, or a file, tells of a solver: how often it was right at questions, and the concepts of these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from promptcot.errors import UsageError
from promptcot.lines import Row, read_lines
from promptcot.outside import locate
from promptcot.records import PassRate, Problem, Question, Record, Triple
from promptcot.store import Run
from promptcot.tables import from_table, read_parquet
from promptcot.weakness import Tried

R = TypeVar("R", bound=Record)

KEYS: dict[str, type | tuple[type, ...]] = {"concepts": list, "solved": int, "counted": int}
PROBLEMS = ("problems", "synthesize/problems")
"""Steps whose problems self-play asks; `screen` keeps some of them as they are."""


def tried(name: str) -> list[Tried]:
    """The questions that a solver tried: of a run folder, those of the last round of self-play that name concepts, or rows of a JSONL file.

    Raises `UsageError` for a run without self-play, a file that is not of the form, and where no question has concepts."""
    path = locate(name)
    found = list(_of_run(path) if path.is_dir() else _of_file(path))
    if not any(question.concepts and question.counted for question in found):
        raise UsageError("no attempted question names a concept", where=name, remedy='rows {"concepts": [...], "solved": 3, "counted": 8}')
    return found


def _of_file(path: Path) -> Iterator[Tried]:
    for row in read_lines(path, KEYS, _wrong_with):
        yield Tried(tuple(row["concepts"]), row["solved"], row["counted"])


def _wrong_with(row: Row) -> str:
    return "" if 0 <= row["solved"] <= row["counted"] else f"{row['solved']} of {row['counted']} attempts cannot be right"


def _of_run(path: Path) -> Iterator[Tried]:
    run = Run.open(path)
    rounds = [n for name in run.steps() if (n := _round(name)) and run.manifest(name) is not None]
    if not rounds:
        raise UsageError("the run has no pass rates", where=str(path), remedy="name a run whose `self_play` is done, or a JSONL file")
    concepts = _concepts(run)
    parents = {q.id: q.parents for q in _rows(run, "self_play/questions", Question)}
    for rate in _rows(run, f"self_play/{max(rounds)}/pass_rates", PassRate):
        known = next((concepts[parent] for parent in parents[rate.question] if parent in concepts), ())
        yield Tried(known, rate.solved, rate.counted)


def _round(step: str) -> int:
    parts = step.split("/")
    return int(parts[1]) if len(parts) == 3 and parts[::2] == ["self_play", "pass_rates"] else 0


def _concepts(run: Run) -> Mapping[str, tuple[str, ...]]:
    """Concepts by the id of a problem, or of the seed that an annotated triple was made of."""
    of = {p.id: p.concepts for step in PROBLEMS for p in _rows(run, step, Problem)}
    return of | {parent: t.concepts for t in _rows(run, "annotate", Triple) for parent in (t.id, *t.parents)}


def _rows(run: Run, step: str, record: type[R]) -> list[Any]:
    manifest = run.manifest(step)
    if manifest is None:
        return []
    return from_table(read_parquet(sorted((run.path / step / manifest.key).glob("part-*.parquet")), record), record)
