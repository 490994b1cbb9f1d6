"""What others may take from a run: problems with their labels, pairs and traces, out of its finished steps or out of a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from promptcot.attempts import of_question
from promptcot.engines.chat_reply import Parted, opened, parted
from promptcot.errors import UsageError
from promptcot.lines import read_lines
from promptcot.outcomes import Drop, LabelKind
from promptcot.recipe import Input
from promptcot.recipes import validate
from promptcot.records import Attempt, Label, Pair, Problem, Question, Record, Trace, content_hash, record_id
from promptcot.seeds import read_problems, read_seeds
from promptcot.stages import active, kept_step
from promptcot.store import Run
from promptcot.tables import from_table, read_parquet
from promptcot.traces import trace_of

R = TypeVar("R", bound=Record)
KINDS = {"str": str, "int": int, "float": int | float, "tuple[str, ...]": str, "tuple[int, ...]": int}
"""What the values of a field are, by how a record declares it; of a tuple, what it holds."""
DOMAINS = ("math", "code")


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
    """The rows of the finished steps of a run's recipe: problems that passed its screens, all rounds' pairs, the traces; right attempts of
    self-play are traces too, and given pairs and traces are themselves where no stage takes them. What an earlier recipe made is left
    alone, and no stage stands in for one that has not ended."""
    recipe = validate(run.recipe, str(run.path / "run.json"))
    stages, play = set(active(recipe)), recipe.self_play
    rounds = [f"self_play/{n}/{'right' if play.method == 'sft' else 'pairs'}" for n in range(1, play.rounds + 1)] if play else []
    rounds = rounds or [name for name in ("pairs",) if name in stages]
    chosen: list[Any] = [row for name in rounds for row in _rows(run, name, Attempt if name.endswith("right") else Pair)]
    questions = {q.id: q for q in _rows(run, "self_play/questions", Question)} if chosen else {}
    right = tuple(_right(row, questions[row.problem]) for row in chosen if isinstance(row, Attempt))
    traces = _rows(run, "distill/traces" if "distill" in stages else "traces", Trace) if {"distill", "traces"} & stages else ()
    return Material(
        where=str(run.path),
        problems=_rows(run, kept_step(recipe), Problem) if {"synthesize", "problems"} & stages else (),
        labels={row.problem: row for name in ("label", "labels") if name in stages for row in _rows(run, name, Label)},
        pairs=tuple(_whole(row) for row in chosen if isinstance(row, Pair)),
        traces=(*right, *traces),
    )


def _whole(pair: Pair) -> Pair:
    """A pair whose texts open their thought themselves, where the prompt did it for them."""
    return dataclasses.replace(pair, chosen=opened(pair.chosen), rejected=opened(pair.rejected))


def _right(attempt: Attempt, question: Question) -> Trace:
    """A right attempt of self-play as a trace."""
    parts = parted(attempt.text)
    both = Parted("", attempt.text) if isinstance(parts, Drop) else parts
    return trace_of(attempt, question, of_question(question), both, verdict=attempt.verdict or "", license=attempt.license)


def in_order(step: str) -> list[int]:
    """By rounds, the second before the tenth."""
    return [int(part) if part.isdigit() else -1 for part in step.split("/")]


def _rows(run: Run, name: str, record: type[R]) -> tuple[R, ...]:
    if run.manifest(name) is None:
        return ()
    folder = run.path / name / (run.current(name) or "-")
    return tuple(from_table(read_parquet(sorted(folder.glob("part-*.parquet")), record), record))


def of_file(path: Path, *, domain: str = "math") -> Material:
    """The rows of a JSONL or parquet file: pairs where they have `chosen`, traces where they have `prompt` and `reasoning`, else problems
    in any form that `inputs` reads, with their own `answer` or `tests` as labels. Raises `UsageError` naming file, line and key."""
    keys = _first_keys(path)
    if {"chosen", "rejected"} <= keys:
        given = _raw(path, ("prompt", "chosen", "rejected"), Pair)
        return Material(str(path), pairs=tuple(_whole(_pair(number, row, domain)) for number, row in given))
    if {"prompt", "reasoning", "answer"} <= keys:
        given = _raw(path, ("prompt", "reasoning", "answer"), Trace)
        return Material(str(path), traces=tuple(_trace(number, row, domain) for number, row in given))
    source = [Input(path=str(path))]
    problems = read_problems(source, domain=domain, seed=0).rows
    found = {(seed.domain, seed.content_hash): seed for seed in read_seeds(source, domain=domain, seed=0).rows}
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
        except (OSError, pa.ArrowInvalid) as error:
            raise UsageError(f"cannot be read: {error}", where=str(path)) from None
    if path.suffix != ".jsonl":
        return set()
    return set(next(iter(read_lines(path, {})), {}))


def _raw(path: Path, texts: tuple[str, ...], record: type[Record]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The rows of a file with their numbers; each has the named texts, and what else it has of a record is of the record's types."""
    if path.suffix != ".parquet":
        yield from enumerate(read_lines(path, dict.fromkeys(texts, str), partial(_wrong, record)), 1)
        return
    for number, row in enumerate(pq.read_table(path).to_pylist(), 1):
        missing = next((f"`{key}` is no text" for key in texts if not isinstance(row.get(key), str)), "")
        if wrong := missing or _wrong(record, row):
            raise UsageError(wrong, where=f"{path}, row {number}", remedy=f"a row has the keys {', '.join(texts)}")
        yield number, row


def _wrong(record: type[Record], row: Mapping[str, Any]) -> str:
    """What is wrong with the values of a row, "" for nothing; one that is null is absent."""
    for field in dataclasses.fields(record):
        value, kind = row.get(field.name), str(field.type)
        if value is None:
            continue
        several = kind.startswith("tuple")
        if several and not isinstance(value, list):
            return f"`{field.name}` is {type(value).__name__}, not list"
        for one in value if several else [value]:
            if not isinstance(one, KINDS[kind]) or isinstance(one, bool):
                return f"`{field.name}` is {type(one).__name__}, where a {kind} is wanted"
            if isinstance(one, str) and any("\ud800" <= char <= "\udfff" for char in one):
                return f"`{field.name}` holds half a character, which cannot be written as UTF-8"
    return "" if row.get("domain") in (None, *DOMAINS) else f"`domain` is {row['domain']}, not math or code"


def _known(row: Mapping[str, Any], record: type[Record]) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(record)}
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items() if key in names and value is not None}


def _pair(number: int, row: Mapping[str, Any], domain: str) -> Pair:
    fresh = {"id": record_id("pair", (), number, row["prompt"] + row["chosen"] + row["rejected"]), "round": 0, "domain": domain}
    return Pair(**{"question": record_id("prompt", (), 0, row["prompt"]), **fresh, **_known(row, Pair)})


def _trace(number: int, row: Mapping[str, Any], domain: str) -> Trace:
    fresh = {"id": record_id("trace", (), number, row["prompt"] + row["answer"]), "draw": 0, "tokens": 0, "domain": domain}
    return Trace(**{"question": content_hash(row["prompt"]), **fresh, **_known(row, Trace)})
