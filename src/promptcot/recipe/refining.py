"""What goes back from solving to writing: concepts that a solver is weak at, and the generator fitted on its own best problems."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from promptcot.recipe.section import Fit, Strict


class Weakness(Strict):
    """Concepts that a solver fails more often are drawn more often for new problems."""

    rates: str
    """Who failed at what: an earlier run's folder with self-play (its last round is taken), or a JSONL file of rows
    `{"concepts": [...], "solved": 3, "counted": 8}`, a row a question."""
    strength: float = Field(1.0, ge=0)
    """A concept's probability is multiplied by (its failure rate, shrunk, over the mean one) to this power; 0: not at all."""
    floor: float = Field(0.25, gt=0, le=1)
    """But by no less than this, so that no concept vanishes."""


class Floor(Strict):
    """How diverse the problems must be that the generator is fitted on."""

    repeated: float = Field(0.1, ge=0, le=1)
    """Largest share of problems that repeat another one among them."""
    similar: float = Field(0.4, gt=0, le=1)
    """Word-5-gram Jaccard from which one problem repeats another; lower than what `screen` calls a duplicate."""
    distinct: float = Field(0.7, ge=0)
    """Least share of distinct word pairs, over that of equally many annotated human problems; without any, of those that pass
    the screens."""
    pairs: float = Field(0.7, ge=0)
    """Least share of distinct concept pairs, over that of equally many of the concept sets that problems were asked for."""
    below: Literal["rebalance", "refuse"] = "rebalance"
    """What happens below the floor: repeated problems and those of the most frequent concept pairs are left out, as few as it takes
    and each counted; or the run stops. It also stops where leaving out does not help."""


class Refine(Fit):
    """Fit the generator on its own problems that were screened, labeled and in self-play's band, for the next run."""

    lr: float = Field(2e-6, gt=0)
    """Peak learning rate of AdamW; the paper's for its rounds of EM, it does not refine."""
    replay: float = Field(0.25, ge=0)
    """Annotated human triples added to the fit, as a share of the chosen problems."""
    weigh: Literal["none", "learnability"] = "none"
    """The weight of a problem: 1, or p (1 - p), where p is the share of right attempts at it."""
    floor: Floor = Floor()
    """How diverse they must be."""

    @property
    def fit(self) -> Fit:
        """How the generator is fitted."""
        return Fit(**self.model_dump(include=set(Fit.model_fields)))
