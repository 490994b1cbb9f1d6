"""The work of the stage `evaluate`: attempts at every benchmark by every model. Grading is not counted: of answers it is nearly free.

A file or a procedural task that is here is read; of a named benchmark the catalog knows the number of questions, and their length is
assumed. With `tries` a question takes one attempt at least and all at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean

from promptcot.evaluation import benchmarks
from promptcot.evaluation.stage import settled
from promptcot.outside import locate
from promptcot.planning.figures import Figures, Range
from promptcot.planning.work import Kind, Step, Tokens, sent
from promptcot.recipe import SELF_PLAYED, BenchmarkSpec, Evaluate, Recipe
from promptcot.stages import DISTILLED


def evaluate_steps(recipe: Recipe, figures: Figures) -> Iterator[Step]:
    """A step for every benchmark and model. Raises `UsageError` for a benchmark that is none, or cannot be read."""
    if recipe.evaluate is None:
        return
    for spec in (settled(spec, recipe.evaluate) for spec in recipe.evaluate.benchmarks):
        questions, tokens = _questions(recipe, spec, figures)
        for model in recipe.evaluate.models:
            yield _attempts(recipe, recipe.evaluate, spec, model, questions, tokens, figures)


def _questions(recipe: Recipe, spec: BenchmarkSpec, figures: Figures) -> tuple[int, Range]:
    """How many there are, and the tokens of one."""
    size = benchmarks.sizes().get(spec.name)
    if size is not None and not locate(spec.name).is_file():
        return min(size, spec.rows or size), figures["question_tokens"]
    found = benchmarks.load(spec.name, rows=spec.rows, window=spec.window, seed=recipe.seed, domain=recipe.domain).questions
    return len(found), Range.exact(fmean(len(q.problem) for q in found)) / figures["characters_per_token"]


def _attempts(recipe: Recipe, settings: Evaluate, spec: BenchmarkSpec, model: str, questions: int, asked: Range, figures: Figures) -> Step:
    samples = spec.samples or 1
    draws = Range(1.0, (1 + samples) / 2, float(samples)) if spec.tries else Range.exact(samples)
    role, question = _role(recipe, model), figures["solving_prompt_tokens"] + asked
    reply = figures["solution_tokens"].at_most(settings.sample.max_tokens)
    read = question * questions * sent(recipe, role, 1 if spec.tries else samples)
    tokens = Tokens(read=read * (draws if spec.tries else 1.0), sampled=reply * draws * questions)
    return Step(f"evaluate/{spec.name}/{model}", Kind.SAMPLE, role, model, tokens, draws * questions, 0, (question + reply).mid)


def _role(recipe: Recipe, model: str) -> str:
    """The role whose shape and engine a model has: that of the one it was fitted from."""
    if model == SELF_PLAYED and recipe.self_play is not None:
        return recipe.self_play.solver
    if model == DISTILLED and recipe.distill is not None and recipe.distill.student is not None:
        return recipe.distill.student
    return model
