"""Budgets: how much a run may use before it begins no further shard and no fit.

    recipe `budget:` + what the run folder has used, by stage  ->  Spending.exceeded  ->  `Stopped` (exit code 4)

What counts is what was used for the run folder in all processes, for results that were replaced and work that was lost, too. A limit is
looked at between shards, so a run ends above it by what was in flight. Running again without a higher limit stops before any work.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from promptcot.errors import Stopped
from promptcot.metering import by_stage, spent
from promptcot.recipe import Budget, Limits
from promptcot.store import Run
from promptcot.usage import Usage, total

HOUR = 3600.0


def measured(usage: Usage) -> dict[str, float]:
    """A usage in the units of the limits."""
    hours = {"gpu_hours": usage.gpu_seconds / HOUR, "wall_hours": usage.wall_seconds / HOUR}
    return {"tokens": usage.tokens, "usd": usage.usd, **hours}


@dataclass(frozen=True)
class Reading:
    """One limit: its `key` in the recipe, its `unit`, and what was `used` of what is `allowed`, by stage too."""

    key: str
    unit: str
    used: float
    allowed: float
    stages: Mapping[str, float]

    @property
    def reached(self) -> bool:
        """Whether nothing is left."""
        return self.used >= self.allowed

    def __str__(self) -> str:
        shares = ", ".join(f"{stage} {amount(self.unit, used)}" for stage, used in self.stages.items() if used)
        return f"{amount(self.unit, self.used)} of {amount(self.unit, self.allowed)} {self.unit} used" + (f" ({shares})" if shares else "")


def readings(budget: Budget, used: Mapping[str, Usage]) -> Iterator[Reading]:
    """Every limit of a budget against what each stage has used: those of the run, then those of its stages."""
    shares = {stage: measured(usage) for stage, usage in used.items()}
    yield from _read("budget", budget, shares)
    for stage in type(budget.stages).model_fields:
        yield from _read(f"budget.stages.{stage}", getattr(budget.stages, stage), {stage: shares.get(stage, measured(Usage()))})


def _read(key: str, limits: Limits, shares: Mapping[str, Mapping[str, float]]) -> Iterator[Reading]:
    for unit in Limits.model_fields:
        allowed = getattr(limits, unit)
        if allowed is not None:
            stages = {stage: share[unit] for stage, share in shares.items()}
            yield Reading(f"{key}.{unit}", unit, sum(stages.values()), allowed, stages)


def amount(unit: str, value: float) -> str:
    """A number of a unit for people: tokens whole, dollars and hours to two decimals, less than one of them to four digits."""
    return f"{value:,.0f}" if unit == "tokens" else f"{value:,.2f}" if value >= 1 else f"{value:.4g}"


class Spending:
    """What a run has used against what it may. `add` what this process uses, by stage."""

    def __init__(self, run: Run, budget: Budget) -> None:
        self._budget = budget
        self._before = by_stage(spent(run)) if any(readings(budget, {})) else {}
        self._since: dict[str, Usage] = defaultdict(Usage)

    def add(self, stage: str, usage: Usage) -> None:
        """Count what a step of a stage has used in this process."""
        self._since[stage] += usage

    def exceeded(self, stage: str, open_: Usage, progress: str = "") -> Stopped | None:
        """Why a stage may begin nothing more; None while it may. `open_` is used in its step and not yet added, `progress` says where
        that stands."""
        stages = dict.fromkeys([*self._before, *self._since, stage])
        used = {name: total((self._before.get(name, Usage()), self._since.get(name, Usage()))) for name in stages}
        used[stage] += open_
        concerned = ("budget", f"budget.stages.{stage}")
        for reading in readings(self._budget, used):
            if reading.reached and reading.key.rpartition(".")[0] in concerned:
                remedy = f"raise it (--set {reading.key}=...) and run the same command again: what is committed is kept"
                return Stopped(f"the budget is used up {progress}\n  {reading}", where=reading.key, remedy=remedy)
        return None
