"""What stops a run early: gates on its rows, budgets on what it uses; and the machine it is planned for."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from promptcot.recipe.section import Strict


class Gates(Strict):
    """Minima and maxima that stop a run early, with examples."""

    format_rate: float = Field(0.3, ge=0, le=1)
    """Least share of completions of p0 that parse, before EM."""
    copy_rate: float = Field(0.5, ge=0, le=1)
    """Largest share of p0's problems with a 13-word run of a training problem."""
    concept_coverage: float = Field(0.3, ge=0, le=1)
    """Least share of p0's problems that use one of their concepts."""
    length_ratio: float = Field(0.3, ge=0, le=1)
    """Least ratio of p0's median problem length to the seeds' (and most: one over it)."""
    probe: int = Field(16, gt=0)
    """How many completions the gates look at."""
    error_rate: float = Field(0.2, ge=0, le=1)
    """Largest share of an input's rows that cannot be read."""


class Limits(Strict):
    """How much of what may be used before nothing more is begun. What is absent has no limit."""

    tokens: float | None = Field(None, gt=0)
    """Tokens that models read, write and are trained on."""
    usd: float | None = Field(None, gt=0)
    """US dollars, by the prices in `engines`: an engine without prices costs nothing."""
    gpu_hours: float | None = Field(None, gt=0)
    """Hours times accelerators held by engines and fits of the run; those of servers at `urls` are not seen."""
    wall_hours: float | None = Field(None, gt=0)
    """Hours of work on steps, whatever they use."""


class StageLimits(Strict):
    """The same for single stages."""

    annotate: Limits = Limits()
    """Concepts and rationales."""
    cold_start: Limits = Limits()
    """The fits of p0 and q0, and the gates' probe."""
    em: Limits = Limits()
    """All rounds."""
    synthesize: Limits = Limits()
    """New problems."""
    screen: Limits = Limits()
    """Only hours: it runs no model."""
    label: Limits = Limits()
    """The voter's draws."""
    self_play: Limits = Limits()
    """The solver's attempts, and its fits."""
    refine: Limits = Limits()
    """The generator's fit."""
    distill: Limits = Limits()
    """The teacher's draws, and the student's fit."""
    trial: Limits = Limits()
    """The fits of its students."""
    evaluate: Limits = Limits()
    """Attempts at benchmarks."""
    analyze: Limits = Limits()
    """Attempts at corpora."""


class Budget(Limits):
    """How much the whole run may use, in all processes that worked on its folder. Where a limit is reached, no new shard and no fit
    is begun, what is in flight is committed, and the run stops with exit code 4. Raise the limit to go on: nothing is redone."""

    stages: StageLimits = StageLimits()
    """Limits for single stages, beside those of the run."""


class Planned(Strict):
    """What `promptcot plan` reckons with; nothing else reads it, and no result depends on it."""

    gpu: Literal["H100", "H200", "A100-80", "L40S", "CPU"] | None = None
    """The accelerator that the recipe is meant for. Default: what is here."""
    gpus: int = Field(1, gt=0)
    """How many of them the machine has."""
    figures: dict[str, float] = {}
    """Values in place of the plan's own, by the names that it prints: `rationale_tokens: 400`, `usd_per_gpu_hour: 2.5`."""
