"""The work of a recipe, step by step as the stages do it: which model samples, scores or is fitted on how many tokens.

It follows `annotate`, `cold_start`, `gates`, `em`, `heldout` and `synthesis`, `planning.labels` the stage `label` and
`planning.post_training` self-play and distillation; a step that is added
there belongs here too, and the comparison of estimate and actual after each stage tells when one was forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from math import comb

from promptcot.heldout import CAP
from promptcot.planning.corpus import END, Corpus, Lengths
from promptcot.planning.figures import ZERO, Figures, Range
from promptcot.recipe import Em, Fit, Recipe, Rule, Sample

PROBE_VIEWS = 3
"""Scores of a dev problem in a round's probe: its own rationale, another's, another's concepts."""


class Kind(StrEnum):
    """What a model does in a step."""

    SAMPLE = "sample"
    SCORE = "score"
    FIT = "fit"
    RUN = "run"  # no model works: programs run in the sandbox


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of a step or stage. `read`: prompts before a completion; `sampled`: written; `scored`: sequences scored, prefixes included;
    `trained`: bearing loss, times epochs; `fitted`: the same texts with their prefixes, which is what passes through the model."""

    read: Range = ZERO
    sampled: Range = ZERO
    scored: Range = ZERO
    trained: Range = ZERO
    fitted: Range = ZERO

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            self.read + other.read,
            self.sampled + other.sampled,
            self.scored + other.scored,
            self.trained + other.trained,
            self.fitted + other.fitted,
        )


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a run by its name there: the `role` whose engine does it, the `weights` it needs (a server with others has to be started
    anew), its tokens and sequences (`rows`), the `longest` sequence that may come up (0: unknown; of a fit, the widest
    forward pass that one example makes) and the `mean` one, in tokens."""

    name: str
    kind: Kind
    role: str
    weights: str
    tokens: Tokens
    rows: Range
    longest: int
    mean: float
    here: bool = False
    """Whether the engine of the environment that trains does it, and not the role's own."""

    @property
    def stage(self) -> str:
        """The stage it belongs to."""
        return self.name.split("/")[0]


def steps(recipe: Recipe, corpus: Corpus, figures: Figures) -> list[Step]:
    """The steps of a recipe up to its problems, in order."""
    work = _Work(recipe, corpus, figures)
    return [*work.annotate(), *work.cold_start(), *work.em(), *work.synthesize()]


