"""Synthesis: fresh concept sets in, problems out, by p alone.

Concept sets are sampled from the training triples' concepts; the exact sets of dev and test triples never come up, so that nothing
held out is aimed at. Where a solver's pass rates are given, concepts that it is weak at come up more often (`weakness`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial

from promptcot.concepts import ConceptModel, sample_levels
from promptcot.durable import canonical
from promptcot.engines.conversation import prompt_request
from promptcot.engines.protocol import Completion, Embedder, Sampled, SampleRequest, Sampling
from promptcot.errors import UsageError
from promptcot.executors import Rows, Table, Task, Workplace, ask, each
from promptcot.outcomes import Drop, Split, unfinished
from promptcot.recipe import Sample, Synthesize, Weakness
from promptcot.records import ConceptRate, ConceptSet, Dropped, Problem, Triple, content_hash, inherited, record_id
from promptcot.roles import Role
from promptcot.store import StepSpec
from promptcot.tables import to_json
from promptcot.templates import Generated
from promptcot.templates_direct import direct_prompt, parse_direct
from promptcot.weakness import Tried, by_concept, concept_rates

SCHEMA = 1


def weak_concepts(place: Workplace, triples: Sequence[Triple], tried: Sequence[Tried], settings: Weakness) -> Table[ConceptRate]:
    """The step `synthesize/weakness`: the rate and the weight of every concept that was tried. One that no training triple names is of no
    use to the sampler, but tells of the others. Raises `UsageError` where no triple names any of them."""
    rows = concept_rates(tried, strength=settings.strength, floor=settings.floor)
    known = {concept for t in _training(triples) for concept in t.concepts}
    if not any(row.concept in known for row in rows):
        raise UsageError(
            f"none of the {len(rows)} concepts tried is one of the {len(known)} that problems are designed from",
            where="synthesize.weakness",
            remedy="name a run with the same annotated problems, or their concepts by the same words",
        )
    spec = StepSpec("synthesize/weakness", ConceptRate, SCHEMA, {}, {"rates": _digest(rows)})
    return place.rows(spec, rows, partial(each, make=lambda row: [row]), shard_rows=10_000)


def concept_sets(
    place: Workplace,
    triples: Sequence[Triple],
    digest: str,
    embedder: Embedder,
    embedder_digest: str,
    settings: Synthesize,
    *,
    seed: int,
    weak: Table[ConceptRate] | None = None,
) -> Table[ConceptSet]:
    """Sample concept sets and levels from the training triples, as a step; those that a solver is `weak` at more often."""
    train = _training(triples)
    names = sorted({concept for t in train for concept in t.concepts})
    model = ConceptModel.fit([t.concepts for t in train], names, embedder.embed(names))
    weights = by_concept(weak.rows) if weak is not None else None
    forbidden = {frozenset(t.concepts) for t in triples if t.split in (Split.DEV, Split.TEST)}
    drawn = model.sample(settings.concept_sets, settings.concepts, settings.temperature, seed, forbidden=forbidden, weights=weights)
    levels = sample_levels(settings.levels or [t.level for t in train], len(drawn), seed)
    domain = train[0].domain if train else "math"
    rows = [_concept_set(n, domain, *given) for n, given in enumerate(zip(drawn, levels, strict=True))]
    facts = settings.model_dump(mode="json", include={"concept_sets", "concepts", "temperature", "levels"})
    inputs = {"triples": digest, "embedder": embedder_digest} | ({"weakness": weak.digest} if weak is not None else {})
    spec = StepSpec("synthesize/concept_sets", ConceptSet, SCHEMA, {**facts, "seed": seed}, inputs)
    return place.rows(spec, rows, partial(each, make=lambda row: [row]), shard_rows=10_000)


def _training(triples: Sequence[Triple]) -> list[Triple]:
    return [t for t in triples if t.split in (Split.TRAIN, "")]


def _digest(rows: Sequence[ConceptRate]) -> str:
    return hashlib.sha256("\n".join(map(to_json, rows)).encode()).hexdigest()[:32]


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
    direct: bool = False,
) -> Table[Problem]:
    """Sample `passes` completions of p per concept set and parse them; what does not parse is dropped with its text.

    `direct`: an instruct model is asked for a problem in its chat template, and its reply is the problem."""
    settings: dict[str, object] = {"sample": sample.model_dump(), "passes": passes, "seed": seed, "with_rationale": with_rationale}
    if direct:
        settings["direct"] = True
    spec = StepSpec(name, Problem, SCHEMA, settings, {"generator": generator.digest, "concept_sets": digest})
    sampling = Sampling(sample.temperature, sample.top_p, sample.max_tokens)

    def work(tasks: Iterator[Task[ConceptSet]]) -> Iterator[tuple[int, Rows]]:
        with generator.open(place.meter) as engine:
            segmenter = generator.segmenter(engine)

            def request(task: Task[ConceptSet]) -> SampleRequest:
                if direct:
                    asked = task.item.prompt or direct_prompt(task.item.domain, task.item.concepts, task.item.level)
                    return prompt_request(engine, task.item.id, asked, tuple(range(passes)), task.group)
                return SampleRequest(task.item.id, segmenter.generator_prefix(task.item), tuple(range(passes)), task.group)

            def rows(item: ConceptSet, reply: Sampled) -> Rows:
                return [to_problem(generator, item, c, with_rationale=with_rationale, direct=direct) for c in reply.completions]

            yield from ask(tasks, request, partial(engine.sample, sampling=sampling, seed=seed), rows)

    shard_rows = max(1, generator.engine.committed_rows // passes)
    return place.rows(spec, sets, work, shard_rows=shard_rows, journal=generator.served, fan=passes)


def to_problem(generator: Role, item: ConceptSet, c: Completion, *, with_rationale: bool = True, direct: bool = False) -> Problem | Dropped:
    """The problem in one completion of p, or the completion with the reason it has none."""
    parsed = unfinished(c.finish) or _parsed(generator, c.text, with_rationale=with_rationale, direct=direct)
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


def _parsed(generator: Role, text: str, *, with_rationale: bool, direct: bool) -> Generated | Drop:
    if not direct:
        return generator.template.parse_generated(text, with_rationale=with_rationale)
    problem = parse_direct(text)
    return problem if isinstance(problem, Drop) else Generated("", problem)
