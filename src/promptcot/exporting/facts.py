"""What a card tells of a run: which models, what became of its rows, which scores. Read from the run; nothing here depends on the clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from promptcot import __version__, inspection
from promptcot.evaluation.scoring import title
from promptcot.recipe import Recipe
from promptcot.records import Score
from promptcot.store import Manifest, Run
from promptcot.tables import from_table


@dataclass(frozen=True, slots=True)
class Facts:
    """A run, or (without `recipe`) a file. `made` are the manifests of finished steps with rows, in the order of the data."""

    name: str
    recipe: Recipe | None = None
    made: tuple[Manifest, ...] = ()
    scores: tuple[Score, ...] = ()

    @property
    def version(self) -> str:
        """The package that made it."""
        return __version__


def of_run(run: Run) -> Facts:
    """Read from the run's folder."""
    recipe = inspection.recipe_of(run)
    manifests = [m for step in inspection.steps(run) if (m := run.manifest(step.name)) is not None and m.rows_in]
    scored = any(m.step == "evaluate/scores" for m in manifests)
    scores = tuple(from_table(inspection.table(run, "evaluate/scores"), Score)) if scored else ()
    return Facts(recipe.name, recipe, tuple(manifests), scores)


def models_table(facts: Facts) -> str:
    """The models by role, with revision and license."""
    if facts.recipe is None:
        return "Not known: the rows come from a file.\n"
    specs = [(role, facts.recipe.model(role)) for role in sorted(facts.recipe.models)]
    rows = [(role, str(spec.path), spec.revision or "not pinned", spec.license or "not stated") for role, spec in specs]
    return table(("role", "model", "revision", "license"), rows)


def funnel_table(facts: Facts) -> str:
    """What went into every step and came out of it, and why the rest did not."""
    made = [m for m in facts.made if not m.step.startswith("evaluate")]
    rows = [(m.step, str(m.rows_in), str(m.rows_out), reasons(m.dropped) or "none") for m in made]
    return table(("step", "rows in", "rows out", "dropped, by reason"), rows) if rows else "Not known: the rows come from a file.\n"


def scores_table(scores: tuple[Score, ...]) -> str:
    """Scores with their intervals."""
    head = ("model", "benchmark", "metric", "value", "interval", "questions")
    rows = [
        (s.model, s.benchmark, title(s), f"{s.value:.4g}", f"[{s.low:.4g}, {s.high:.4g}] at {s.level:.0%}", str(s.n))
        for s in sorted(scores, key=lambda s: (s.benchmark, s.model, s.metric, s.k))
    ]
    return table(head, rows)


def reasons(dropped: Mapping[str, int]) -> str:
    """`truncated 3, wrong 1`."""
    return ", ".join(f"{reason} {count}" for reason, count in sorted(dropped.items()))


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    cells = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |\n" for row in cells)
