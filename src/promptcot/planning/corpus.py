"""What a recipe's models will read, as counts and token lengths: exact from the rows and the tokenizer where both are here.

Where the tokenizer is not here, lengths are the rows' characters over a figure; where the rows are not here, counts are the inputs'
`rows` and lengths are figures. Nothing is downloaded for a plan.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from promptcot import models
from promptcot.annotate import from_source
from promptcot.engines.protocol import Ids
from promptcot.engines.tokenizing import open_tokenizer
from promptcot.errors import MissingHere, UsageError
from promptcot.outcomes import Split
from promptcot.outside import locate
from promptcot.planning.figures import ZERO, Figures, Range
from promptcot.recipe import Input, Recipe, Rule
from promptcot.records import ConceptSet, Pair, Problem, Question, Seed, Trace, Triple
from promptcot.seeds import read_concept_sets, read_seeds, read_triples
from promptcot.segments import Segmenter
from promptcot.templates import TEMPLATES
from promptcot.triples import held_out

SPLITS = (0.6, 0.2, 0.2)
"""Shares of train, dev and test where rows are not placed by their input."""
NO_ROWS = "no rows"
"""The basis of a corpus without seeds, triples and concept sets."""


END = Range.exact(1.0)
"""The end of sequence, which closes what q writes; x has its own among its tokens."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Mean tokens of a text's parts: what p reads (`condition`), z with its tags, x with tags and terminator, what q reads."""

    condition: Range
    rationale: Range
    problem: Range
    question: Range

    @property
    def generator(self) -> Range:
        """p's whole sequence."""
        return self.condition + self.rationale + self.problem

    @property
    def posterior(self) -> Range:
        """q's whole sequence."""
        return self.question + self.rationale + END


@dataclass(frozen=True, slots=True)
class Corpus:
    """The rows that stages work on. `train`, `annotated` (train, with a rationale), `dev` (of the bound) and `concept_sets` are counts;
    `asked` are those of seeds an annotator is asked for concepts, and for a rationale. `longest_question` is the longest prefix of q known,
    `too_long` how many training texts exceed `training.max_tokens`. `basis` says in words how exact all that is."""

    lengths: Lengths
    train: int
    annotated: int
    dev: int
    concept_sets: int
    asked: tuple[int, int]
    basis: str
    exact: bool = False
    longest_condition: int = 0
    longest_question: int = 0
    too_long: int = 0
    plain_problem: Range = ZERO


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that are here: seeds to be annotated, or triples where that is done or not needed; concept sets given; the problems that go on
    to their labels, the questions of self-play, and pairs or traces given: None while they are not made."""

    seeds: Sequence[Seed] = ()
    triples: Sequence[Triple] = ()
    concept_sets: Sequence[ConceptSet] = ()
    kept: Sequence[Problem] | None = None
    questions: Sequence[Question] | None = None
    pairs: Sequence[Pair] | None = None
    traces: Sequence[Trace] | None = None


def corpus_of(recipe: Recipe, figures: Figures, rows: Rows | None = None) -> Corpus:
    """The corpus of a recipe; `rows` from a run in place of its inputs. Raises `UsageError` for an input that can neither be read nor
    counted."""
    given, sets = recipe.inputs.concept_sets, recipe.synthesize.concept_sets if recipe.synthesize else 0
    if given:
        sets = 0 if rows is not None or all_here(given) else _count(given, "concept_sets")
    rows = rows or read(recipe)
    sets = sets or len(rows.concept_sets)
    if rows.triples or rows.seeds:
        return replace(_measured(recipe, figures, rows), concept_sets=sets)
    if rows.concept_sets:
        segmenter = _segmenter(recipe)
        condition, exact = _mean(segmenter, Segmenter.generator_prefix, rows.concept_sets, _words_of_conditions, figures)
        lengths = replace(_assumed(figures), condition=condition)
        return Corpus(
            lengths, 0, 0, 0, sets, (0, 0), "concept sets read; lengths of what is written assumed", longest_condition=max(exact, default=0)
        )
    return replace(_counted(recipe, figures), concept_sets=sets)


def read(recipe: Recipe) -> Rows:
    """The rows of the inputs that are here."""
    given, domain, seed = recipe.inputs, recipe.domain, recipe.seed
    sets = read_concept_sets(given.concept_sets, domain=domain, seed=seed).rows if all_here(given.concept_sets) else ()
    if given.triples:
        return Rows((), read_triples(given.triples, domain=domain, seed=seed).rows if all_here(given.triples) else (), sets)
    seeds = read_seeds(given.seeds, domain=domain, seed=seed).rows if all_here(given.seeds) else ()
    if recipe.annotate is not None:
        return Rows(seeds, (), sets)
    return Rows((), [from_source(row) for row in seeds if row.concepts], sets)


def all_here(inputs: Sequence[Input]) -> bool:
    """Whether there are inputs and all of them can be read without a network."""
    return bool(inputs) and all(map(_is_here, inputs))


def _is_here(given: Input) -> bool:
    """Whether an input can be read without a network."""
    scheme = given.path.partition(":")[0]
    packages = {"champ": "champ_dataset", "reasoning-gym": "reasoning_gym"}
    if scheme in packages:
        return importlib.util.find_spec(packages[scheme]) is not None
    return scheme == "builtin" or (scheme != "hf" and locate(given.path).exists())


# counts and figures


def _count(inputs: Sequence[Input], kind: str) -> int:
    return sum(rows_in(given, f"inputs.{kind}.{n}") for n, given in enumerate(inputs))


def rows_in(given: Input, key: str) -> int:
    """The rows that a recipe says an input has. Raises `UsageError` where it does not."""
    if given.rows is None:
        raise UsageError(
            f"`{given.path}` is not here, and the recipe does not say how many rows it has",
            where=key,
            remedy=f"put it below --data, or tell the plan: --set {key}.rows=N",
        )
    return given.rows


def _assumed(figures: Figures) -> Lengths:
    condition, problem = figures["condition_tokens"], figures["problem_tokens"]
    return Lengths(condition, figures["rationale_tokens"], problem, condition + problem)


def _counted(recipe: Recipe, figures: Figures) -> Corpus:
    kind = "triples" if recipe.inputs.triples else "seeds"
    inputs: Sequence[Input] = getattr(recipe.inputs, kind)
    train = annotated = dev = 0
    for n, given in enumerate(inputs):
        rows = rows_in(given, f"inputs.{kind}.{n}")
        shares = SPLITS if given.split not in list(Split) else tuple(float(given.split == split) for split in Split)
        train += round(rows * shares[0])
        dev += round(rows * shares[1])
        annotated += round(rows * shares[0] * (1.0 if recipe.annotate else given.rationales))
    total = _count(inputs, kind)
    asked = (total, total) if recipe.annotate and kind == "seeds" else (0, 0)
    lengths = _assumed(figures)
    basis = "rows counted by the recipe, lengths assumed" if inputs else NO_ROWS
    dev = min(dev, recipe.em.bound.seeds if recipe.em else 0)
    return Corpus(lengths, train, annotated, dev, 0, asked, basis, plain_problem=lengths.problem)


# rows


def _segmenter(recipe: Recipe) -> Segmenter | None:
    """The generator's own tokenizer and template, where they are here."""
    spec = recipe.model("generator") if "generator" in recipe.models else None
    folder = models.at_hand(spec.path, spec.revision) if spec is not None and spec.path is not None else None
    if spec is None or folder is None or not has_tokenizer(folder):
        return None
    try:
        return Segmenter(open_tokenizer(folder), TEMPLATES[spec.template])
    except MissingHere:
        return None


