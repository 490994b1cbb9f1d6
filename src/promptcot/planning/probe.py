"""A probe: a few rows through the real engines here, to know this machine's speeds instead of assuming them.

    probe(recipe)    # {(Kind.SAMPLE, path): Range(tokens/s), (Kind.SCORE, path): ..., (Kind.FIT, path): ...}

q (or p, where there is no EM) samples, p scores what came out, and p is fitted on it, all with the weights that the recipe starts from. A
model that was not fitted yet writes to its limit, so a batch stays fuller than later on; longer texts than the probe's are slower.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from promptcot.annotate import from_source
from promptcot.engines.protocol import FitExample, Ids, SampleRequest, Sampling, ScoreRequest, Tokens
from promptcot.errors import UsageError
from promptcot.planning.corpus import read
from promptcot.planning.figures import Range
from promptcot.planning.speeds import Measured
from promptcot.planning.work import Kind
from promptcot.recipe import Fit, Recipe, Rule, Sample
from promptcot.records import ConceptSet, Triple
from promptcot.roles import resolve
from promptcot.segments import Segmenter
from promptcot.training import fit

T = TypeVar("T", Triple, ConceptSet)

ROWS = 64
"""Rows of a probe."""
LONGEST = 256
"""Tokens that a probe lets a completion have, to stay short."""
SPREAD = Range(0.8, 1.0, 1.2)
"""How far a stage's speed may be from the probe's."""


def probe(recipe: Recipe, *, rows: int = ROWS, say: Callable[[str], None] = lambda text: None) -> Measured:
    """Measure sampling, scoring and fitting here, as far as the recipe needs them. Raises `UsageError` without rows to probe with."""
    given = read(recipe)
    triples = [*given.triples, *(from_source(seed) for seed in given.seeds if seed.concepts)][:rows]
    sets = list(given.concept_sets)[:rows]
    if not triples and not sets:
        raise UsageError(
            "a probe needs seeds with concepts, triples or concept sets that are here", where="inputs", remedy="plan without it"
        )
    probing = _Probe(recipe, say)
    if triples and recipe.em is not None and recipe.em.rule is not Rule.NO_RATIONALE:
        drawn = probing.explained(triples)
        probing.scored(triples, drawn)
    else:
        probing.written(triples) if triples else probing.written(sets)
        drawn = {}
    if triples and (recipe.em is not None or (recipe.cold_start is not None and not recipe.cold_start.shots)):
        probing.fitted(triples, drawn)
    return probing.found


class _Probe:
    def __init__(self, recipe: Recipe, say: Callable[[str], None]) -> None:
        self.recipe, self.say = recipe, say
        self.found: dict[tuple[Kind, str], Range] = {}

    def explained(self, triples: Sequence[Triple]) -> dict[str, Ids]:
        """Rationales of q, by triple."""
        assert self.recipe.em is not None
        role = "posterior" if "posterior" in self.recipe.models else "generator"
        return self._sampled(role, self.recipe.em.sample, triples, Segmenter.posterior_prefix)

    def written(self, rows: Sequence[T]) -> None:
        """Completions of p."""
        sample = self.recipe.synthesize.sample if self.recipe.synthesize else Sample()
        self._sampled("generator", sample, rows, Segmenter.generator_prefix)

    def _sampled(self, name: str, sample: Sample, rows: Sequence[T], prefix: Callable[[Segmenter, T], Ids]) -> dict[str, Ids]:
        role, sampling = resolve(self.recipe, name), Sampling(sample.temperature, sample.top_p, min(sample.max_tokens, LONGEST))
        with role.open() as engine:
            requests = [SampleRequest(row.id, prefix(role.segmenter(engine), row)) for row in rows]
            started = time.perf_counter()
            replies = list(engine.sample(requests, sampling, self.recipe.seed))
            seconds = time.perf_counter() - started
        self._note(name, Kind.SAMPLE, sum(c.tokens for reply in replies for c in reply.completions), seconds)
        return {reply.id: reply.completions[0].ids for reply in replies}

    def scored(self, triples: Sequence[Triple], drawn: dict[str, Ids]) -> None:
        """What q wrote, under p."""
        role = resolve(self.recipe, "generator")
        with role.open() as engine:
            texts = [role.segmenter(engine).generator(t, drawn[t.id]) for t in triples]
            requests = [ScoreRequest(t.id, text) for t, text in zip(triples, texts, strict=True)]
            started = time.perf_counter()
            answered = len(list(engine.score(requests)))
            seconds = time.perf_counter() - started
        assert answered == len(requests), "the engine left requests unanswered"
        self._note("generator", Kind.SCORE, sum(map(len, texts)), seconds)

    def fitted(self, triples: Sequence[Triple], drawn: dict[str, Ids]) -> None:
        """p on its annotated rationales, or on what q wrote."""
        role, r = resolve(self.recipe, "generator"), self.recipe
        settings: Fit = r.cold_start or (r.em.fit if r.em else Fit())
        with role.open() as engine:
            segmenter = role.segmenter(engine)

            def text(t: Triple) -> Tokens:
                return segmenter.generator(t, segmenter.rationale(t.rationale) if t.rationale else drawn.get(t.id))

            examples = [FitExample(t.id, text(t)) for t in triples]
        one = Fit.model_validate({**settings.model_dump(include=set(Fit.model_fields)), "epochs": 1.0})
        with tempfile.TemporaryDirectory() as room:
            log = fit(role.path, examples, one, r.training, Path(room) / "fitted", seed=r.seed, kind=role.trained_as)
        self._note("generator", Kind.FIT, log.total_tokens, log.seconds)

    def _note(self, role: str, kind: Kind, tokens: int, seconds: float) -> None:
        if tokens and seconds > 0:
            self.found[kind, str(self.recipe.model(role).path)] = SPREAD * (tokens / seconds)
            self.say(f"  probe: {kind} {tokens} tokens in {seconds:.1f} s, {tokens / seconds:.0f} tokens/s")
