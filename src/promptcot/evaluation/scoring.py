"""The table of scores: every figure of every model at every benchmark, with its interval over questions.

| metric | of what |
|---|---|
| `avg`, `pass`, `maj` @k | attempts that are right; one of k is; the answer most of k agree on is |
| `solved_within` @k | in the first k tries, where a question ends when it is solved |
| `format`, `truncated`, `no_answer`, `undecided`, `verifier_error` | attempts |
| `tokens` | written in an attempt |
| `elo` | rating against questions of known rating |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from promptcot.evaluation import metrics
from promptcot.evaluation.elo import Elo, elo, tried
from promptcot.evaluation.marks import Marks
from promptcot.evaluation.stage import Evaluated
from promptcot.executors import Rows, Table, Workplace, each
from promptcot.grading import PROGRAMS
from promptcot.intervals import Estimate
from promptcot.outcomes import Verdict
from promptcot.recipe import Evaluate
from promptcot.records import Score, record_id
from promptcot.store import StepSpec

SCHEMA = 1
COUNTED = (Verdict.TRUNCATED, Verdict.NO_ANSWER, Verdict.UNDECIDED, Verdict.VERIFIER_ERROR)
RATES = frozenset({"avg", "pass", "maj", "solved_within", "format", *COUNTED})
"""Metrics that are shares."""


def title(score: Score) -> str:
    """`avg@4`, `no answer`."""
    return score.metric.replace("_", " ") + (f"@{score.k}" if score.k else "")


def table(place: Workplace, done: Sequence[Evaluated], settings: Evaluate) -> Table[Score]:
    """The step `evaluate/scores`."""
    facts = {"k": settings.k, "level": settings.level, "of": [[one.model, one.benchmark.name, one.spec.tries] for one in done]}
    inputs = {f"grades {n}": one.digest for n, one in enumerate(done)}
    spec = StepSpec("evaluate/scores", Score, SCHEMA, facts, inputs)

    def make(one: Evaluated) -> Rows:
        return list(scores_of(one, settings))

    return place.rows(spec, [one for one in done if one.grades], partial(each, make=make), shard_rows=100, fan=None)


def scores_of(one: Evaluated, settings: Evaluate) -> Iterator[Score]:
    """The scores of one model at one benchmark, what is asked for first."""
    marks, level = one.marks, settings.level
    rating = rated(one, level)
    figures = [*_main(one, marks, settings), *([("elo", 0, rating.rating)] if rating else []), *_rates(marks, level)]
    for metric, k, found in figures:
        error = metrics.errors(marks).total if metric == "avg" else float("nan")
        yield Score(
            id=record_id("score", (), k, f"{one.model} {one.benchmark.name} {metric}"),
            domain=one.benchmark.questions[0].domain,
            source=one.benchmark.name,
            model=one.model,
            benchmark=one.benchmark.name,
            metric=metric,
            k=k,
            value=found.value,
            low=found.low,
            high=found.high,
            level=found.level,
            n=found.n,
            attempts=sum(len(m.verdicts) for m in marks),
            error=error,
        )


def rated(one: Evaluated, level: float) -> Elo | None:
    """The rating that the attempts give, where every question has one of its own. Every try is an observation, also where a question ends
    when it is solved."""
    if not all(q.rating is not None for q in one.benchmark.questions) or not one.grades:
        return None
    ratings = {q.id: q.rating for q in one.benchmark.questions if q.rating is not None}
    return elo(tried([m for m in one.marks if m.counted], ratings), level=level)


def _main(one: Evaluated, marks: Sequence[Marks], settings: Evaluate) -> Iterator[tuple[str, int, Estimate]]:
    samples, level = one.spec.samples or 1, settings.level
    if one.spec.tries:
        for k in _ks(settings, samples):
            yield "solved_within", k, metrics.solved_within(_tried(marks, k), k, level)
        return
    yield "avg", samples, metrics.avg_at_k(marks, level)
    for k in _ks(settings, samples):
        enough = [m for m in marks if m.counted >= k]
        if k > 1:
            yield "pass", k, metrics.pass_at_k(enough, k, level)
        if k > 1 and not any(q.grading in PROGRAMS for q in one.benchmark.questions):
            yield "maj", k, metrics.maj_at_k(enough, k, level)


def _tried(marks: Sequence[Marks], k: int) -> list[Marks]:
    """Those of which the first k tries are known: an attempt that never came, or that the verifier failed on, is no try."""
    return [m for m in marks if m.counted >= k or m.correct]


def _ks(settings: Evaluate, samples: int) -> list[int]:
    return [k for k in sorted(set(settings.k or [1, samples])) if k <= samples]


def _rates(marks: Sequence[Marks], level: float) -> Iterator[tuple[str, int, Estimate]]:
    yield "format", 0, metrics.format_rate(marks, level)
    for verdict in COUNTED:
        yield verdict.value, 0, metrics.rate(marks, verdict, level)
    yield "tokens", 0, metrics.mean_tokens(marks, level)
