"""What every section of the recipe is: frozen, with no key that nobody reads; and the settings that several stages share."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """A section of the recipe: frozen, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Sample(Strict):
    """How a stage samples."""

    temperature: float = Field(1.0, ge=0)
    """Softmax temperature; 0 is greedy."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus."""
    max_tokens: int = Field(256, gt=0)
    """Longest completion."""


class Fit(Strict):
    """How a stage fits weights."""

    epochs: float = Field(1.0, gt=0)
    """Passes over the examples."""
    lr: float = Field(2e-5, gt=0)
    """Peak learning rate of AdamW."""
    batch: int = Field(16, gt=0)
    """Examples per optimizer step, over all devices."""
    warmup: float = Field(0.1, ge=0, le=1)
    """Share of the steps that ramp up."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """What the learning rate does after."""
    weight_decay: float = Field(0.0, ge=0)
    """Decoupled weight decay."""
    replay: float = Field(0.0, ge=0)
    """EM and `refine` only: annotated triples added to each fit, as a share of the selected ones."""