def has_tokenizer(folder: Path) -> bool:
    """Whether a model's folder holds one."""
    return any(any(folder.glob(pattern)) for pattern in ("tokenizer*", "tabular.json", "script.json"))


def _measured(recipe: Recipe, figures: Figures, rows: Rows) -> Corpus:
    given: Sequence[Any] = rows.triples or rows.seeds
    train = [row for row in given if row.split == Split.TRAIN] or list(given)
    segmenter = _segmenter(recipe)
    anew = bool(rows.seeds) and recipe.annotate is not None and recipe.annotate.redo
    complete = [] if anew else [row for row in train if row.rationale]
    conditioned = [] if anew else [row for row in train if row.concepts or row.prompt]
    problem, _ = _mean(segmenter, lambda s, row: s.problem(row.problem), train, lambda row: row.problem, figures)
    rationale, _ = _mean(segmenter, lambda s, row: s.rationale(row.rationale), complete, lambda row: row.rationale, figures)
    condition, conditions = _mean(segmenter, Segmenter.generator_prefix, conditioned, _words_of_conditions, figures)
    question, questions = _mean(segmenter, Segmenter.posterior_prefix, conditioned, _words_of_question, figures)
    if not complete:
        rationale = figures["rationale_tokens"]
    if not conditioned:
        condition = figures["condition_tokens"]
        question = condition + problem
    exact = segmenter is not None and len(complete) > 0 and len(conditioned) > 0
    how = "tokenized" if exact else "what is not written yet assumed" if segmenter else "lengths by characters: the tokenizer is not here"
    wanted = recipe.em.bound.seeds if recipe.em else 0
    dev = len(held_out(rows.triples, "", wanted, recipe.seed).rows) if rows.triples else sum(r.split == Split.DEV for r in given)
    return Corpus(
        lengths=Lengths(condition, rationale, problem, question),
        train=len(train),
        annotated=len(train) if rows.seeds else len(complete),
        dev=min(dev, wanted),
        concept_sets=0,
        asked=_asked(recipe, rows),
        basis=f"{len(given)} rows read, {how}",
        exact=exact,
        longest_condition=max(conditions, default=0),
        longest_question=max(questions, default=0),
        too_long=_too_long(recipe, segmenter, complete),
        plain_problem=problem,
    )


def _asked(recipe: Recipe, rows: Rows) -> tuple[int, int]:
    if recipe.annotate is None or rows.triples:
        return 0, 0
    redo = recipe.annotate.redo
    return sum(redo or not s.concepts for s in rows.seeds), sum(redo or not s.rationale for s in rows.seeds)


def _too_long(recipe: Recipe, segmenter: Segmenter | None, complete: Sequence[Any]) -> int:
    if segmenter is None or (recipe.em is not None and recipe.em.rule is Rule.NO_RATIONALE):
        return 0
    return sum(len(segmenter.generator(row, segmenter.rationale(row.rationale))) > recipe.training.max_tokens for row in complete)


def _words_of_conditions(row: Any) -> str:
    return row.prompt or f"{'-' * 110} {' '.join(row.concepts)} {row.level}"  # about as long as instruction and headings


def _words_of_question(row: Any) -> str:
    return f"{_words_of_conditions(row)} {row.problem}"


def _mean(
    segmenter: Segmenter | None,
    encode: Callable[[Segmenter, Any], Ids],
    rows: Sequence[Any],
    text: Callable[[Any], str],
    figures: Figures,
) -> tuple[Range, list[int]]:
    """Mean tokens over rows, and each row's where a tokenizer says."""
    if not rows:
        return ZERO, []
    if segmenter is not None:
        lengths = [len(encode(segmenter, row)) for row in rows]
        return Range.exact(fmean(lengths)), lengths
    return Range.exact(fmean(len(text(row)) for row in rows)) / figures["characters_per_token"], []
