"""The stage that tries corpora: the same student fitted on each, so that their worth shows on a benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, model_validator

from promptcot.recipe.section import Fit, Strict

Same = Literal["epochs", "steps"]


class TrialCorpus(Strict):
    """A corpus to learn from."""

    name: str = Field(pattern=r"^[A-Za-z0-9_]+$")
    """What it is called; letters, digits and `_`."""
    path: str
    """A run folder (its traces, else its labeled problems), or a JSONL or parquet file: `prompt, reasoning, answer`, or `problem` with
    `solution` or `answer`."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """One student of a trial: fitted on the `share` of a corpus's tokens, for as many epochs or as many steps as the others, from a seed.

    `share` 1 is both at once."""

    corpus: str
    share: float
    same: Same
    seed: int

    @property
    def name(self) -> str:
        """`a-0`, or `a-25pc-steps-0` for a quarter of the tokens."""
        part = "" if self.share == 1 else f"{100 * self.share:g}pc-{self.same}-"
        return f"{self.corpus}-{part}{self.seed}"


class Trial(Fit):
    """Is a corpus worth it? The same student, fitted on equal tokens of each corpus and evaluated on the same held-out benchmarks."""

    corpora: list[TrialCorpus] = Field(min_length=1)
    """What is compared; the first is what the others are held against."""
    student: str = "student"
    """The role of `models` that is fitted."""
    seeds: list[int] = Field([0, 1, 2], min_length=1)
    """Each is a draw of the texts, in an order of its own, and a fit."""
    tokens: int | None = Field(None, gt=0)
    """Tokens of solutions that each corpus gives; null: all that the smallest has."""
    shares: list[float] = Field([1.0], min_length=1)
    """Parts of those tokens, for a curve: the smaller ones are contained in the larger ones of the same seed."""
    same: list[Same] = Field(["epochs"], min_length=1)
    """What smaller parts have in common with the whole: the number of `epochs`, or of optimizer `steps`."""

    @model_validator(mode="after")
    def _distinct(self) -> Trial:
        if len({corpus.name for corpus in self.corpora}) < len(self.corpora) or len(set(self.seeds)) < len(self.seeds):
            raise ValueError("two corpora share a name, or a seed is named twice")
        if not all(0 < share <= 1 for share in self.shares) or 1.0 not in self.shares or len(set(self.shares)) < len(self.shares):
            raise ValueError("`shares` are distinct, above 0, at most 1, and 1 is among them")
        return self

    @property
    def students(self) -> tuple[Fitted, ...]:
        """All that are fitted; `evaluate.models` knows them by name."""
        return tuple(self._of_each())

    def _of_each(self) -> Iterator[Fitted]:
        for corpus in self.corpora:
            for seed in self.seeds:
                for share in sorted(self.shares):
                    ways: Sequence[Same] = list(dict.fromkeys(self.same)) if share < 1 else ["epochs"]
                    for same in ways:
                        yield Fitted(corpus.name, share, same, seed)

    def fit(self, epochs: float | None = None) -> Fit:
        """How a student is fitted, for so many epochs."""
        settings = Fit(**self.model_dump(include=set(Fit.model_fields)))
        return settings if epochs is None else settings.model_copy(update={"epochs": epochs})
