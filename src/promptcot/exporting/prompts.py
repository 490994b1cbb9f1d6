"""The texts that the models of a run read, as they are written: each template with its blanks named, in the order of the data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from promptcot.recipe import Recipe, Rule
from promptcot.stages import active
from promptcot.templates import TEMPLATES, Template
from promptcot.templates_annotation import concepts_prompt, rationale_prompt
from promptcot.templates_solving import solving_prompt
from promptcot.templates_tests import asked_of, generator_prompt, writer_prompt

PROBLEM, LEVEL = "{problem}", "{level}"
CONCEPTS = ("{concept 1}", "{concept 2}", "{...}")


def prompts(recipe: Recipe, domains: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What is asked, and the text, for every stage that asks a model something, and every domain."""
    for domain in domains:
        yield from ((f"{what} ({domain})", text) for what, text in _of_domain(recipe, domain))


def _of_domain(recipe: Recipe, domain: str) -> Iterator[tuple[str, str]]:
    stages = set(active(recipe))
    if recipe.annotate is not None and "annotate" in stages:
        yield "the annotator, for concepts", concepts_prompt(domain, PROBLEM, recipe.annotate.concepts)
        yield "the annotator, for a rationale", rationale_prompt(domain, PROBLEM, CONCEPTS, LEVEL)
    if {"cold_start", "em", "synthesize"} & stages:
        yield "the generator, for a rationale and a problem", _template(recipe, "generator").generator_prefix(domain, CONCEPTS, LEVEL)
    if {"cold_start", "em"} & stages and (recipe.em is None or recipe.em.rule is not Rule.NO_RATIONALE):
        yield "the posterior, for a rationale", _template(recipe, "posterior").posterior_prefix(domain, CONCEPTS, LEVEL, PROBLEM)
    if recipe.label is not None and "label" in stages and domain == "code":
        for kind, count in asked_of(recipe.label.code.tests):
            yield f"the writer of tests, {kind}", writer_prompt(PROBLEM, kind, count)
        if recipe.label.code.generators:
            yield "the writer of tests, for a program that prints inputs", generator_prompt(PROBLEM, recipe.label.code.seeds)
    if solvers := [stage for stage in ("label", "self_play", "distill") if stage in stages]:
        yield f"who solves a problem, in {', '.join(solvers)}", solving_prompt(domain, PROBLEM)


def _template(recipe: Recipe, role: str) -> Template:
    spec = recipe.models.get(role) or recipe.models["generator"]
    return TEMPLATES[spec.template]
