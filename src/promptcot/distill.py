"""The stage `distill`: a teacher's solutions of the run's problems, and a student fitted on those that are well formed.

    problems --teacher--> distill/attempts --form, label--> distill/traces --student's length--> distill/texts --fit--> distill/student
                                                                `-> distill/figures

What is cut, malformed, wrong or too long for the student is dropped with the reason. Unlike the paper, which looks at the form alone,
solutions can be verified against the problem's label first.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from promptcot import grading, intervals
from promptcot.attempts import Asking, draws, of_problem
from promptcot.engines.chat_reply import parted
from promptcot.engines.tokenizing import open_tokenizer
from promptcot.errors import Stopped
from promptcot.executors import Rows, Table, Task, Workplace, each, side_by_side
from promptcot.fitting import fit_role
from promptcot.grading import Grader, question_of
from promptcot.licenses import combined
from promptcot.outcomes import Drop, Verdict
from promptcot.recipe import Distill, Training
from promptcot.records import Attempt, Dropped, Label, Problem, Trace, TraceFigures, record_id
from promptcot.roles import Role
from promptcot.store import StepSpec
from promptcot.tables import dropped
from promptcot.traces import chat_tokenizer, learned, trace_of, verified, well_formed

SCHEMA = 2
SHARD_ROWS = 256


def chosen(problems: Sequence[Problem], labels: Sequence[Label] | None, settings: Distill) -> list[Problem]:
    """The problems that the teacher solves: the first `rows` by id, of those with a label where traces are verified."""
    labeled = None if labels is None or not settings.verify else {label.problem for label in labels}
    return sorted((p for p in problems if labeled is None or p.id in labeled), key=lambda p: p.id)[: settings.rows]


@dataclass(frozen=True)
class Teaching:
    """What traces are made of: problems (with the digest of their table), their labels where solutions are verified, and the teacher.

    `grader` is asked only with `settings.verify`."""

    place: Workplace
    settings: Distill
    teacher: Role
    problems: Sequence[Problem]
    digest: str
    labels: Mapping[str, Label]
    labels_digest: str
    grader: Grader
    seed: int

    def drawn(self) -> Table[Attempt]:
        """The step `distill/attempts`: the teacher's solutions. Whether programs can be verified here is known before it is asked."""
        coded = self.settings.verify and any(self.labels[p.id].tests is not None for p in self.problems)
        how = Asking(self.settings.sample, self.settings.chat, of_problem)
        numbers, ready = range(self.settings.traces), self.grader.runner if coded else _nothing
        return draws(self.place, "distill/attempts", self.problems, self.digest, self.teacher, how, numbers, seed=self.seed, ready=ready)

    def traces(self, drawn: Table[Attempt]) -> Table[Trace]:
        """The step `distill/traces`: the solutions that are kept, reasoning and answer apart; the others with their reasons."""
        by_id = {problem.id: problem for problem in self.problems}
        facts: dict[str, object] = {"form": self.settings.form, "verify": self.settings.verify, "license": self.teacher.license}
        inputs = {"attempts": drawn.digest}
        if self.settings.verify:
            facts |= self.settings.model_dump(include={"cpu_s", "memory_mb"}) | {"algebra": self.grader.algebra is not None}
            facts["grading"] = grading.SCHEMA
            inputs["labels"] = self.labels_digest
        spec = StepSpec("distill/traces", Trace, SCHEMA, facts, inputs)

        def work(tasks: Iterator[Task[Attempt]]) -> Iterator[tuple[int, Rows]]:
            return side_by_side(tasks, lambda attempt: [self._trace(by_id[attempt.problem], attempt)], os.cpu_count() or 1)

        return self.place.rows(spec, drawn.rows, work, shard_rows=SHARD_ROWS)

    def _trace(self, problem: Problem, attempt: Attempt) -> Trace | Dropped:
        if attempt.verdict == Verdict.TRUNCATED:
            return dropped(attempt, Drop.TRUNCATED, f"cut after {attempt.tokens} tokens")
        parts = parted(attempt.text, attempt.reasoning)
        if isinstance(parts, Drop):
            return dropped(attempt, parts, "a reasoning tag is doubled or has no end" if parts is Drop.UNPARSABLE else "no answer")
        if not well_formed(parts.answer, problem.domain, self.settings.form):
            return dropped(attempt, Drop.NO_ANSWER, _wanted(problem.domain, self.settings))
        verdict = ""
        if self.settings.verify:
            question = question_of(problem, self.labels[problem.id], id=problem.id, origin="problems")
            if question is None:
                return dropped(attempt, Drop.UNVERIFIED, "its label has neither an answer nor, for a program, tests")
            verdict, drop, said = verified(attempt, parts.answer, question, self.grader)
            if drop is not None:
                return dropped(attempt, drop, f"{verdict}: {said}"[:500])
        license = combined(problem.license, self.teacher.license)
        return trace_of(attempt, problem, of_problem(problem), parts, verdict=verdict, license=license, teacher=self.teacher.fingerprint)

    def figures(self, drawn: Table[Attempt], traces: Table[Trace]) -> Table[TraceFigures]:
        """The step `distill/figures`: one row, how long the traces are."""
        rows = traces.rows
        spec = StepSpec("distill/figures", TraceFigures, SCHEMA, {"asked": len(self.problems)}, {"traces": traces.digest})

        def make(kept: Sequence[Trace]) -> Rows:
            return [figures_of(kept, self.teacher.fingerprint, asked=len(self.problems), drawn=drawn.arrow.num_rows)]

        return self.place.rows(spec, [rows], partial(each, make=make), shard_rows=1, fan=None)


