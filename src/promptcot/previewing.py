"""A few rows through the real engines, before anything is paid for: the exact text each model reads and learns, and what it answers.

Shown are the rendered segments of p and q with their bars (`|` where a segment begins, only segments count in the loss), the raw
completion and what was parsed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from promptcot.engines.protocol import SampleRequest, Sampling, Tokens
from promptcot.outcomes import Drop
from promptcot.recipe import Recipe
from promptcot.records import Triple
from promptcot.roles import Role, resolve
from promptcot.seeds import read_seeds, read_triples
from promptcot.segments import Segmenter
from promptcot.templates import Generated


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
    """`n` training triples under p and q, with the recipe's base weights."""
    triples = _triples(recipe)[:n]
    for name in ("generator", "posterior"):
        if name in recipe.models:
            yield from _preview_role(recipe, resolve(recipe, name), triples)


def _triples(recipe: Recipe) -> list[Triple]:
    if recipe.inputs.triples:
        return list(read_triples(recipe.inputs.triples, domain=recipe.domain, seed=recipe.seed).rows)
    found = read_seeds(recipe.inputs.seeds, domain=recipe.domain, seed=recipe.seed).rows
    fields = ("id", "parents", "domain", "source", "license", "split", "family", "concepts", "rationale", "problem", "prompt")
    return [Triple(level=s.level or "unrated", **{f: getattr(s, f) for f in fields}) for s in found if s.concepts]


def _preview_role(recipe: Recipe, role: Role, triples: list[Triple]) -> Iterator[Preview]:
    stage = recipe.synthesize if role.name == "generator" else recipe.em
    sampling = Sampling(stage.sample.temperature, stage.sample.top_p, stage.sample.max_tokens) if stage else Sampling(max_tokens=64)
    with role.open() as engine:
        segmenter = role.segmenter(engine)
        known = {t.id: t for t in triples}
        prefix_of = segmenter.generator_prefix if role.name == "generator" else segmenter.posterior_prefix
        requests = [SampleRequest(t.id, prefix_of(t)) for t in triples]
        for reply in engine.sample(requests, sampling, recipe.seed):
            t, completion = known[reply.id], reply.completions[0]
            tokens = _trained(role, segmenter, t)
            if role.name == "generator":
                parsed = role.template.parse_generated(completion.text)
                outcome = f"problem: {parsed.problem}" if isinstance(parsed, Generated) else f"dropped: {parsed}"
            else:
                text = role.template.parse_rationale(completion.text)
                outcome = f"dropped: {text}" if isinstance(text, Drop) else f"rationale: {text}"
            decode = engine.tokenizer.decode
            yield Preview(
                role=role.name,
                id=t.id,
                prefix=decode(prefix_of(t)),
                trained=" | ".join([decode(tokens.prefix), *(decode(s) for s in tokens.segments)]) if tokens else "",
                tokens=(len(prefix_of(t)), sum(map(len, tokens.segments)) if tokens else 0),
                completion=completion.text,
                parsed=f"{outcome} ({completion.finish}, {completion.tokens} tokens, log p {completion.log_p:.1f})",
            )


def _trained(role: Role, segmenter: Segmenter, triple: Triple) -> Tokens | None:
    if triple.rationale is None:
        return None
    z = segmenter.rationale(triple.rationale)
    return segmenter.generator(triple, z) if role.name == "generator" else segmenter.posterior(triple, z)
