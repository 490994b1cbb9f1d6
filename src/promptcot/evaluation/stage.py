"""The stage `evaluate`: for every benchmark its questions, for every model its attempts and their grades.

    benchmark -> questions --model--> attempts --verify--> grades
                     `-> overlap with the training texts

Steps are named `evaluate/BENCHMARK/...`, so each is resumed and redone by itself. With `tries` there is a step for every try, over the
questions not yet solved: a draw depends on its number alone, so nothing that is left out could have changed what was solved within k.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from promptcot import grading
from promptcot.attempts import Asking, draws, of_question
from promptcot.durable import sha256_of
from promptcot.errors import UsageError
from promptcot.evaluation import benchmarks, overlap
from promptcot.evaluation.benchmarks import Benchmark
from promptcot.evaluation.marks import Marks, marks_of
from promptcot.evaluation_texts import evaluation_texts
from promptcot.executors import Rows, Table, Workplace, each
from promptcot.grading import Grader, graded
from promptcot.outcomes import Drop, Verdict
from promptcot.outside import locate
from promptcot.recipe import BenchmarkSpec, Evaluate
from promptcot.records import Attempt, Grade, Overlap, Question
from promptcot.roles import Role
from promptcot.store import StepSpec

SCHEMA = 1


@dataclass(frozen=True)
class Corpus:
    """The training texts that questions are looked for in: what they are, and their digest; `texts` is called when they are needed."""

    name: str
    digest: str
    texts: Callable[[], Iterable[str]]


@dataclass(frozen=True)
class Evaluated:
    """One model at one benchmark. `model` is its role, `path` where its weights are from; `failed` attempts never came."""

    model: str
    path: str
    benchmark: Benchmark
    spec: BenchmarkSpec
    attempts: tuple[Attempt, ...]
    grades: tuple[Grade, ...]
    failed: int
    overlap: tuple[Overlap, ...]
    corpus: str
    digest: str
    """Stands for the grades."""

    @property
    def marks(self) -> list[Marks]:
        """The grades by question, in the benchmark's order; empty where there are none."""
        found = defaultdict[str, list[Grade]](list)
        for grade in self.grades:
            found[grade.question].append(grade)
        return [marks_of(q.id, found[q.id]) for q in self.benchmark.questions if q.id in found]


def settled(spec: BenchmarkSpec, settings: Evaluate) -> BenchmarkSpec:
    """A benchmark's own settings, filled up with those of all."""
    names = ("samples", "tries", "rows")
    return spec.model_copy(update={name: getattr(settings, name) for name in names if getattr(spec, name) is None})


def evaluate(
    place: Workplace,
    settings: Evaluate,
    models: Sequence[Role],
    paths: Mapping[str, str],
    grader: Grader,
    corpus: Corpus | None,
    *,
    domain: str,
    seed: int,
) -> Iterator[Evaluated]:
    """Every model at every benchmark, one after the other. What cannot be graded is sampled alone. `paths`: the models' names, by role."""
    found = loaded(settings, domain, seed)
    for _, benchmark in found:
        if benchmark.gradable and any(q.grading in grading.PROGRAMS for q in benchmark.questions):
            grader.runner()  # whether programs can run here is known before any model is asked
    for spec, benchmark in found:
        table = _questions(place, benchmark)
        shared = _overlap(place, benchmark, table.digest, corpus, settings.ngram) if corpus else ()
        for role in models:
            done = _Bench(place, settings, spec, benchmark, table.digest, role, grader, seed)
            made = done.tried() if spec.tries and benchmark.gradable else done.all_at_once()
            name = corpus.name if corpus else ""
            yield Evaluated(
                role.name,
                paths[role.name],
                benchmark,
                spec,
                tuple(made.attempts),
                tuple(made.grades),
                made.failed,
                shared,
                name,
                made.digest,
            )


def loaded(settings: Evaluate, domain: str, seed: int) -> list[tuple[BenchmarkSpec, Benchmark]]:
    """The benchmarks with their settings. Raises `UsageError` for one that is none, and for two of one name."""
    found = dict[str, tuple[BenchmarkSpec, Benchmark]]()
    for spec in (settled(spec, settings) for spec in settings.benchmarks):
        benchmark = benchmarks.load(spec.name, rows=spec.rows, window=spec.window, seed=seed, domain=domain)
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", benchmark.name)
        if name in found:
            raise UsageError(f"two benchmarks are called `{name}`", where="evaluate.benchmarks", remedy="rename one of the files")
        found[name] = spec, replace(benchmark, name=name)
    return list(found.values())


