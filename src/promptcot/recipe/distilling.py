"""The stage that distills: traces of a teacher, and a student fitted on them."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from promptcot.recipe.section import Fit, Sample


class Form(StrEnum):
    """What a trace must have to be kept."""

    BOXED = "boxed"  # a boxed answer; a closed code block for programs
    ANSWER = "answer"  # the same, or an answer behind `Final answer:` or the like
    ANY = "any"  # nothing


class Distill(Fit):
    """Solutions of a teacher for the run's problems, and a student fitted on those that are well formed (PromptCoT 2.0, section 6)."""

    lr: float = Field(8e-5, gt=0)
    """Peak learning rate of AdamW; the paper's, with batches of 1,024."""
    teacher: str = "teacher"
    """The role of `models` that solves the problems."""
    student: str | None = "student"
    """The role of `models` that is fitted; null: traces alone. Its weights are then the model `distilled` of `evaluate.models`."""
    traces: int = Field(1, gt=0)
    """Solutions drawn a problem."""
    verify: bool = False
    """Keep only solutions that the problem's label calls correct. The paper does not look; without it, labels are not needed."""
    form: Form = Form.BOXED
    """What a trace must have."""
    sample: Sample = Sample(temperature=1.0, max_tokens=4096)
    """How the teacher samples; the paper's temperature, but up to 16,384 tokens."""
    chat: bool = True
    """Use the teacher's chat template. The student's is always used."""
    rows: int | None = Field(None, gt=0)
    """At most so many problems, the first ones by id."""
    cpu_s: float = Field(10.0, gt=0)
    """`verify`: seconds of CPU for a program on a test; time by the clock may be ten times as much, so that load changes no verdict."""
    memory_mb: int = Field(1024, ge=16)
    """`verify`: MiB of memory for a program on a test."""
    runner: str | None = None
    """`verify`: address of a server that runs programs (SandboxFusion) instead of this machine."""

    @property
    def fallback(self) -> Literal["none", "marked"]:
        """What stands for an answer that is not boxed."""
        return "none" if self.form is Form.BOXED else "marked"

    @property
    def fit(self) -> Fit:
        """How the student is fitted."""
        return Fit(**self.model_dump(include=set(Fit.model_fields)))