def sent(recipe: Recipe, role: str, draws: int) -> int:
    """How often a prompt is read for so many draws: transformers reads it once a batch, others with every draw."""
    engine = recipe.engines[recipe.model(role).engine]
    return -(-draws // engine.batch_rows) if engine.kind == "transformers" else draws


class _Work:
    """`part` is p or q (`generator`, `posterior`), which decides what a text is made of; a recipe may give both to one role."""

    def __init__(self, recipe: Recipe, corpus: Corpus, figures: Figures) -> None:
        self.recipe, self.corpus, self.figures = recipe, corpus, figures
        direct = recipe.synthesize is not None and recipe.synthesize.prompt == "direct"
        self.with_rationale = not direct and (recipe.em is None or recipe.em.rule is not Rule.NO_RATIONALE)
        self.shots = recipe.cold_start.shots if recipe.cold_start else 0
        self.lengths = corpus.lengths if self.with_rationale else replace(corpus.lengths, rationale=ZERO)

    def role(self, part: str) -> str:
        return part if part in self.recipe.models else "generator"

    # annotation

    def annotate(self) -> Iterator[Step]:
        settings = self.recipe.annotate
        if settings is None or not any(self.corpus.asked):
            return
        again = Range.exact(1.0)
        for turn in range(1, settings.retries + 1):
            share = self.figures["unusable_replies"]
            again += Range(share.low**turn, share.mid**turn, share.high**turn)
        question = self.figures["annotation_prompt_tokens"] + self.corpus.plain_problem
        replies = (self.figures["concepts_reply_tokens"], self.corpus.lengths.rationale)
        for annotator in settings.annotators:
            for asked, reply in zip(self.corpus.asked, replies, strict=True):
                rows = again * asked
                tokens = Tokens(read=rows * question, sampled=rows * reply.at_most(annotator.sample.max_tokens))
                mean = (question + reply.at_most(annotator.sample.max_tokens)).mid
                yield Step("annotate", Kind.SAMPLE, annotator.model, annotator.model, tokens, rows, 0, mean)

    # fits

    def cold_start(self) -> Iterator[Step]:
        r = self.recipe
        if r.cold_start is None:
            return
        r.model("generator")  # refuses a recipe without one
        rows = Range.exact(self.corpus.annotated if self.with_rationale else self.corpus.train)
        for part in ("generator", "posterior")[: 1 + self.with_rationale] if not self.shots else ():
            yield self._fit(f"cold_start/{part}", part, rows, self.lengths, r.cold_start)
        if r.models["generator"].template != "plain":
            probed = min(r.gates.probe, self.corpus.train)
            yield self._written("cold_start/probe", probed, 0, r.synthesize.sample.max_tokens if r.synthesize else Sample().max_tokens)

    def _fit(self, name: str, part: str, rows: Range, text: Lengths, settings: Fit) -> Step:
        """A fit of p or q on so many texts."""
        loss = text.rationale + (text.problem if part == "generator" else END)
        whole = text.generator if part == "generator" else text.posterior
        limit, passes = self.recipe.training.max_tokens, rows * settings.epochs
        tokens = Tokens(trained=passes * loss.at_most(limit), fitted=passes * whole.at_most(limit))
        return Step(name, Kind.FIT, self.role(part), name, tokens, rows, limit, whole.at_most(limit).mid)

    # EM

    def em(self) -> Iterator[Step]:
        em = self.recipe.em
        for number in range(1, em.rounds + 1) if em else ():
            assert em is not None
            yield from self._round(em, number)
            if self.corpus.dev:
                yield from self._judged(em, number)

    def _round(self, em: Em, number: int) -> Iterator[Step]:
        folder, train, before = f"em/{number}", Range.exact(self.corpus.train), number - 1
        if em.rule is Rule.NO_RATIONALE:
            yield self._refit(em, number, "generator", train)
            return
        if em.rule is not Rule.FIXED or number == 1:
            valid = train * em.candidates * self.figures["valid_share"]
            yield self._drawn(f"{folder}/draws", before, train, em.candidates, em.sample.max_tokens)
            yield self._scored(f"{folder}/log_q_check", "posterior", before, train.at_most(em.check))
            if self.recipe.engines[self.recipe.model(self.role("posterior")).engine].dtype != "fp32":
                yield self._scored(f"{folder}/log_q_scores", "posterior", before, valid * self.figures["rescored_share"])
            yield self._scored(f"{folder}/candidates", "generator", before, valid)
        picked = self._picked(em)
        if not (em.rule is Rule.FIXED or em.freeze_posterior):
            yield self._refit(em, number, "posterior", picked)
        if em.rule is Rule.PAPER:
            yield self._drawn(f"{folder}/greedy", number, train, 1, em.sample.max_tokens)
        yield self._refit(em, number, "generator", train if em.rule is Rule.PAPER else picked)

    def _picked(self, em: Em) -> Range:
        """Rationales that a fit sees: one a seed, or every usable one."""
        if em.data == "one" or em.rule in (Rule.FIXED, Rule.ARGMAX, Rule.PAPER):
            return Range.exact(self.corpus.train)
        return self.figures["valid_share"] * (self.corpus.train * em.candidates)

    def _refit(self, em: Em, number: int, part: str, rows: Range) -> Step:
        """A round's fit: on selected draws, and on annotated triples again where `replay` asks for them."""
        name, text = f"em/{number}/{part}", self.lengths
        if self.with_rationale:
            text = replace(text, rationale=self._draw(em.sample.max_tokens))
        own = self._fit(name, part, rows, text, em.fit)
        again = self._fit(name, part, (rows * em.fit.replay).at_most(self.corpus.annotated), self.lengths, em.fit)
        return replace(own, tokens=own.tokens + again.tokens, rows=own.rows + again.rows)

    def _judged(self, em: Em, number: int) -> Iterator[Step]:
        """The bound on dev, and the probe."""
        folder, dev, versions = f"em/{number}/bound", Range.exact(self.corpus.dev), {"best": number - 1, "new": number}
        if not self.with_rationale:
            for which, version in versions.items():
                yield self._scored(f"{folder}/log_p_{which}", "generator", version, dev)
            return
        posteriors = {"new": 0} if em.rule is Rule.FIXED or em.freeze_posterior else versions
        wanted = -(-max(em.bound.k) // len(posteriors))
        for which, version in posteriors.items():
            rows = dev * blocks(self.figures["valid_share"], wanted)
            yield self._drawn(f"{folder}/draws_{which}", version, rows, wanted, em.sample.max_tokens)
        for judge, version in enumerate(posteriors.values() if len(posteriors) > 1 else ()):
            yield self._scored(f"{folder}/log_q_{judge}", "posterior", version, dev * wanted)
        for which, version in versions.items():
            yield self._scored(f"{folder}/log_p_{which}", "generator", version, dev * (wanted * len(posteriors)))
        yield self._scored(f"em/{number}/probe/scores", "generator", number, dev * PROBE_VIEWS)

    def _draw(self, limit: int) -> Range:
        """Tokens of a rationale that q writes."""
        return (self.corpus.lengths.rationale * self.figures["draw_growth"]).at_most(limit)

    def _prefix(self, part: str, version: int) -> Range:
        """What p or q reads; with the examples in the prompt of a model without a cold start, until it is fitted."""
        shown = self.corpus.lengths.generator if part == "generator" else self.corpus.lengths.posterior
        prefix = self.lengths.condition if part == "generator" else self.lengths.question
        return prefix + shown * self.shots if version == 0 else prefix

    def _drawn(self, name: str, version: int, rows: Range, draws: int, limit: int) -> Step:
        """`draws` rationales of q for each of `rows`."""
        prefix, z = self._prefix("posterior", version), (self._draw(limit) + END).at_most(limit)
        tokens = Tokens(read=rows * prefix * sent(self.recipe, self.role("posterior"), draws), sampled=rows * draws * z)
        longest = self.corpus.longest_question and self.corpus.longest_question + limit
        weights = f"posterior:{version}"
        return Step(name, Kind.SAMPLE, self.role("posterior"), weights, tokens, rows * draws, longest, (prefix + z).mid)

    def _scored(self, name: str, part: str, version: int, rows: Range) -> Step:
        """`rows` sequences under p or q."""
        assert self.recipe.em is not None
        limit = self.recipe.em.sample.max_tokens
        z = self._draw(limit) if self.with_rationale else ZERO
        whole = self._prefix(part, version) + z + (self.lengths.problem if part == "generator" else END)
        longest = self.corpus.longest_question and self.corpus.longest_question + limit
        return Step(name, Kind.SCORE, self.role(part), f"{part}:{version}", Tokens(scored=rows * whole), rows, longest, whole.mid)

    # problems

    def synthesize(self) -> Iterator[Step]:
        r = self.recipe
        if r.synthesize is not None and not r.inputs.problems:
            version = r.em.rounds if r.em else 0
            yield self._written(
                "synthesize/problems", self.corpus.concept_sets, version, r.synthesize.sample.max_tokens, r.synthesize.passes
            )

    def _written(self, name: str, sets: int, version: int, cap: int, draws: int = 1) -> Step:
        """`draws` completions of p for each of `sets` concept sets."""
        growth = self.figures["draw_growth"] if self.corpus.exact else 1.0
        text = ((self.lengths.rationale + self.lengths.problem) * growth).at_most(cap)
        prefix = self._prefix("generator", version)
        rows = Range.exact(sets * draws)
        tokens = Tokens(read=prefix * sets * sent(self.recipe, "generator", draws), sampled=text * rows)
        longest = self.corpus.longest_condition and self.corpus.longest_condition + cap
        weights = f"generator:{version}"
        return Step(name, Kind.SAMPLE, "generator", weights, tokens, rows, longest, (prefix + text).mid)


def blocks(valid: Range, wanted: int) -> Range:
    """How many blocks of `wanted` draws it takes, on average, until so many are valid: fewest at the highest share of valid ones."""
    shares = (valid.high, valid.mid, valid.low)
    return Range(*(1 + sum(_short(share, wanted, block * wanted) for block in range(1, CAP)) for share in shares))


def _short(share: float, wanted: int, draws: int) -> float:
    """The probability that fewer than `wanted` of `draws` are valid."""
    return sum(comb(draws, n) * share**n * (1 - share) ** (draws - n) for n in range(wanted))
