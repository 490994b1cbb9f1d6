"""A stage's estimate beside what it then used: tokens and time from the manifests of its steps.

    estimates = Estimates(recipe, run, say)
    estimates.begin("em"); ...; estimates.end("em", rows)

Tokens of engines are known where their use was counted (`Manifest.usage`), those of a fit from its log; what is not known is left out. A
stage that was done before is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from promptcot.changes import spent
from promptcot.errors import PromptcotError
from promptcot.planning.corpus import Rows
from promptcot.planning.figures import Range
from promptcot.planning.machines import Machine, machine, planned_machine
from promptcot.planning.planner import Plan, StagePlan, plan_recipe
from promptcot.planning.shown import count, hours, spread
from promptcot.planning.speeds import HOUR
from promptcot.recipe import Recipe
from promptcot.store import Run

WITHOUT_DEVICE = frozenset({"scripted", "tabular", "openai"})
"""Engines for whose sake nobody needs to look at this machine's devices."""


@dataclass(frozen=True, slots=True)
class Actual:
    """What the steps of a stage used so far; None where it was not counted."""

    seconds: float
    read: float | None
    sampled: float | None
    fitted: float | None


def actual(run: Run, stage: str) -> Actual:
    """What a stage's finished steps used, and the seconds of unfinished ones."""
    names = [name for name in run.steps() if name.split("/")[0] == stage]
    manifests = [manifest for name in names if (manifest := run.manifest(name)) is not None]
    counted = [manifest.usage for manifest in manifests if manifest.usage]
    logs = [float(manifest.info["total_tokens"]) for manifest in manifests if "total_tokens" in manifest.info]
    return Actual(
        seconds=sum(spent(run, name) for name in names),
        read=sum(usage.get("tokens_in", 0.0) for usage in counted) if counted else None,
        sampled=sum(usage.get("tokens_out", 0.0) for usage in counted) if counted else None,
        fitted=sum(logs) if logs else None,
    )


def line(stage: StagePlan, used: Actual) -> str:
    """One line: each quantity that is known, actual against estimate."""
    return f"  {stage.name}, used (estimated): {', '.join(_parts(stage, used))}"


def _parts(stage: StagePlan, used: Actual) -> Iterator[str]:
    tokens = stage.tokens
    for word, value, estimate in (
        ("read and scored", used.read, tokens.read + tokens.scored),
        ("sampled", used.sampled, tokens.sampled),
        ("fitted", used.fitted, tokens.fitted),
    ):
        if value is not None and estimate.high:
            yield f"{word} {count(value)} tokens ({count(estimate.mid)}, {spread(estimate)})"
    taken = used.seconds / HOUR
    yield f"{hours(Range.exact(taken)).split(' (')[0]} ({hours(stage.hours)})" if stage.hours.high else f"{used.seconds:.1f} s"


def lines(plan: Plan, run: Run) -> list[str]:
    """Every planned stage that has used something."""
    found = [(stage, actual(run, stage.name)) for stage in plan.stages if stage.steps]
    return [line(stage, used) for stage, used in found if used.seconds]


class Estimates:
    """Tells, after each stage of a run that needs a model, what it was estimated to take and what it took."""

    def __init__(self, recipe: Recipe, run: Run, say: Callable[[str], None]) -> None:
        self.recipe, self.run, self.say = recipe, run, say
        self.before = 0.0

    def begin(self, stage: str) -> None:
        """Note what was done before."""
        self.before = actual(self.run, stage).seconds

    def end(self, stage: str, rows: Callable[[], Rows]) -> None:
        """Say what the stage took, if it did anything; `rows` are what it worked on."""
        used = actual(self.run, stage)
        if used.seconds <= self.before or stage not in ("annotate", "cold_start", "em", "synthesize"):
            return
        try:
            planned = plan_recipe(self.recipe, self._machine(), rows=rows()).stage(stage)
        except PromptcotError as error:
            self.say(f"  no estimate for {stage}: {error.what}")
            return
        if planned.steps:
            self.say(line(planned, used))

    def _machine(self) -> Machine:
        free = all(engine.kind in WITHOUT_DEVICE for engine in self.recipe.engines.values())
        return machine("CPU") if free else planned_machine(self.recipe)
