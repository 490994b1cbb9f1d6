"""A few rows through the real engines, before anything is paid for: the exact text each model reads and learns, and what it answers.

Shown are the rendered segments of p and q with their bars (`|` where a segment begins, only segments count in the loss), the raw
completion and what was parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from promptcot.annotate import from_source
from promptcot.engines.conversation import prompt_ids
from promptcot.engines.protocol import Ids, Sampler, SampleRequest, Sampling, Tokens
from promptcot.outcomes import Drop
from promptcot.recipe import Recipe, Rule, Sample
from promptcot.records import ConceptSet, Triple
from promptcot.roles import Role, resolve
from promptcot.seeds import read_concept_sets, read_seeds, read_triples
from promptcot.templates import Generated
from promptcot.templates_direct import direct_prompt, parse_direct

BAR = " | "
"""Between the prefix and the scored segments; it is no part of the text."""

Row = TypeVar("Row", bound=Triple | ConceptSet)


@dataclass(frozen=True)
class Preview:
    """One row under one role. `trained` is the training text with its bars (empty without a rationale), `prefix` what the model reads,
    `completion` its raw answer, `parsed` the outcome in words, `tokens` (prefix, scored)."""

    role: str
    id: str
    prefix: str
    trained: str
    tokens: tuple[int, int]
    completion: str
    parsed: str


def preview_recipe(recipe: Recipe, n: int) -> Iterator[Preview]:
    """`n` triples under p and q, with the recipe's base weights; without any, `n` given concept sets under p."""
    triples = _triples(recipe)[:n]
    if "generator" in recipe.models:
        sets = read_concept_sets(recipe.inputs.concept_sets, domain=recipe.domain, seed=recipe.seed).rows
        asked = recipe.synthesize is not None and recipe.synthesize.prompt == "direct"
        yield from (_asked if asked else _generated)(recipe, resolve(recipe, "generator"), triples or sets[:n])
    if "posterior" in recipe.models and triples and _with_rationale(recipe):
        yield from _explained(recipe, resolve(recipe, "posterior"), triples)


def _with_rationale(recipe: Recipe) -> bool:
    return recipe.em is None or recipe.em.rule is not Rule.NO_RATIONALE


def _triples(recipe: Recipe) -> list[Triple]:
    if recipe.inputs.triples:
        return list(read_triples(recipe.inputs.triples, domain=recipe.domain, seed=recipe.seed).rows)
    found = read_seeds(recipe.inputs.seeds, domain=recipe.domain, seed=recipe.seed).rows
    return [from_source(seed) for seed in found if seed.concepts]


def _generated(recipe: Recipe, role: Role, rows: Sequence[Triple | ConceptSet]) -> Iterator[Preview]:
    sample, with_rationale = recipe.synthesize.sample if recipe.synthesize else Sample(), _with_rationale(recipe)
    with role.open() as engine:
        segmenter = role.segmenter(engine)

        def trained(row: Triple | ConceptSet) -> Tokens | None:
            if not isinstance(row, Triple) or (with_rationale and row.rationale is None):
                return None
            return segmenter.generator(row, segmenter.rationale(row.rationale) if with_rationale and row.rationale else None)

        def outcome(text: str) -> str:
            parsed = role.template.parse_generated(text, with_rationale=with_rationale)
            return f"problem: {parsed.problem}" if isinstance(parsed, Generated) else f"dropped: {parsed}"

        yield from _shown(role, engine, rows, segmenter.generator_prefix, trained, outcome, sample, recipe.seed)


def _asked(recipe: Recipe, role: Role, rows: Sequence[Triple | ConceptSet]) -> Iterator[Preview]:
    """What a model reads that is asked for problems in so many words, and what it answers."""
    assert recipe.synthesize is not None
    with role.open() as engine:

        def prefix(row: Triple | ConceptSet) -> Ids:
            return prompt_ids(engine.tokenizer, row.prompt or direct_prompt(row.domain, row.concepts, row.level), chat=True)

        def outcome(text: str) -> str:
            parsed = parse_direct(text)
            return f"dropped: {parsed}" if isinstance(parsed, Drop) else f"problem: {parsed}"

        yield from _shown(role, engine, rows, prefix, lambda row: None, outcome, recipe.synthesize.sample, recipe.seed)


def _explained(recipe: Recipe, role: Role, rows: Sequence[Triple]) -> Iterator[Preview]:
    with role.open() as engine:
        segmenter = role.segmenter(engine)

        def trained(row: Triple) -> Tokens | None:
            return segmenter.posterior(row, segmenter.rationale(row.rationale)) if row.rationale else None

        def outcome(text: str) -> str:
            parsed = role.template.parse_rationale(text)
            return f"dropped: {parsed}" if isinstance(parsed, Drop) else f"rationale: {parsed}"

        sample = recipe.em.sample if recipe.em else Sample()
        yield from _shown(role, engine, rows, segmenter.posterior_prefix, trained, outcome, sample, recipe.seed)


def _shown(
    role: Role,
    engine: Sampler,
    rows: Sequence[Row],
    prefix_of: Callable[[Row], Ids],
    trained: Callable[[Row], Tokens | None],
    outcome: Callable[[str], str],
    sample: Sample,
    seed: int,
) -> Iterator[Preview]:
    known = {row.id: row for row in rows}
    decode = engine.tokenizer.decode
    requests = [SampleRequest(row.id, prefix_of(row)) for row in rows]
    for reply in engine.sample(requests, Sampling(sample.temperature, sample.top_p, sample.max_tokens), seed):
        row, completion = known[reply.id], reply.completions[0]
        tokens = trained(row)
        yield Preview(
            role=role.name,
            id=row.id,
            prefix=decode(prefix_of(row)),
            trained=BAR.join([decode(tokens.prefix), *map(decode, tokens.segments)]) if tokens else "",
            tokens=(len(prefix_of(row)), sum(map(len, tokens.segments)) if tokens else 0),
            completion=completion.text,
            parsed=f"{outcome(completion.text)} ({completion.finish}, {completion.tokens} tokens, log p {completion.log_p:.1f})",
        )
