"""Corpora to analyze: a uniform draw of the texts of this run, of other runs, of benchmarks and files, as questions.

What is known of a text's answer makes it a question that can be graded; without one it is a text alone, and no solver's verdict counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptcot import material
from promptcot.errors import UsageError
from promptcot.evaluation import benchmarks
from promptcot.grading import question_of
from promptcot.outcomes import Grading
from promptcot.outside import locate
from promptcot.recipe import Analyze, Input
from promptcot.records import Label, Problem, Question, Seed, Triple, inherited, record_id
from promptcot.seeds import read_seeds
from promptcot.seeds.families import by_hash
from promptcot.store import Run

Text = Problem | Seed | Triple


@dataclass(frozen=True)
class Corpus:
    """A draw of `questions` out of `total` texts. `concepts` by the question's id, where a text brings some."""

    name: str
    questions: tuple[Question, ...]
    total: int
    concepts: Mapping[str, tuple[str, ...]]

    @property
    def texts(self) -> list[str]:
        """The texts, in order."""
        return [question.problem for question in self.questions]

    @property
    def digest(self) -> str:
        """Of the draw's content."""
        facts = [[q.id, q.problem, q.grading, q.reference, *self.concepts.get(q.id, ())] for q in self.questions]
        return hashlib.sha256(repr(facts).encode(errors="surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True)
class Own:
    """What this run has: `problems` that were kept, `human` ones, and the labels of problems by id. Called when they are needed."""

    problems: Callable[[], Sequence[Problem]]
    human: Callable[[], Sequence[Seed | Triple]]
    labels: Callable[[], Mapping[str, Label]]


def draw(settings: Analyze, own: Own, *, domain: str, seed: int) -> list[Corpus]:
    """The corpora of a recipe, each drawn uniformly. Raises `UsageError` for one that is none, or empty."""
    return [_drawn(name, settings.rows, own, domain, seed) for name in settings.corpora]


def _drawn(name: str, rows: int, own: Own, domain: str, seed: int) -> Corpus:
    if name == "problems":
        labels = own.labels()
        return _of_texts(name, own.problems(), labels, rows, seed)
    if name == "seeds":
        return _of_texts(name, own.human(), {}, rows, seed)
    place = locate(name)
    if (place / "run.json").is_file():
        given = material.of_run(Run.open(place))
        return _of_texts(name, given.problems, given.labels, rows, seed)
    if place.is_file() and place.suffix in (".jsonl", ".parquet") and name not in benchmarks.names():
        found = read_seeds([Input(path=str(place))], domain=domain, seed=seed).rows
        return _of_texts(name, found, {}, rows, seed)
    loaded = benchmarks.load(name, rows=rows, seed=seed, domain=domain, window=None)
    return Corpus(name, loaded.questions, len(loaded.questions), {})


def _of_texts(name: str, texts: Sequence[Text], labels: Mapping[str, Label], rows: int, seed: int) -> Corpus:
    if not texts:
        raise UsageError(f"corpus `{name}` has no text", where="analyze.corpora", remedy="a stage that makes it, or another corpus")
    chosen = by_hash((row.id for row in texts), rows, seed)
    drawn = [row for row in texts if row.id in chosen]
    questions = tuple(_question(name, row, labels.get(row.id)) for row in drawn)
    concepts = {q.id: tuple(row.concepts) for q, row in zip(questions, drawn, strict=True) if row.concepts}
    return Corpus(name, questions, len(texts), concepts)


def _question(name: str, row: Text, label: Label | None) -> Question:
    identity = record_id("question", (row.id,), content=f"analyze {name}")
    known = label if label is not None else row if isinstance(row, Seed) else None
    if known is not None and not isinstance(row, Triple) and (found := question_of(row, known, id=identity, origin=name)) is not None:
        return found
    plain: dict[str, Any] = {"benchmark": name, "name": row.id, "problem": row.problem, "grading": Grading.NONE}
    return Question(id=identity, parents=(row.id,), **plain, **inherited(row))


def concepts_of(rows: Iterable[Text]) -> list[tuple[str, ...]]:
    """The concepts of those rows that bring some."""
    return [tuple(row.concepts) for row in rows if row.concepts]
