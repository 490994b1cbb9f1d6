"""Synthesis: fresh concept sets in, problems out, by p alone.

Concept sets are sampled from the training triples' concepts; the exact sets of dev and test triples never come up, so that nothing
held out is aimed at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from promptcot.concepts import ConceptModel, sample_levels
from promptcot.durable import canonical
from promptcot.engines.protocol import Completion, Embedder, Sampled, SampleRequest, Sampling
from promptcot.executors import Rows, Table, Task, Workplace, ask, each
from promptcot.outcomes import Drop, Split, unfinished
from promptcot.recipe import Sample, Synthesize
from promptcot.records import ConceptSet, Dropped, Problem, Triple, content_hash, inherited, record_id
from promptcot.roles import Role
from promptcot.store import StepSpec

SCHEMA = 1


def concept_sets(
    place: Workplace, triples: Sequence[Triple], digest: str, embedder: Embedder, embedder_digest: str, settings: Synthesize, *, seed: int
) -> Table[ConceptSet]:
    """Sample concept sets and levels from the training triples, as a step."""
    train = [t for t in triples if t.split in (Split.TRAIN, "")]
    names = sorted({concept for t in train for concept in t.concepts})
    model = ConceptModel.fit([t.concepts for t in train], names, embedder.embed(names))
    forbidden = {frozenset(t.concepts) for t in triples if t.split in (Split.DEV, Split.TEST)}
    drawn = model.sample(settings.concept_sets, settings.concepts, settings.temperature, seed, forbidden=forbidden)
    levels = sample_levels(settings.levels or [t.level for t in train], len(drawn), seed)
    domain = train[0].domain if train else "math"
    rows = [_concept_set(n, domain, *given) for n, given in enumerate(zip(drawn, levels, strict=True))]
    facts = settings.model_dump(mode="json", include={"concept_sets", "concepts", "temperature", "levels"})
    inputs = {"triples": digest, "embedder": embedder_digest}
    spec = StepSpec("synthesize/concept_sets", ConceptSet, SCHEMA, {**facts, "seed": seed}, inputs)
    return place.rows(spec, rows, partial(each, make=lambda row: [row]), shard_rows=10_000)


def _concept_set(number: int, domain: str, concepts: tuple[str, ...], level: str) -> ConceptSet:
    identity = record_id("concept_set", (), number, f"{domain}|{level}|{'|'.join(concepts)}")
    return ConceptSet(id=identity, domain=domain, concepts=concepts, level=level)


def problems(
    place: Workplace,
    name: str,
    generator: Role,
    sets: Sequence[ConceptSet],
    digest: str,
    *,
    sample: Sample,
    passes: int,
    seed: int,
    with_rationale: bool = True,
) -> Table[Problem]:
    """Sample `passes` completions of p per concept set and parse them; what does not parse is dropped with its text."""
    settings = {"sample": sample.model_dump(), "passes": passes, "seed": seed, "with_rationale": with_rationale}
    spec = StepSpec(name, Problem, SCHEMA, settings, {"generator": generator.digest, "concept_sets": digest})
    sampling = Sampling(sample.temperature, sample.top_p, sample.max_tokens)

    def work(tasks: Iterator[Task[ConceptSet]]) -> Iterator[tuple[int, Rows]]:
        with generator.open(place.meter) as engine:
            segmenter = generator.segmenter(engine)

            def request(task: Task[ConceptSet]) -> SampleRequest:
                return SampleRequest(task.item.id, segmenter.generator_prefix(task.item), tuple(range(passes)), task.group)

            def rows(item: ConceptSet, reply: Sampled) -> Rows:
                return [to_problem(generator, item, completion, with_rationale=with_rationale) for completion in reply.completions]

            yield from ask(tasks, request, partial(engine.sample, sampling=sampling, seed=seed), rows)

    shard_rows = max(1, generator.engine.committed_rows // passes)
    return place.rows(spec, sets, work, shard_rows=shard_rows, journal=generator.served, fan=passes)


def to_problem(generator: Role, item: ConceptSet, c: Completion, *, with_rationale: bool = True) -> Problem | Dropped:
    """The problem in one completion of p, or the completion with the reason it has none."""
    parsed = generator.template.parse_generated(c.text, with_rationale=with_rationale)
    parsed = unfinished(c.finish) or parsed
    identity = record_id("problem", (item.id,), c.draw, c.text)
    if isinstance(parsed, Drop):
        raw = canonical({"concepts": item.concepts, "level": item.level, "completion": c.text})
        detail = f"concept set {item.id}, draw {c.draw}: {c.error or f'{c.tokens} tokens'}"
        return Dropped(id=identity, parents=(item.id,), reason=parsed, detail=detail, content=raw, **inherited(item))
    return Problem(
        id=identity,
        parents=(item.id,),
        concepts=item.concepts,
        level=item.level,
        rationale=parsed.rationale,
        problem=parsed.problem,
        draw=c.draw,
        tokens=c.tokens,
        log_p=c.log_p,
        content_hash=content_hash(parsed.problem),
        generator=generator.fingerprint,
        **{**inherited(item), "license": generator.license or item.license},
    )