def _questions(place: Workplace, benchmark: Benchmark) -> Table[Question]:
    facts = {"digest": benchmark.digest, "questions": [q.id for q in benchmark.questions]}
    spec = StepSpec(f"evaluate/{benchmark.name}/questions", Question, SCHEMA, facts, {})
    return place.rows(spec, benchmark.questions, partial(each, make=lambda q: [q]), shard_rows=2_000)


def _overlap(place: Workplace, benchmark: Benchmark, digest: str, corpus: Corpus, n: int) -> tuple[Overlap, ...]:
    inputs = {"questions": digest, "corpus": corpus.digest}
    spec = StepSpec(f"evaluate/{benchmark.name}/overlap", Overlap, overlap.SCHEMA, {"ngram": n}, inputs)

    def make(questions: Sequence[Question]) -> Rows:
        return overlap.overlap(questions, corpus.texts(), n).rows

    return tuple(place.rows(spec, [benchmark.questions], partial(each, make=make), shard_rows=1, fan=None).rows)


@dataclass
class _Made:
    """Attempts and grades so far, and what stands for them."""

    attempts: list[Attempt]
    grades: list[Grade]
    failed: int
    digest: str

    def add(self, drawn: Table[Attempt], graded: Table[Grade] | None) -> None:
        self.attempts += drawn.rows
        self.failed += sum(row.reason == Drop.FAILED for row in drawn.drops)
        self.grades += graded.rows if graded else []
        self.digest = graded.digest if graded else drawn.digest


@dataclass(frozen=True)
class _Bench:
    """A model at a benchmark."""

    place: Workplace
    settings: Evaluate
    spec: BenchmarkSpec
    benchmark: Benchmark
    digest: str
    role: Role
    grader: Grader
    seed: int

    def all_at_once(self) -> _Made:
        made = _Made([], [], 0, self.digest)
        drawn = self._draw("attempts", self.benchmark.questions, range(self.spec.samples or 1), self.digest)
        made.add(drawn, self._grade("grades", drawn) if self.benchmark.gradable else None)
        return made

    def tried(self) -> _Made:
        made = _Made([], [], 0, self.digest)
        solved = set[str]()
        for number in range(self.spec.samples or 1):
            questions = [q for q in self.benchmark.questions if q.id not in solved]
            drawn = self._draw(f"attempts-{number + 1}", questions, range(number, number + 1), made.digest)
            made.add(drawn, self._grade(f"grades-{number + 1}", drawn))
            solved = {grade.question for grade in made.grades if grade.verdict == Verdict.CORRECT}
        return made

    def _name(self, step: str) -> str:
        return f"evaluate/{self.benchmark.name}/{self.role.name}/{step}"

    def _draw(self, step: str, questions: Sequence[Question], numbers: range, digest: str) -> Table[Attempt]:
        how = Asking(self.settings.sample, self.settings.chat, of_question)
        return draws(self.place, self._name(step), questions, digest, self.role, how, numbers, seed=self.seed)

    def _grade(self, step: str, drawn: Table[Attempt]) -> Table[Grade]:
        return graded(self.place, self._name(step), self.grader, self.benchmark.questions, self.digest, drawn)


def corpus_of(files: Sequence[str], tables: Sequence[Table]) -> Corpus | None:  # type: ignore[type-arg]
    """The training texts of a run: tables with a column `problem`, or else `prompt`, and files beside them. None where there are none."""
    if not files and not tables:
        return None
    for name in files:
        if not locate(name).is_file():
            raise UsageError(f"no training texts `{name}`", where="evaluate.corpus", remedy="the path of a JSONL file, or one below --data")
    names = [f"{sum(t.arrow.num_rows for t in tables)} texts of this run"] * bool(tables) + list(files)
    inputs = [t.digest for t in tables] + [sha256_of(locate(name)) for name in files]

    def texts() -> Iterator[str]:
        for table in tables:
            yield from table.arrow["problem" if "problem" in table.arrow.column_names else "prompt"].to_pylist()
        for name in files:
            yield from evaluation_texts(name)

    return Corpus(", ".join(names), " ".join(inputs), texts)
