"""A stage's estimate beside what it then used: tokens and time from the manifests of its steps.

    estimates = Estimates(recipe, run, say)
    estimates.begin("em"); ...; estimates.end("em", rows)

What was not counted is left out, and a stage that was done before is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from promptcot.changes import spent
from promptcot.errors import PromptcotError
from promptcot.metering import spent_in
from promptcot.planning.corpus import Rows
from promptcot.planning.figures import Range
from promptcot.planning.machines import Machine, machine, planned_machine
from promptcot.planning.planner import Plan, StagePlan, plan_recipe
from promptcot.planning.shown import count, hours, spread
from promptcot.planning.speeds import HOUR
from promptcot.recipe import Recipe
from promptcot.store import Run
from promptcot.usage import Usage, total

WITHOUT_DEVICE = frozenset({"scripted", "tabular", "openai"})
"""Engines for whose sake nobody needs to look at this machine's devices."""


@dataclass(frozen=True, slots=True)
class Actual:
    """What a stage used so far: seconds of work on its steps, and what its engines and fits counted (0: not counted)."""

    seconds: float
    usage: Usage


def actual(run: Run, stage: str) -> Actual:
    """What the results that a stage has now were made with, unfinished ones included."""
    names = [name for name in run.steps() if name.split("/")[0] == stage]
    folders = [run.path / name / (run.current(name) or "-") for name in names]
    return Actual(sum(spent(run, name) for name in names), total(map(spent_in, folders)))


def line(stage: StagePlan, used: Actual) -> str:
    """One line: each quantity that is known, actual against estimate."""
    return f"  {stage.name}, used (estimated): {', '.join(_parts(stage, used))}"


def _parts(stage: StagePlan, used: Actual) -> Iterator[str]:
    tokens, usage = stage.tokens, used.usage
    for word, value, estimate in (
        ("read and scored", usage.tokens_in, tokens.read + tokens.scored),
        ("sampled", usage.tokens_out, tokens.sampled),
        ("fitted", usage.tokens_trained, tokens.fitted),
    ):
        if value:
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
        self.before: frozenset[Path] = frozenset()

    def begin(self, stage: str) -> None:
        """Note what was done before."""
        self.before = self._done(stage)

    def end(self, stage: str, rows: Callable[[], Rows]) -> None:
        """Say what the stage took, if it did anything; `rows` are what it worked on."""
        if self._done(stage) == self.before or stage not in ("annotate", "cold_start", "em", "synthesize", "label", "self_play", "distill"):
            return
        try:
            planned = plan_recipe(self.recipe, self._machine(), rows=rows()).stage(stage)
        except PromptcotError as error:
            self.say(f"  no estimate for {stage}: {error.what}")
            return
        if planned.steps:
            self.say(line(planned, actual(self.run, stage)))

    def _done(self, stage: str) -> frozenset[Path]:
        """Manifests of the stage's steps."""
        return frozenset((self.run.path / stage).rglob("manifest.json"))

    def _machine(self) -> Machine:
        free = all(engine.kind in WITHOUT_DEVICE for engine in self.recipe.engines.values())
        return machine("CPU") if free else planned_machine(self.recipe)
