"""Which stages a recipe has, in the order of the data, and whether it names all that they need."""

from __future__ import annotations

from promptcot.errors import UsageError
from promptcot.recipe import SELF_PLAYED, Recipe

STAGES = (
    *("seeds", "annotate", "cold_start", "em", "synthesize", "problems", "labels", "attempts", "screen", "label"),
    *("self_play", "distill", "trial", "evaluate", "analyze", "report"),
)
"""Every stage, in the order of the data."""
DISTILLED = "distilled"
"""What `evaluate.models` calls the student of the run."""


def active(recipe: Recipe) -> list[str]:
    """The stages of a recipe, in the order of the data."""
    given = recipe.inputs
    has = {
        "seeds": bool(given.seeds),
        "annotate": bool(given.seeds or given.triples),
        "cold_start": recipe.cold_start is not None,
        "em": recipe.em is not None,
        "synthesize": recipe.synthesize is not None and not given.problems,
        "problems": bool(given.problems),
        "labels": bool(given.labels),
        "attempts": bool(given.attempts),
        "screen": recipe.screen is not None,
        "label": recipe.label is not None and not given.labels,
        "self_play": recipe.self_play is not None,
        "distill": recipe.distill is not None,
        "trial": recipe.trial is not None,
        "evaluate": recipe.evaluate is not None,
        "analyze": recipe.analyze is not None,
        "report": True,
    }
    return [stage for stage in STAGES if has[stage]]


def require_roles(recipe: Recipe) -> None:
    """Raise `UsageError` for a role that a stage will ask and no model has: at the start, not hours later.

    So it does where solutions are to be verified, and nothing gives problems their labels."""
    asked = [a.model for a in recipe.annotate.annotators] if recipe.annotate is not None else []
    if "label" in active(recipe) and recipe.label is not None:
        asked += [recipe.label.voter, recipe.label.code.writer or recipe.label.voter]
    asked += [recipe.self_play.solver] if recipe.self_play is not None else []
    if recipe.distill is not None:
        _require_labels(recipe)
        asked += [role for role in (recipe.distill.teacher, recipe.distill.student) if role is not None]
    asked += [recipe.trial.student] if recipe.trial is not None else []
    if recipe.analyze is not None and (ladder := recipe.analyze.difficulty) is not None:
        asked += [*ladder.solvers, *([ladder.reference] if ladder.reference else [])]
    asked += [role for role in recipe.evaluate.models if role not in made_here(recipe)] if recipe.evaluate is not None else []
    for role in asked:
        recipe.model(role)


def made_here(recipe: Recipe) -> set[str]:
    """The models that `evaluate.models` may name though `models` does not have them: the run makes them."""
    made = {SELF_PLAYED} if recipe.self_play is not None else set[str]()
    made |= {student.name for student in recipe.trial.students} if recipe.trial is not None else set()
    return made | ({DISTILLED} if recipe.distill is not None and recipe.distill.student is not None else set())


def _require_labels(recipe: Recipe) -> None:
    if recipe.distill is not None and recipe.distill.verify and recipe.label is None and not recipe.inputs.labels:
        raise UsageError("solutions are to be verified, but no problem has a label", where="distill.verify", remedy="add `label:`")