def figures_of(rows: Sequence[Trace], teacher: str, *, asked: int, drawn: int) -> TraceFigures:
    """The lengths of traces, in the teacher's tokens; the interval is over problems, so several traces of one do not narrow it."""
    by_problem: dict[str, list[int]] = {}
    for row in rows:
        by_problem.setdefault(row.question, []).append(row.tokens)
    lengths = sorted(row.tokens for row in rows)
    mean = intervals.student([sum(found) / len(found) for found in by_problem.values()]) if rows else None
    median, p95 = (float(np.percentile(lengths, share)) for share in (50, 95)) if rows else (math.nan, math.nan)
    return TraceFigures(
        id=record_id("trace_figures", [row.id for row in rows], 0, teacher),
        teacher=teacher,
        asked=asked,
        drawn=drawn,
        traces=len(rows),
        problems=len(by_problem),
        mean=mean.value if mean else math.nan,
        low=mean.low if mean else math.nan,
        high=mean.high if mean else math.nan,
        median=median,
        p95=p95,
        longest=lengths[-1] if lengths else 0,
        total=sum(lengths),
        reasoning=sum(bool(row.reasoning) for row in rows) / len(rows) if rows else math.nan,
    )


def told(found: TraceFigures) -> str:
    """The figures in words."""
    share = f"{found.traces} of {found.drawn} solutions of {found.asked} problems kept as traces"
    if not found.traces:
        return share
    mean = f"{found.mean:.0f} [{found.low:.0f}, {found.high:.0f}] (n={found.problems}, 95%)"
    return f"{share}; {mean} tokens a trace, median {found.median:.0f}, longest {found.longest}; {found.reasoning:.0%} with reasoning apart"


def given(place: Workplace, traces: Table[Trace], settings: Distill) -> Table[Trace]:
    """The step `distill/traces` where traces are given: those that have the form; the others with the reason."""

    def make(trace: Trace) -> Rows:
        fits = well_formed(trace.answer, trace.domain, settings.form)
        return [trace if fits else dropped(trace, Drop.NO_ANSWER, _wanted(trace.domain, settings))]

    spec = StepSpec("distill/traces", Trace, SCHEMA, {"form": settings.form}, {"traces": traces.digest})
    return place.rows(spec, traces.rows, partial(each, make=make), shard_rows=SHARD_ROWS)


def _wanted(domain: str, settings: Distill) -> str:
    return "no closed code block" if domain == "code" else f"no answer in the form `{settings.form}`"


def student(place: Workplace, start: Role, traces: Table[Trace], settings: Distill, training: Training, *, seed: int) -> Role:
    """The student fitted on the traces, as the role `distilled`. Traces that are too long for it are dropped in `distill/texts`.

    Raises `Stopped` where no trace is left, `UsageError` for a student without a chat template."""
    start.require_trainable()
    tokenizer = chat_tokenizer(open_tokenizer(start.path), f"models.{start.name}")
    fitting = texts(place, start, traces, training)
    if not fitting.rows:
        why = ", ".join(f"{reason} {n}" for reason, n in sorted(_reasons([*traces.drops, *fitting.drops]).items()))
        raise Stopped(
            f"no trace is left to fit `{start.name}` on ({why or 'nothing was drawn'})",
            where="distill",
            remedy="`promptcot rows DIR distill/traces --dropped all` shows them; raise sample.max_tokens or training.max_tokens",
        )
    examples = [learned(tokenizer, trace) for trace in fitting.rows]
    fitted = fit_role(place, "distill/student", start, examples, settings.fit, training, seed=seed)
    return replace(fitted, name="distilled")


def texts(place: Workplace, start: Role, traces: Table[Trace], training: Training) -> Table[Trace]:
    """The step `distill/texts`: the traces that fit the student's training, as its tokenizer counts."""
    tokenizer = chat_tokenizer(open_tokenizer(start.path), f"models.{start.name}")
    limit = training.max_tokens if training.too_long == "drop" else None
    spec = StepSpec("distill/texts", Trace, SCHEMA, {"max_tokens": limit}, {"traces": traces.digest, "student": start.fingerprint})

    def make(trace: Trace) -> Rows:
        length = len(learned(tokenizer, trace).tokens)
        if limit is None or length <= limit:
            return [trace]
        return [dropped(trace, Drop.TOO_LONG, f"{length} tokens of the student, training.max_tokens is {limit}")]

    return place.rows(spec, traces.rows, partial(each, make=make), shard_rows=SHARD_ROWS)


def _reasons(drops: Sequence[Dropped]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in drops:
        found[row.reason] = found.get(row.reason, 0) + 1
    return found


def _nothing() -> None:
    return None
