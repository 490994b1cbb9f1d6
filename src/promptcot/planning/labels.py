"""The work of the stage `label`: solutions that the voter draws, tests that the writer gives, programs that run. It follows `labels` and
`code_labels` step by step.

Math stops early: `agree` draws for every problem, and the rest only where it could still change the outcome. That share lies between
none and all, and is all where the first draws cannot decide anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from promptcot import models
from promptcot.engines.tokenizing import open_tokenizer
from promptcot.errors import MissingHere
from promptcot.labeling import chosen
from promptcot.planning.corpus import Corpus, Rows, all_here, has_tokenizer, rows_in
from promptcot.planning.figures import ZERO, Figures, Range
from promptcot.planning.work import Kind, Step, Tokens, sent
from promptcot.recipe import Label, Recipe
from promptcot.records import Problem
from promptcot.seeds import read_problems
from promptcot.stages import active
from promptcot.templates_tests import ROUNDS


@dataclass(frozen=True, slots=True)
class Asked:
    """Problems of one domain that are labeled: how many, their mean tokens, and those of the longest (0: unknown)."""

    problems: Range = ZERO
    tokens: Range = ZERO
    longest: int = 0


@dataclass(frozen=True, slots=True)
class Labeled:
    """What the stage works on, and in words how that is known."""

    math: Asked = Asked()
    code: Asked = Asked()
    basis: str = ""


def labeled_of(recipe: Recipe, corpus: Corpus, figures: Figures, rows: Rows | None = None) -> Labeled:
    """The problems that a recipe labels; those that a run has kept (`rows`) in place of an estimate."""
    settings = recipe.label
    if settings is None or "label" not in active(recipe):
        return Labeled()
    if rows is not None and rows.kept is not None:
        return _read(recipe, settings, rows.kept, Range.exact(1.0), figures, "kept")
    share, given = figures["kept_share"] if recipe.screen else Range.exact(1.0), recipe.inputs.problems
    if all_here(given):
        found = read_problems(given, domain=recipe.domain, seed=recipe.seed).rows
        return _read(recipe, settings, found, share, figures, "read" + (", how many are kept assumed" if recipe.screen else ""))
    counts = {"math": ZERO, "code": ZERO}
    for number, one in enumerate(given):
        counts[one.domain or recipe.domain] += share * rows_in(one, f"inputs.problems.{number}")
    if not given and recipe.synthesize is not None:
        share = share if recipe.screen else figures["valid_share"]
        counts[recipe.domain] += share * (corpus.concept_sets * recipe.synthesize.passes)
    tokens = figures["problem_tokens"] if given or not corpus.lengths.problem.mid else corpus.lengths.problem
    math, code = _at_most(counts["math"], counts["code"], settings.rows)
    return Labeled(Asked(math, tokens), Asked(code, tokens), "problems to label: their number and length assumed")


def _at_most(math: Range, code: Range, most: int | None) -> tuple[Range, Range]:
    """Of both together so many at most, in the same proportion."""
    if most is None:
        return math, code
    total = math + code
    shares = [min(1.0, most / end) if end else 1.0 for end in (total.low, total.mid, total.high)]
    return math * Range(*shares), code * Range(*shares)


def _read(recipe: Recipe, settings: Label, problems: Sequence[Problem], share: Range, figures: Figures, how: str) -> Labeled:
    """Problems that are here, tokenized by the voter's own tokenizer where it is here too."""
    taken = chosen(problems, settings) if share.low == share.high == 1.0 else list(problems)
    parts = [[p.problem for p in taken if (p.domain == "code") is coded] for coded in (False, True)]
    counts = _at_most(share * len(parts[0]), share * len(parts[1]), settings.rows)
    asked = [_asked(recipe, settings.voter, texts, count, figures) for texts, count in zip(parts, counts, strict=True)]
    return Labeled(asked[0], asked[1], f"problems to label: {len(taken)} {how}")


def _asked(recipe: Recipe, voter: str, texts: Sequence[str], count: Range, figures: Figures) -> Asked:
    if not texts:
        return Asked()
    spec = recipe.model(voter)
    folder = models.at_hand(spec.path, spec.revision) if spec.path is not None else None
    if folder is not None and has_tokenizer(folder):
        try:
            encode = open_tokenizer(folder).encode
            lengths = [len(encode(text)) for text in texts]
            return Asked(count, Range.exact(fmean(lengths)), max(lengths))
        except (MissingHere, ValueError):  # a tokenizer of bare symbols knows no words
            pass
    return Asked(count, Range.exact(fmean(map(len, texts))) / figures["characters_per_token"])


def label_steps(recipe: Recipe, labeled: Labeled, figures: Figures) -> Iterator[Step]:
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
