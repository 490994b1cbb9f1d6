"""What a card tells of a run, read from its folder: recipe, finished steps, EM's rounds, pass rates, scores, sources, cost.

Nothing here is measured anew, and nothing depends on the clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from promptcot import __version__, inspection
from promptcot.metering import by_stage, spent
from promptcot.recipe import Recipe
from promptcot.records import Health, PassRate, Record, Score, Seed, TraceFigures, Triple
from promptcot.stages import active
from promptcot.store import Manifest, Run
from promptcot.tables import from_table
from promptcot.usage import Usage

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Facts:
    """A run, or (without `recipe`) a file.

    `made` are the manifests of finished steps with rows, in the order of the data; `health` and `rates` go by rounds; `sources` counts the
    human problems by source and license; `used` is what each stage took."""

    name: str
    recipe: Recipe | None = None
    made: tuple[Manifest, ...] = ()
    scores: tuple[Score, ...] = ()
    health: tuple[Health, ...] = ()
    rates: tuple[tuple[PassRate, ...], ...] = ()
    traces: TraceFigures | None = None
    sources: Mapping[tuple[str, str], int] = field(default_factory=dict)
    used: Mapping[str, Usage] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """The package that made it."""
        return __version__

    def step(self, name: str) -> Manifest | None:
        """The manifest of a finished step."""
        return next((m for m in self.made if m.step == name), None)


def of_run(run: Run) -> Facts:
    """Read from the run's folder, the steps of its present recipe alone."""
    recipe = inspection.recipe_of(run)
    stages = active(recipe)
    manifests = [run.manifest(step.name) for step in inspection.steps(run) if step.name.split("/")[0] in stages]
    human: list[Seed] | list[Triple] = _rows(run, "seeds", Seed) or _rows(run, "annotate", Triple)
    counts = Counter((row.source, row.license) for row in human)
    return Facts(
        recipe.name,
        recipe,
        tuple(m for m in manifests if m is not None and m.rows_in),
        tuple(_rows(run, "evaluate/scores", Score) if "evaluate" in stages else ()),
        tuple(row for n in range(1, (recipe.em.rounds if recipe.em else 0) + 1) for row in _rows(run, f"em/{n}/health", Health)),
        tuple(tuple(_rows(run, f"self_play/{n}/pass_rates", PassRate)) for n in _rounds_played(run, recipe)),
        next(iter(_rows(run, "distill/figures", TraceFigures)), None) if "distill" in stages else None,
        dict(sorted(counts.items())),
        by_stage(spent(run)),
    )


def _rounds_played(run: Run, recipe: Recipe) -> list[int]:
    rounds = recipe.self_play.rounds if recipe.self_play else 0
    return [n for n in range(1, rounds + 1) if run.manifest(f"self_play/{n}/pass_rates") is not None]


def _rows(run: Run, name: str, record: type[R]) -> list[R]:
    if run.manifest(name) is None:
        return []
    table = inspection.table(run, name)
    return list(from_table(table, record)) if table.num_rows else []
