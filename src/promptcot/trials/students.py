"""The students of a trial: each corpus's lessons as a table, and a fit for every corpus, seed and part.

What a student could not take (too long for it) and what a benchmark asks (a lesson that holds a whole question of it) leaves every draw
and is kept with its reason. Tokens are the student's own, of solutions alone: what bears loss.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

from promptcot.attempts import of_question
from promptcot.durable import canonical
from promptcot.engines.protocol import ChatTokenizer, FitExample
from promptcot.engines.tokenizing import open_tokenizer
from promptcot.errors import Stopped
from promptcot.executors import Rows, Table, Workplace, each
from promptcot.fitting import fit_role
from promptcot.outcomes import Drop
from promptcot.recipe import Fit, Training, Trial
from promptcot.recipe.trying import Fitted, TrialCorpus
from promptcot.records import Question, Trace, TrialStudent, record_id
from promptcot.roles import Role
from promptcot.store import StepSpec
from promptcot.tables import digest_of, dropped
from promptcot.traces import chat_tokenizer, learned
from promptcot.training.batches import optimizer_steps
from promptcot.trials.lessons import lessons
from promptcot.trials.nested import epochs_for, equal_budget, taken
from promptcot.words import words

SCHEMA = 1
SHARD_ROWS = 512
SHORTEST = 8
"""Words from which a question is looked for inside longer prompts; a shorter one is found where it is all that a prompt asks."""


@dataclass(frozen=True)
class Drawn:
    """What one student sees, and how often."""

    student: Fitted
    ids: tuple[str, ...]
    tokens: int
    fit: Fit
    steps: int


@dataclass(frozen=True)
class HeldOut:
    """Questions that no lesson may hold: the long ones by their number of words, the prompts of the short ones."""

    runs: Mapping[int, frozenset[str]]
    prompts: frozenset[str]

    @classmethod
    def of(cls, questions: Sequence[Question]) -> HeldOut:
        """Of these questions, in the normal form of `words`."""
        runs = dict[int, set[str]]()
        for tokens in (words(question.problem) for question in questions):
            if len(tokens) >= SHORTEST:
                runs.setdefault(len(tokens), set()).add(" ".join(tokens))
        return cls({size: frozenset(own) for size, own in runs.items()}, frozenset(" ".join(words(of_question(q))) for q in questions))

    def within(self, prompt: str) -> str:
        """The question that a prompt holds whole, in normal form; empty where there is none."""
        tokens = words(prompt)
        if (whole := " ".join(tokens)) in self.prompts:
            return whole
        windows = (" ".join(tokens[i : i + size]) for size in self.runs for i in range(len(tokens) - size + 1))
        return next((run for run in windows if run in self.runs[run.count(" ") + 1]), "")


@dataclass(frozen=True)
class Trying:
    """A trial under way. `held_out`: the questions that its students will be asked, which no lesson may hold."""

    place: Workplace
    settings: Trial
    training: Training
    student: Role
    held_out: Sequence[Question]
    domain: str
    seed: int

    @cached_property
    def lessons(self) -> dict[str, Table[Trace]]:
        """The steps `trial/NAME/lessons`: what each corpus teaches this student."""
        return {corpus.name: self._lessons(corpus) for corpus in self.settings.corpora}

    @cached_property
    def examples(self) -> dict[str, dict[str, FitExample]]:
        """The lessons of each corpus, by id, as the student learns them."""
        tokenizer = self._tokenizer()
        return {name: {trace.id: learned(tokenizer, trace) for trace in table.rows} for name, table in self.lessons.items()}

    def students(self) -> dict[str, Role]:
        """Every student by name, fitted or loaded; the figures of their fits are the step `trial/students`."""
        self.student.require_trainable()
        drawn = self.drawn()
        self._figures(drawn)
        return {one.student.name: self._fitted(one) for one in drawn}

    def drawn(self) -> list[Drawn]:
        """What each student sees. Raises `Stopped` where a part holds no lesson."""
        lengths = {name: {id_: _solution(example) for id_, example in own.items()} for name, own in self.examples.items()}
        budget = equal_budget(list(lengths.values()), self.settings.tokens)
        return [self._drawn(student, lengths[student.corpus], budget) for student in self.settings.students]

    def _drawn(self, student: Fitted, lengths: Mapping[str, int], budget: int) -> Drawn:
        ids = taken(lengths, student.seed, int(budget * student.share))
        if not ids:
            raise Stopped(
                f"{int(budget * student.share)} tokens hold not one solution of `{student.corpus}`",
                where="trial.tokens",
                remedy="raise `tokens` or the smallest of `shares`; `promptcot rows DIR trial/NAME/lessons --dropped all` shows what left",
            )
        whole = taken(lengths, student.seed, budget)
        fit, steps = self.settings.fit(), len(optimizer_steps(len(whole), self.settings.epochs, self.settings.batch, student.seed))
        if student.same == "steps":
            fit = self.settings.fit(epochs_for(steps, len(ids), fit.batch))
        taken_steps = len(optimizer_steps(len(ids), fit.epochs, fit.batch, student.seed))
        return Drawn(student, tuple(ids), sum(lengths[id_] for id_ in ids), fit, taken_steps)

    def _fitted(self, drawn: Drawn) -> Role:
        student, own = drawn.student, self.examples[drawn.student.corpus]
        name = f"trial/{student.corpus}/{student.name}"
        role = fit_role(self.place, name, self.student, [own[i] for i in drawn.ids], drawn.fit, self.training, seed=student.seed)
        return replace(role, name=student.name)

    def _figures(self, drawn: Sequence[Drawn]) -> Table[TrialStudent]:
        facts = [[one.student.name, canonical(one.ids), one.fit.epochs, one.steps] for one in drawn]
        inputs = {name: table.digest for name, table in self.lessons.items()}
        digest = hashlib.sha256(canonical(facts).encode()).hexdigest()[:32]
        spec = StepSpec("trial/students", TrialStudent, SCHEMA, {"drawn": digest}, inputs)
        return self.place.rows(spec, drawn, partial(each, make=lambda one: [_figure(one)]), shard_rows=1_000)

    def _lessons(self, corpus: TrialCorpus) -> Table[Trace]:
        found = lessons(corpus.path, domain=self.domain, seed=self.seed)
        asked_here = HeldOut.of(self.held_out)
        tokenizer, limit = self._tokenizer(), self.training.max_tokens
        digest = digest_of(found)
        asked = hashlib.sha256(canonical(sorted(q.id for q in self.held_out)).encode()).hexdigest()[:32]
        spec = StepSpec(
            f"trial/{corpus.name}/lessons",
            Trace,
            SCHEMA,
            {"max_tokens": limit},
            {"rows": digest, "questions": asked, "student": self.student.fingerprint},
        )

        def make(trace: Trace) -> Rows:
            length, held = len(learned(tokenizer, trace).tokens), asked_here.within(trace.prompt)
            if held:
                return [dropped(trace, Drop.CONTAMINATED, f"a held-out question stands in it: {held[:200]}")]
            return [trace if length <= limit else dropped(trace, Drop.TOO_LONG, f"{length} tokens, training.max_tokens is {limit}")]

        table: Table[Trace] = self.place.rows(spec, found, partial(each, make=make), shard_rows=SHARD_ROWS)
        if not table.arrow.num_rows:
            remedy = f"`promptcot rows DIR trial/{corpus.name}/lessons --dropped all` shows what left"
            raise Stopped(f"no lesson of `{corpus.name}` is left", where="trial.corpora", remedy=remedy)
        return table

    def _tokenizer(self) -> ChatTokenizer:
        return chat_tokenizer(open_tokenizer(self.student.path), f"models.{self.student.name}")


def _solution(example: FitExample) -> int:
    return sum(map(len, example.tokens.segments))


def _figure(drawn: Drawn) -> TrialStudent:
    one = drawn.student
    return TrialStudent(
        id=record_id("trial_student", (), one.seed, one.name),
        student=one.name,
        corpus=one.corpus,
        share=one.share,
        same=one.same,
        seed=one.seed,
        texts=len(drawn.ids),
        tokens=drawn.tokens,
        steps=drawn.steps,
    )
