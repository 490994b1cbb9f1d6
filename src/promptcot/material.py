"""What others may take from a run: problems with their labels, pairs and traces, out of its finished steps or out of a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow.parquet as pq

from promptcot.errors import UsageError
from promptcot.lines import read_lines
from promptcot.outcomes import LabelKind
from promptcot.recipe import Input
from promptcot.records import Label, Pair, Problem, Record, Trace, content_hash, record_id
from promptcot.seeds import read_problems, read_seeds
from promptcot.store import Run
from promptcot.tables import from_table, read_parquet

R = TypeVar("R", bound=Record)
PROBLEMS = ("screen", "problems", "synthesize/problems")
"""Steps that hold problems, the last of the flow first."""


@dataclass(frozen=True, slots=True)
class Material:
    """The rows, in the order of their tables; `labels` by the id of their problem. `where` says what they are from."""

    where: str
    problems: tuple[Problem, ...] = ()
    labels: Mapping[str, Label] = dataclasses.field(default_factory=dict)
    pairs: tuple[Pair, ...] = ()
    traces: tuple[Trace, ...] = ()

    @property
    def labeled(self) -> list[tuple[Problem, Label]]:
        """The problems that have a label, with it."""
        return [(p, self.labels[p.id]) for p in self.problems if p.id in self.labels]


def of_run(run: Run) -> Material:
    """The rows of a run's finished steps: problems as they were kept, all rounds' pairs, the traces."""
    done = [name for name in run.steps() if run.manifest(name) is not None]
    problems = next((name for name in PROBLEMS if name in done), None)
    labels = next((name for name in ("labels", "label") if name in done), None)
    pairs = sorted((name for name in done if name.rpartition("/")[2] == "pairs"), key=in_order)
    return Material(
        where=str(run.path),
        problems=_rows(run, problems, Problem),
        labels={label.problem: label for label in _rows(run, labels, Label)},
        pairs=tuple(pair for name in pairs for pair in _rows(run, name, Pair)),
        traces=_rows(run, "distill/traces" if "distill/traces" in done else None, Trace),
    )


def in_order(step: str) -> list[int]:
    """By rounds, the second before the tenth."""
    return [int(part) if part.isdigit() else -1 for part in step.split("/")]


def _rows(run: Run, name: str | None, record: type[R]) -> tuple[R, ...]:
    if name is None:
        return ()
    folder = run.path / name / (run.current(name) or "-")
    return tuple(from_table(read_parquet(sorted(folder.glob("part-*.parquet")), record), record))


def of_file(path: Path, *, domain: str = "math") -> Material:
    """The rows of a JSONL or parquet file: pairs where they have `chosen`, traces where they have `prompt` and `reasoning`, else problems
    in any form that `inputs` reads, with their own `answer` or `tests` as labels. Raises `UsageError` naming file, line and key."""
    keys = _first_keys(path)
    if {"chosen", "rejected"} <= keys:
        return Material(str(path), pairs=tuple(_pair(*row) for row in _raw(path, ("prompt", "chosen", "rejected"))))
    if {"prompt", "reasoning", "answer"} <= keys:
        return Material(str(path), traces=tuple(_trace(*row) for row in _raw(path, ("prompt", "reasoning", "answer"))))
    given = [Input(path=str(path))]
    problems = read_problems(given, domain=domain, seed=0).rows
    found = {(seed.domain, seed.content_hash): seed for seed in read_seeds(given, domain=domain, seed=0).rows}
    labels = {}
    for problem in problems:
        seed = found.get((problem.domain, problem.content_hash))
        if seed is not None and (seed.answer is not None or seed.tests is not None):
            labels[problem.id] = _label(problem, seed.answer, seed.tests)
    return Material(str(path), problems, labels)


def _label(problem: Problem, answer: str | None, tests: str | None) -> Label:
    kind = LabelKind.TESTS if tests is not None else LabelKind.GOLD
    identity = record_id("label", (problem.id,), 0, tests or answer or "")
    facts = {"domain": problem.domain, "source": problem.source, "license": problem.license}
    return Label(id=identity, parents=(problem.id,), problem=problem.id, kind=kind, answer=answer, tests=tests, **facts)


def _first_keys(path: Path) -> set[str]:
    if path.suffix == ".parquet":
        try:
            return set(pq.read_schema(path).names)
        except OSError as error:
            raise UsageError(f"cannot be read: {error}", where=str(path)) from None
    if path.suffix != ".jsonl":
        return set()
    return set(next(iter(read_lines(path, {})), {}))


def _raw(path: Path, texts: tuple[str, ...]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The rows of a file with their numbers; each has the named texts."""
    if path.suffix == ".parquet":
        for number, row in enumerate(pq.read_table(path).to_pylist(), 1):
            missing = next((key for key in texts if not isinstance(row.get(key), str)), None)
            if missing:
                raise UsageError(f"`{missing}` is no text", where=f"{path}, row {number}", remedy=f"a row has the keys {', '.join(texts)}")
            yield number, row
    else:
        yield from enumerate(read_lines(path, dict.fromkeys(texts, str)), 1)


def _known(row: Mapping[str, Any], record: type[Record]) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(record)}
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items() if key in names}


def _pair(number: int, row: Mapping[str, Any]) -> Pair:
    fresh = {"id": record_id("pair", (), number, row["prompt"] + row["chosen"] + row["rejected"]), "round": 0}
    return Pair(**{"question": record_id("prompt", (), 0, row["prompt"]), **fresh, **_known(row, Pair)})


def _trace(number: int, row: Mapping[str, Any]) -> Trace:
    fresh = {"id": record_id("trace", (), number, row["prompt"] + row["answer"]), "draw": 0, "tokens": 0}
    return Trace(**{"question": content_hash(row["prompt"]), **fresh, **_known(row, Trace)})
