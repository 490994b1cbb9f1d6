"""Annotation: seeds (x) become triples (c, z, x), written by one or more models or taken from their source.

    seeds --write_concepts--> seeds with c --write_rationales--> triples --merge_triples--> one table

Both writers stream over a `Sampler` and give each seed up to `retries` further draws. A reply that cannot be used is data: it is
kept, with its reason, as a `Dropped`. A seed with concepts but no usable rationale stays as (c, x), which EM can use; only a seed
without concepts leaves. Levels are the source's, as in the paper, else `unrated`; they are never asked for. Asked about are the
seeds that lack something, or all with `redo`; so a rationale that an input blanked (`rationales:` below 1) is written anew here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from promptcot.engines.conversation import prompt_request
from promptcot.engines.protocol import Completion, Sampler, SampleRequest, Sampling
from promptcot.errors import UsageError
from promptcot.leak import containment
from promptcot.outcomes import Drop, unfinished
from promptcot.recipe import Annotate, Annotator, Merge
from promptcot.records import Dropped, Seed, Triple, inherited, record_id
from promptcot.seeds import UNRATED
from promptcot.templates_annotation import Unusable, concepts_prompt, parse_concepts, parse_rationale, rationale_prompt

SOURCE = "source"
"""The annotator of what a seed brought itself."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Annotation(Generic[T]):
    """What became of one seed at one step of one annotator: the `row` made, or None when every draw failed.

    `failures`: one `Dropped` per unusable reply, in order of draws, the raw reply in `content`."""

    seed: Seed
    row: T | None
    failures: tuple[Dropped, ...]


@dataclass(frozen=True, slots=True)
class Annotated:
    """All annotators' work, merged. Every seed has at least one triple, or exactly one row in `dropped`: its last unusable reply.

    `failures` are unusable replies and `not_chosen` usable ones that the merge left aside; both are beside the row count."""

    triples: tuple[Triple, ...]
    dropped: tuple[Dropped, ...]
    failures: tuple[Dropped, ...]
    not_chosen: tuple[Dropped, ...]


def annotate(seeds: Sequence[Seed], annotators: Iterable[tuple[Annotator, Sampler]], settings: Annotate, seed: int) -> Annotated:
    """Annotate seeds with each annotator in turn (an iterator may open one model at a time) and merge.

    A seed that brings concepts and a rationale is taken as it is, unless `redo`."""
    complete = [s for s in seeds if s.concepts and s.rationale and not settings.redo]
    taken = {s.id for s in complete}
    lacking = [s for s in seeds if s.id not in taken]
    triples, failures = [from_source(s) for s in complete], []
    for annotator, sampler in annotators:
        made, failed = _with_one(lacking, sampler, annotator, settings, seed)
        triples += made
        failures += failed
    order = [annotator.model for annotator in settings.annotators]
    kept, not_chosen = merge_triples(triples, settings.merge, settings.cap, order)
    annotated = {parent for triple in kept for parent in triple.parents}
    last = {failure.parents[0]: failure for failure in failures}
    dropped = [last[s.id] for s in lacking if s.id not in annotated]
    return Annotated(tuple(kept), tuple(dropped), tuple(failures), tuple(not_chosen))


def _with_one(
    seeds: Sequence[Seed], sampler: Sampler, annotator: Annotator, settings: Annotate, seed: int
) -> tuple[list[Triple], list[Dropped]]:
    failures: list[Dropped] = []
    ready = [s for s in seeds if s.concepts and not settings.redo]
    have = {s.id for s in ready}
    for noted in write_concepts((s for s in seeds if s.id not in have), sampler, annotator, settings, seed):
        failures += noted.failures
        if noted.row is not None:
            ready.append(noted.row)
    ready.sort(key=lambda s: s.id)
    triples = [_triple(s, annotator.model) for s in ready if s.rationale]
    for written in write_rationales((s for s in ready if not s.rationale), sampler, annotator, settings, seed):
        failures += written.failures
        triples.append(written.row or _triple(written.seed, annotator.model if written.seed.id not in have else SOURCE))
    return triples, failures


def from_source(seed: Seed) -> Triple:
    """The triple of a seed that brings its own concepts; its rationale may be missing."""
    return _triple(seed, SOURCE)


def write_concepts(
    seeds: Iterable[Seed], sampler: Sampler, annotator: Annotator, settings: Annotate, seed: int
) -> Iterator[Annotation[Seed]]:
    """Yield each seed with the concepts that the annotator names. With `redo` its own rationale and prompt go: they fit other concepts."""

    def build(row: Seed, concepts: tuple[str, ...]) -> Seed:
        return replace(row, concepts=concepts, rationale=None, prompt=None) if settings.redo else replace(row, concepts=concepts)

    asking: _Asking[tuple[str, ...], Seed] = _Asking(
        "concepts",
        lambda row: concepts_prompt(row.domain, row.problem, settings.concepts),
        lambda reply: parse_concepts(reply, settings.concepts),
        build,
    )
    return asking.run(seeds, sampler, annotator, settings.retries, seed)


def write_rationales(
    seeds: Iterable[Seed], sampler: Sampler, annotator: Annotator, settings: Annotate, seed: int
) -> Iterator[Annotation[Triple]]:
    """Yield the triple of each seed (which has concepts) with the rationale that the annotator writes."""
    asking: _Asking[str, Triple] = _Asking(
        "rationale",
        lambda row: rationale_prompt(row.domain, row.problem, row.concepts, row.level or UNRATED),
        parse_rationale,
        lambda row, rationale: _triple(replace(row, rationale=rationale), annotator.model),
    )
    return asking.run(seeds, sampler, annotator, settings.retries, seed)


