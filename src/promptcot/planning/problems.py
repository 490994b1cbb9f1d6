"""Which problems go on to their labels, to self-play and to a teacher: how many of each domain, and how long they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from promptcot import models
from promptcot.engines.tokenizing import open_tokenizer
from promptcot.errors import MissingHere
from promptcot.planning.corpus import Corpus, Rows, all_here, has_tokenizer, rows_in
from promptcot.planning.figures import ZERO, Figures, Range
from promptcot.recipe import Recipe
from promptcot.records import Problem
from promptcot.seeds import read_problems


@dataclass(frozen=True, slots=True)
class Asked:
    """Problems of one domain that a model is asked about: how many, their mean tokens, and those of the longest (0: unknown)."""

    problems: Range = ZERO
    tokens: Range = ZERO
    longest: int = 0

    def share(self, share: Range) -> Asked:
        """Some of them."""
        return Asked(self.problems * share, self.tokens, self.longest)

    def __add__(self, other: Asked) -> Asked:
        """Both; the mean is that of their middle numbers."""
        if not (self.problems.high and other.problems.high):
            return self if self.problems.high else other
        total = (self.problems.mid + other.problems.mid) or 1.0
        tokens = self.tokens * (self.problems.mid / total) + other.tokens * (other.problems.mid / total)
        longest = max(self.longest, other.longest) if self.longest and other.longest else 0
        return Asked(self.problems + other.problems, tokens, longest)


@dataclass(frozen=True, slots=True)
class Found:
    """What a stage works on, and in words how that is known."""

    math: Asked = Asked()
    code: Asked = Asked()
    basis: str = ""

    @property
    def all(self) -> Asked:
        """Of both domains."""
        return self.math + self.code


def problems_of(
    recipe: Recipe, corpus: Corpus, figures: Figures, rows: Rows | None, *, role: str, most: int | None = None, what: str
) -> Found:
    """The problems that pass the screens, at most so many; those that a run has kept (`rows`) in place of an estimate. `role` is the
    model that reads them, `what` the word for them in the basis."""
    if rows is not None and rows.kept is not None:
        return _read(recipe, role, most, rows.kept, Range.exact(1.0), figures, f"{what}: {{}} kept")
    share, given = figures["kept_share"] if recipe.screen else Range.exact(1.0), recipe.inputs.problems
    if all_here(given):
        here = read_problems(given, domain=recipe.domain, seed=recipe.seed).rows
        how = f"{what}: {{}} read" + (", how many are kept assumed" if recipe.screen else "")
        return _read(recipe, role, most, here, share, figures, how)
    counts = {"math": ZERO, "code": ZERO}
    for number, one in enumerate(given):
        counts[one.domain or recipe.domain] += share * rows_in(one, f"inputs.problems.{number}")
    if not given and recipe.synthesize is not None:
        share = share if recipe.screen else figures["valid_share"]
        counts[recipe.domain] += share * (corpus.concept_sets * recipe.synthesize.passes)
    tokens = figures["problem_tokens"] if given or not corpus.lengths.problem.mid else corpus.lengths.problem
    found = at_most(Found(Asked(counts["math"], tokens), Asked(counts["code"], tokens)), most)
    return Found(found.math, found.code, f"{what}: their number and length assumed")


def at_most(found: Found, most: Range | int | None) -> Found:
    """Of both domains together so many at most, in the same proportion."""
    if most is None:
        return found
    total = found.math.problems + found.code.problems
    limit = most if isinstance(most, Range) else Range.exact(most)
    ends = zip((total.low, total.mid, total.high), (limit.low, limit.mid, limit.high), strict=True)
    shares = [min(1.0, bound / end) if end else 1.0 for end, bound in ends]
    part = Range(*shares)
    return Found(found.math.share(part), found.code.share(part), found.basis)


def _read(recipe: Recipe, role: str, most: int | None, problems: Sequence[Problem], share: Range, figures: Figures, basis: str) -> Found:
    """Problems that are here: the first by id, as the stages take them."""
    exact = share.low == share.high == 1.0
    taken = sorted(problems, key=lambda p: p.id)[:most] if exact else list(problems)
    parts = [[p.problem for p in taken if (p.domain == "code") is coded] for coded in (False, True)]
    math, code = (asked(recipe, role, texts, share * len(texts), figures) for texts in parts)
    return at_most(Found(math, code, basis.format(len(taken))), most)


def asked(recipe: Recipe, role: str, texts: Sequence[str], count: Range, figures: Figures) -> Asked:
    """Texts that are here, tokenized by the role's own tokenizer where that is here too."""
    if not texts:
        return Asked()
    spec = recipe.model(role)
    folder = models.at_hand(spec.path, spec.revision) if spec.path is not None else None
    if folder is not None and has_tokenizer(folder):
        try:
            encode = open_tokenizer(folder).encode
            lengths = [len(encode(text)) for text in texts]
            return Asked(count, Range.exact(fmean(lengths)), max(lengths))
        except (MissingHere, ValueError):  # a tokenizer of bare symbols knows no words
            pass
    return Asked(count, Range.exact(fmean(map(len, texts))) / figures["characters_per_token"])
