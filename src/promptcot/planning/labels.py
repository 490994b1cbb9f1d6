"""The work of the stage `label`: solutions that the voter draws, tests that the writer gives, programs that run. It follows `labels` and
`code_labels` step by step.

Math stops early: `agree` draws for every problem, and the rest only where it could still change the outcome. That share lies between
none and all, and is all where the first draws cannot decide anything.
"""

from __future__ import annotations

from collections.abc import Iterator

from promptcot.planning.corpus import Corpus, Rows
from promptcot.planning.figures import Figures, Range
from promptcot.planning.problems import Asked, Found, problems_of
from promptcot.planning.work import Kind, Step, Tokens, sent
from promptcot.recipe import Label, Recipe
from promptcot.stages import active
from promptcot.templates_tests import ROUNDS


def labeled_of(recipe: Recipe, corpus: Corpus, figures: Figures, rows: Rows | None = None) -> Found:
    """The problems that a recipe labels; those that a run has kept (`rows`) in place of an estimate."""
    settings = recipe.label
    if settings is None or "label" not in active(recipe):
        return Found()
    return problems_of(recipe, corpus, figures, rows, role=settings.voter, most=settings.rows, what="problems to label")


def label_steps(recipe: Recipe, labeled: Found, figures: Figures) -> Iterator[Step]:
    """The steps of the stage, in order: code first, as a run does it."""
    if recipe.label is None:
        return
    work = _Work(recipe, recipe.label, figures)
    if labeled.code.problems.high:
        yield work.written(labeled.code)
        yield work.drawn("label/solutions", labeled.code, figures["tested_share"], recipe.label.votes)
    if labeled.math.problems.high:
        yield work.drawn("label/first_draws", labeled.math, Range.exact(1.0), recipe.label.agree)
        if recipe.label.votes > recipe.label.agree:
            yield work.drawn("label/more_draws", labeled.math, work.open_still(), recipe.label.votes - recipe.label.agree)
    if labeled.code.problems.high:
        yield work.examined(labeled.code)


class _Work:
    def __init__(self, recipe: Recipe, settings: Label, figures: Figures) -> None:
        self.recipe, self.settings, self.figures = recipe, settings, figures

    def open_still(self) -> Range:
        """The share of problems that need the draws after the first `agree`; all do where those can neither win nor lose the vote."""
        ahead = self.settings.agree - (self.settings.votes - self.settings.agree)
        decides = ahead >= min(self.settings.margin, 2)
        return self.figures["open_share"] if decides else Range.exact(1.0)

    def drawn(self, name: str, asked: Asked, share: Range, draws: int) -> Step:
        """`draws` solutions of the voter for a share of the problems."""
        settings, problems = self.settings, asked.problems * share
        question = self.figures["solving_prompt_tokens"] + asked.tokens
        reply = self.figures["solution_tokens"].at_most(settings.sample.max_tokens)
        tokens = Tokens(read=problems * question * sent(self.recipe, settings.voter, draws), sampled=problems * reply * draws)
        longest = asked.longest and asked.longest + int(self.figures["solving_prompt_tokens"].mid) + settings.sample.max_tokens
        return Step(name, Kind.SAMPLE, settings.voter, settings.voter, tokens, problems * draws, longest, (question + reply).mid)

    def written(self, asked: Asked) -> Step:
        """A reply of the writer for each kind of test and each generator."""
        code = self.settings.code
        writer = code.writer or self.settings.voter
        rows = asked.problems * (min(code.tests, len(ROUNDS)) + code.generators)
        question = self.figures["tests_prompt_tokens"] + asked.tokens
        reply = self.figures["tests_reply_tokens"].at_most(code.sample.max_tokens)
        longest = asked.longest and asked.longest + int(self.figures["tests_prompt_tokens"].mid) + code.sample.max_tokens
        tokens = Tokens(read=rows * question, sampled=rows * reply)
        return Step("label/tests_written", Kind.SAMPLE, writer, writer, tokens, rows, longest, (question + reply).mid)

    def examined(self, asked: Asked) -> Step:
        """Runs of programs: generators, solutions on every input and on one again, the suite's examination (`verify.unittests`)."""
        settings, code = self.settings, self.settings.code
        inputs = code.tests + code.generators * code.seeds
        runs = self.figures["program_share"] * (settings.votes * (inputs + 1))
        runs += self.figures["mutant_tests"] * (code.bars.mutants * inputs)
        runs += Range.exact(code.generators * (code.seeds + 1) + 2 * inputs + 1)
        rows = asked.problems * self.figures["tested_share"] * runs
        return Step("label", Kind.RUN, settings.voter, "", Tokens(), rows, 0, 0.0)
