"""Which stages a recipe has, in the order of the data, and whether it names all that they need."""

from __future__ import annotations

from promptcot.errors import UsageError
from promptcot.recipe import SELF_PLAYED, Recipe

STAGES = (
    *("seeds", "annotate", "cold_start", "em", "synthesize", "problems", "labels", "attempts"),
    *("pairs", "traces", "screen", "label"),
    *("self_play", "refine", "distill", "trial", "evaluate", "analyze", "report"),
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
        "pairs": bool(given.pairs),
        "traces": bool(given.traces),
        "screen": recipe.screen is not None,
        "label": recipe.label is not None and not given.labels,
        "self_play": recipe.self_play is not None,
        "refine": recipe.refine is not None,
        "distill": recipe.distill is not None,
        "trial": recipe.trial is not None,
        "evaluate": recipe.evaluate is not None,
        "analyze": recipe.analyze is not None,
        "report": True,
    }
    return [stage for stage in STAGES if has[stage]]


def require_roles(recipe: Recipe) -> None:
    """Raise `UsageError` for a role that a stage will ask and no model has: at the start, not hours later.

    So it does where solutions are to be verified, and nothing gives problems their labels; and where rows given for a stage leave out what
    it is asked for."""
    _require_rows_for_it(recipe)
    asked = [a.model for a in recipe.annotate.annotators] if recipe.annotate is not None else []
    asked += [recipe.screen.judge.model] if recipe.screen is not None and recipe.screen.judge is not None else []
    asked += ["embedder"] if recipe.screen is not None and recipe.screen.neighbors else []
    if "label" in active(recipe) and recipe.label is not None:
        asked += [recipe.label.voter, recipe.label.code.writer or recipe.label.voter]
    asked += [recipe.self_play.solver] if recipe.self_play is not None else []
    asked += ["generator"] if recipe.refine is not None else []
    if recipe.distill is not None:
        _require_labels(recipe)
        teacher = None if recipe.inputs.traces else recipe.distill.teacher
        asked += [role for role in (teacher, recipe.distill.student) if role is not None]
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


def _require_rows_for_it(recipe: Recipe) -> None:
    """Raise `UsageError` where pairs or traces are given, and their stage is to do what only its own would allow."""
    play, distill = recipe.self_play, recipe.distill
    if recipe.inputs.pairs and play is not None and (play.method != "dpo" or play.rounds > 1):
        raise UsageError(
            "`inputs.pairs` take the place of the solver's attempts, so there is one fit, on pairs",
            where="self_play.method" if play.method != "dpo" else "self_play.rounds",
            remedy="`method: dpo` and `rounds: 1`, or no `inputs.pairs`",
        )
    if recipe.inputs.pairs and recipe.refine is not None:
        raise UsageError(
            "given pairs bring no pass rates, which say what problems are worth fitting the generator on",
            where="refine",
            remedy="let `self_play` make its attempts: no `inputs.pairs`",
        )
    if recipe.inputs.traces and distill is not None and distill.verify:
        raise UsageError(
            "`inputs.traces` are learned as they are: the answers of their problems are not known",
            where="distill.verify",
            remedy="`verify: false`, or give problems with labels and a teacher instead of traces",
        )


def _require_labels(recipe: Recipe) -> None:
    if recipe.distill is not None and recipe.distill.verify and recipe.label is None and not recipe.inputs.labels:
        raise UsageError("solutions are to be verified, but no problem has a label", where="distill.verify", remedy="add `label:`")


def kept_step(recipe: Recipe) -> str:
    """The step with the problems that a run goes on with: those that passed its screens, were given, or were synthesized."""
    return "screen" if recipe.screen else "problems" if recipe.inputs.problems else "synthesize/problems"