def merge_triples(triples: Iterable[Triple], merge: Merge, cap: int, order: Sequence[str]) -> tuple[list[Triple], list[Dropped]]:
    """The triples to keep of each seed, and those left aside as `not_chosen`. What a source brings ranks before all annotators.

    Triples without a rationale count only for a seed that has none with one, and then as one. `best` takes the rationale with the
    least 8-gram containment of its problem; the paper does not state how it merges its four annotators."""
    by_seed: dict[tuple[str, ...], list[Triple]] = defaultdict(list)
    for triple in triples:
        by_seed[triple.parents].append(triple)
    rank = {name: place for place, name in enumerate((SOURCE, *order))}
    kept: list[Triple] = []
    aside: list[Dropped] = []
    for rivals in by_seed.values():
        rivals.sort(key=lambda triple: rank[triple.annotator])
        chosen = _chosen(rivals, merge, cap)
        kept += chosen
        aside += [_not_chosen(triple) for triple in rivals if triple not in chosen and triple.annotator != SOURCE]
    return kept, aside


def _chosen(rivals: Sequence[Triple], merge: Merge, cap: int) -> list[Triple]:
    full = [triple for triple in rivals if triple.rationale]
    if not full:
        return list(rivals[:1])
    match merge:
        case Merge.ALL:
            return full
        case Merge.CAP:
            return full[:cap]
        case Merge.BEST:
            return [min(full, key=lambda triple: containment(triple.problem, triple.rationale or ""))]


def _triple(seed: Seed, annotator: str) -> Triple:
    content = "\n".join([annotator, *seed.concepts, "", seed.rationale or ""])
    return Triple(
        id=record_id("triple", (seed.id,), 0, content),
        parents=(seed.id,),
        domain=seed.domain,
        source=seed.source,
        license=seed.license,
        split=seed.split,
        family=seed.family,
        concepts=seed.concepts,
        level=seed.level or UNRATED,
        rationale=seed.rationale,
        problem=seed.problem,
        annotator=annotator,
        prompt=seed.prompt,
    )


def _not_chosen(triple: Triple) -> Dropped:
    return Dropped(
        id=record_id("dropped", (triple.id,), 0, Drop.NOT_CHOSEN),
        parents=triple.parents,
        reason=Drop.NOT_CHOSEN,
        detail=f"written by {triple.annotator}",
        content=triple.rationale or "",
        **inherited(triple),
    )


V = TypeVar("V")


@dataclass(slots=True)
class _Asking(Generic[V, T]):
    """One question put to an annotator about many seeds, with retries."""

    step: str
    prompt: Callable[[Seed], str]
    parse: Callable[[str], V | Unusable]
    build: Callable[[Seed, V], T]
    failures: dict[str, list[Dropped]] = field(default_factory=lambda: defaultdict(list))

    def run(self, seeds: Iterable[Seed], sampler: Sampler, annotator: Annotator, retries: int, seed: int) -> Iterator[Annotation[T]]:
        todo = seeds
        for draw in range(retries + 1):
            failed: list[Seed] = []
            for row, reply in self._replies(todo, sampler, annotator, draw, seed):
                value = _unfinished(reply) or self.parse(reply.text)
                if isinstance(value, Unusable):
                    self.failures[row.id].append(self._failure(row, annotator, reply, value))
                    failed.append(row)
                else:
                    yield Annotation(row, self.build(row, value), tuple(self.failures.pop(row.id, ())))
            todo = sorted(failed, key=lambda row: row.id)
        for row in todo:
            yield Annotation(row, None, tuple(self.failures.pop(row.id)))

    def _replies(
        self, seeds: Iterable[Seed], sampler: Sampler, annotator: Annotator, draw: int, seed: int
    ) -> Iterator[tuple[Seed, Completion]]:
        asked: dict[str, Seed] = {}

        def requests() -> Iterator[SampleRequest]:
            for row in seeds:
                request = _request(f"{annotator.model} {self.step} {row.id}", self.prompt(row), draw, sampler, annotator)
                asked[request.id] = row
                yield request

        how = Sampling(annotator.sample.temperature, annotator.sample.top_p, annotator.sample.max_tokens)
        for sampled in sampler.sample(requests(), how, seed):
            yield asked.pop(sampled.id), sampled.completions[0]

    def _failure(self, row: Seed, annotator: Annotator, reply: Completion, unusable: Unusable) -> Dropped:
        where = f"{self.step} by {annotator.model}, draw {reply.draw}"
        return Dropped(
            id=record_id("dropped", (row.id,), reply.draw, f"{where} {reply.text}"),
            parents=(row.id,),
            reason=unusable.reason,
            detail=f"{where}: {unusable.why}",
            content=reply.text,
            **inherited(row),
        )


def _unfinished(reply: Completion) -> Unusable | None:
    reason = unfinished(reply.finish)
    return Unusable(reason, reply.error or "cut by max_tokens") if reason else None


def _request(id: str, prompt: str, draw: int, sampler: Sampler, annotator: Annotator) -> SampleRequest:
    try:
        return prompt_request(sampler, id, prompt, (draw,), chat=annotator.chat)
    except UsageError as error:
        raise UsageError(
            f"`{annotator.model}` cannot be asked in a conversation: {error.what}",
            where="annotate.annotators",
            remedy="set `chat: false`, or use an instruct model",
        ) from error
