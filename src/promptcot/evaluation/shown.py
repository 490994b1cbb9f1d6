"""Scores for people and for programs. A figure is never shown without how many questions it is of and its interval."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from promptcot.evaluation.elo import Elo
from promptcot.evaluation.scoring import RATES, rated, title
from promptcot.evaluation.stage import Evaluated
from promptcot.intervals import Estimate
from promptcot.recipe import Evaluate
from promptcot.records import Score

SCHEMA = 1


def estimate(score: Score) -> Estimate:
    """A score as a number with its interval."""
    return Estimate(score.value, score.low, score.high, score.n, score.level)


def value(score: Score) -> str:
    """`37.5 [30.1, 45.5]` in percent, or plain where it is no share."""
    scale, digits = (100, 1) if score.metric in RATES else (1, 0)
    if math.isnan(score.value):
        return "none"
    return f"{scale * score.value:.{digits}f} [{scale * score.low:.{digits}f}, {scale * score.high:.{digits}f}]"


def as_text(done: Sequence[Evaluated], scores: Sequence[Score], settings: Evaluate) -> str:
    """A block for every model at every benchmark."""
    return "\n\n".join("\n".join(_block(one, scores, settings)) for one in done)


def _block(one: Evaluated, scores: Sequence[Score], settings: Evaluate) -> Iterable[str]:
    own = [s for s in scores if (s.model, s.benchmark) == (one.model, one.benchmark.name)]
    yield f"{one.path} on {one.benchmark.name}: {about(one, settings)}"
    if one.benchmark.note:
        yield f"  note: {one.benchmark.note}"
    if not own:
        yield f"  {len(one.attempts)} attempts, not graded"
    for score in own:
        yield f"  {title(score):<14} {value(score):>24}   n={score.n}, {score.attempts} attempts, {score.level:.0%}"
    if rating := rated(one, settings.level):
        yield f"  elo by {rule_text(rating)}; problems and tries are in --json"
    elif one.benchmark.name.startswith("codeforces"):
        yield "  no Elo: the problems have no ratings, so there is a solve rate only"
    if one.failed:
        yield f"  {one.failed} attempts never came from the engine and are in no score"
    yield f"  {overlap_text(one, settings.ngram)}"


def about(one: Evaluated, settings: Evaluate) -> str:
    """Where the questions are from, and how attempts were sampled."""
    how, found = settings.sample, one.benchmark
    tries = f"up to {one.spec.samples} tries" if one.spec.tries else f"{one.spec.samples} attempts a question"
    return (
        f"{len(found.questions)} questions from {found.source} (digest {found.digest[:12]}), {tries}, "
        f"T={how.temperature:g}, top_p={how.top_p:g}, at most {how.max_tokens} tokens"
    )


def overlap_text(one: Evaluated, n: int) -> str:
    """How many questions stand in the training texts."""
    if not one.corpus:
        return "overlap with training texts: not looked for (name them with --corpus)"
    count, of = len(one.overlap), len(one.benchmark.questions)
    return f"overlap with training texts: {count} of {of} questions share {n} words in a row with {one.corpus}"


def rule_text(found: Elo) -> str:
    """What a rating depends on beside its problems."""
    return f"{found.rule.replace('_', ' ')} at {found.rating.n} rated problems, prior {found.prior.mean:g} +- {found.prior.sd:g}"


def _elo(found: Elo | None) -> dict[str, Any] | None:
    if found is None:
        return None
    problems = [{"question": p.question, "rating": p.rating, "solved": p.solved, "tries": p.tries} for p in found.problems]
    return {"rule": found.rule, "prior": {"mean": found.prior.mean, "sd": found.prior.sd}, "problems": problems}


def as_json(done: Sequence[Evaluated], scores: Sequence[Score], settings: Evaluate) -> dict[str, Any]:
    """The same for programs."""
    return {"schema": SCHEMA, "sample": settings.sample.model_dump(), "results": [_json(one, scores, settings) for one in done]}


def _json(one: Evaluated, scores: Sequence[Score], settings: Evaluate) -> dict[str, Any]:
    own = [s for s in scores if (s.model, s.benchmark) == (one.model, one.benchmark.name)]
    overlap = {"ngram": settings.ngram, "corpus": one.corpus, "questions": [row.question for row in one.overlap]} if one.corpus else None
    return {
        "model": one.model,
        "path": one.path,
        "benchmark": one.benchmark.name,
        "questions": len(one.benchmark.questions),
        "source": one.benchmark.source,
        "digest": one.benchmark.digest,
        "note": one.benchmark.note,
        "samples": one.spec.samples,
        "tries": one.spec.tries,
        "attempts": len(one.attempts),
        "failed": one.failed,
        "overlap": overlap,
        "elo": _elo(rated(one, settings.level)),
        "scores": [_score(score) for score in own],
    }


def _score(score: Score) -> dict[str, Any]:
    names = ("metric", "k", "value", "low", "high", "level", "n", "attempts", "error")
    found = {name: getattr(score, name) for name in names}
    return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in found.items()}
