"""Running a recipe in a folder: the verbs `run`, `demo` and those of the stages are thin shells over `run_recipe`."""

from __future__ import annotations

import os
import shlex
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import yaml

from promptcot import __version__, inspection, metering, reporting
from promptcot.changes import Changes, spent
from promptcot.durable import read_json, write_json
from promptcot.engines.vllm.fleet import FLEET
from promptcot.errors import Incomplete, PromptcotError, UsageError
from promptcot.evaluation import stored
from promptcot.evaluation.beside import Beside, compare
from promptcot.executors import Draining, LocalWorkplace, Watch
from promptcot.models import fingerprint
from promptcot.pipeline import Session
from promptcot.planning.beside import Estimates, compared
from promptcot.planning.corpus import Rows
from promptcot.recipe import Recipe
from promptcot.recipes import load, overridden, validate
from promptcot.reporting import beside, flow_rows, sections, solving
from promptcot.reporting.beside import Side
from promptcot.reporting.chunks import write_whole
from promptcot.reporting.data import ModelRow, Origin, ReportData, WorkRow
from promptcot.reporting.run_tables import RunTables
from promptcot.stages import active, require_roles
from promptcot.store import Run, StepSpec
from promptcot.summary import Parts, report_data
from promptcot.usage import total

GRACE = 45
"""Seconds that work in flight has after SIGTERM; what is not committed by then is done again on resume."""

FUNNEL = (
    *("seeds", "annotate", "synthesize/concept_sets", "problems", "synthesize/problems", "screen", "label", "labels"),
    *("refine/in_band", "refine/chosen", "self_play/questions"),
    *("pairs", "traces", "distill/attempts", "distill/traces", "distill/texts"),
)
"""Steps whose rows the report's funnel shows."""

BANNERS = {
    "demo": "This is the demo: a 135M model and a few dozen seeds. It shows that every step works on a real model; it writes fluent text, "
    "solves little beyond one-step arithmetic, and most of its problems are not usable. Quality comes with a bigger base model."
}


def open_recipe(name: str, run: Path | None, overrides: Sequence[str], rows: int | None) -> tuple[Recipe, Run]:
    """The recipe and its run folder, from a recipe's name or path, or from a run folder that holds one."""
    if (Path(name) / "run.json").is_file():
        if run is not None and run.resolve() != Path(name).resolve():
            raise UsageError("a run folder and --run name different folders", where=name, remedy="leave out --run")
        folder = Path(name)
        recipe = validate(overridden(Run.open(folder).recipe, overrides), f"{name}/run.json")
    else:
        recipe = load(name, overrides)
        folder = run or Path("runs") / recipe.name
    if rows is not None:
        recipe = limited(recipe, rows)
    return recipe, Run.create(folder, recipe.model_dump(mode="json", by_alias=True))


def limited(recipe: Recipe, rows: int) -> Recipe:
    """The recipe with at most `rows` rows of every input, `rows` concept sets and `rows` questions of a benchmark."""
    lists = {
        name: [given.model_copy(update={"rows": min(given.rows or rows, rows)}) for given in getattr(recipe.inputs, name)]
        for name in type(recipe.inputs).model_fields
    }
    update: dict[str, Any] = {"inputs": recipe.inputs.model_copy(update=lists)}
    if recipe.synthesize is not None:
        update["synthesize"] = recipe.synthesize.model_copy(update={"concept_sets": min(recipe.synthesize.concept_sets, rows)})
    if recipe.self_play is not None:
        update["self_play"] = recipe.self_play.model_copy(update={"rows": min(recipe.self_play.rows or rows, rows)})
    if recipe.evaluate is not None:
        update["evaluate"] = recipe.evaluate.model_copy(update={"rows": min(recipe.evaluate.rows or rows, rows)})
    if recipe.analyze is not None:
        update["analyze"] = recipe.analyze.model_copy(update={"rows": min(recipe.analyze.rows, max(4, rows))})
    if recipe.distill is not None:
        update["distill"] = recipe.distill.model_copy(update={"rows": min(recipe.distill.rows or rows, rows)})
    return recipe.model_copy(update=update)


def run_recipe(
    recipe: Recipe,
    run: Run,
    *,
    only: str | None = None,
    until: str | None = None,
    keep: Sequence[str] = (),
    redo: Sequence[str] = (),
    watch: Watch | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Session:
    """Run or resume a recipe's stages up to `until`, or `only` one whose predecessors are done. Returns the session.

    Raises `Incomplete` after SIGTERM or Ctrl-C, with everything committed kept."""
    require_roles(recipe)
    stages = active(recipe)
    if only and until:
        raise UsageError("--only and --until exclude each other", where="run", remedy="give one of them")
    for name in filter(None, (only, until)):
        if name not in stages:
            raise UsageError(f"this recipe has no stage `{name}`", where="--only/--until", remedy=f"stages here: {', '.join(stages)}")
    changes = Changes(stages, redo, keep)
    with run.writing(), _orderly_stop() as draining, FLEET.logging_to(run.path / "logs"):
        place = LocalWorkplace(run, watch=watch, draining=draining, confirm=_only(changes, only) if only else changes, budget=recipe.budget)
        session = Session(recipe, place, say=say)
        estimates = Estimates(recipe, run, say)
        last = only or until or stages[-1]
        for stage in stages[: stages.index(last) + 1]:
            say(f"== {stage}")
            _mark(run, stage, done=False)
            if stage == "report":
                write_report(session, run, recipe)
            else:
                estimates.begin(stage)
                session.do(stage)
                FLEET.close()
                estimates.end(stage, partial(_worked_on, session, stage))
            _mark(run, stage, done=True)
    return session


def _worked_on(session: Session, stage: str) -> Rows:
    """The rows that a stage began with, for its estimate."""
    recipe = session.recipe
    if stage == "annotate":
        return Rows(seeds=session.seeds.rows) if recipe.annotate and recipe.inputs.seeds else Rows()
    triples = session.triples.rows if recipe.inputs.seeds or recipe.inputs.triples else ()
    sets = session.concept_sets.rows if stage == "synthesize" and recipe.inputs.concept_sets else ()
    stages = set(active(recipe))
    kept = session.kept.rows if stage in ("label", "self_play", "distill") and {"synthesize", "problems"} & stages else None
    return Rows(
        triples=triples,
        concept_sets=sets,
        kept=kept,
        questions=session.questions.rows if stage == "self_play" and "pairs" not in stages else None,
        pairs=session.given_pairs.rows if "pairs" in stages else None,
        traces=session.given_traces.rows if "traces" in stages else None,
    )


def _only(changes: Changes, only: str) -> Callable[[StepSpec, Run], str]:
    """Refuse to begin a step of another stage."""

    def confirm(spec: StepSpec, run: Run) -> str:
        key = changes(spec, run)
        stage = spec.name.split("/")[0]
        if stage != only and not (run.path / spec.name / key / "manifest.json").is_file():
            raise UsageError(f"`{only}` needs `{spec.name}`, which is not done", where=str(run.path), remedy=f"run it --until {only}")
        return key

    return confirm


def _mark(run: Run, stage: str, *, done: bool) -> None:
    """Note that a stage came to its end, or that it has begun anew: a stage of several steps may stand still between two of them."""
    path = run.path / "stages.json"
    before = list(read_json(path).get("done", [])) if path.is_file() else []
    if done != (stage in before):
        write_json(path, {"done": [*before, stage] if done else [name for name in before if name != stage]})


@contextmanager
def _orderly_stop() -> Iterator[Draining]:
    """SIGTERM and Ctrl-C ask to drain: shards in flight are committed; what takes longer than `GRACE` seconds, or a second signal, is
    given up and done again on resume."""
    draining = Draining()
    if threading.current_thread() is not threading.main_thread():
        yield draining
        return

    def give_up(number: int, frame: FrameType | None) -> None:
        raise Incomplete("stopped on request in the middle of a shard", remedy="run the same command again to resume")

    def ask(number: int, frame: FrameType | None) -> None:
        if draining.requested:
            give_up(number, frame)
        draining.request()
        signal.signal(signal.SIGALRM, give_up)
        signal.alarm(GRACE)

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield draining
    finally:
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)


def write_report(session: Session, run: Run, recipe: Recipe) -> Path:
    """Write `report/index.html` from the run's finished stages; it is derived, so it is always written anew."""
    return reporting.write(
        shown(session, run, recipe), run.path / "report", seed=recipe.seed, sections=sections.made(RunTables(run, recipe))
    )


def shown(session: Session, run: Run, recipe: Recipe) -> ReportData:
    """What a run's report shows."""
    origin = Origin(version=__version__, command=command_of(recipe, run), recipe=yaml.safe_dump(dict(run.recipe), sort_keys=False))
    return report_data(recipe, gather(session, run), origin, BANNERS.get(recipe.name, ""))


def report_beside(a: Path, b: Path, *, out: Path | None = None, say: Callable[[str], None] = lambda text: None) -> Path:
    """Write a page that compares two finished runs, B less A; by default `B/report/beside-A.html`. Returns its path.

    Raises `UsageError` where a folder holds no run, or one with a stage that is not done."""
    first, second = _side(a, say), _side(b, say)
    try:
        evaluated: list[Beside] | str = _compared(Run.open(a), Run.open(b))
    except UsageError as error:
        evaluated = error.what
    page = out or b / "report" / f"beside-{a.resolve().name}.html"
    write_whole(page, beside.render(first, second, version=__version__, evaluated=evaluated).encode())
    return page


def _compared(a: Run, b: Run) -> list[Beside]:
    """The models of two runs on their common benchmarks: the only one of each, or those of the same name. Raises `UsageError`."""
    names = [stored.graded_models(run) for run in (a, b)]
    both = [name for name in names[0] if name in names[1]]
    if max(map(len, names)) <= 1 or not both:
        return [compare(stored.read(a), stored.read(b), level=0.95)]
    return [compare(stored.read(a, name), stored.read(b, name), level=0.95) for name in both]


def _side(folder: Path, say: Callable[[str], None]) -> Side:
    """A finished run, read and never added to."""
    run = Run.open(folder)
    recipe = validate(run.recipe, str(folder / "run.json"))
    refuse = _only(Changes(active(recipe), (), ()), "report")
    with run.writing():
        session = Session(recipe, LocalWorkplace(run, confirm=refuse), say=say)
        return Side(folder.resolve().name, shown(session, run, recipe), recipe)


def command_of(recipe: Recipe, run: Run) -> str:
    """The command that repeats the run from the recipe printed in the report."""
    return f"promptcot run {shlex.quote(recipe.name + '.yaml')} --run {shlex.quote(os.path.basename(run.path.resolve()))}"


def gather(session: Session, run: Run) -> Parts:
    """What the run's active stages have made."""
    stages = active(session.recipe)
    problems = session.problems if {"synthesize", "problems"} & set(stages) else None
    screened = session.screened if "screen" in stages else None
    manifests = [m for name in FUNNEL if (m := run.manifest(name))]
    tables = RunTables(run, session.recipe)
    return Parts(
        seeds=session.seeds.rows if "seeds" in stages else (),
        triples=session.triples.rows if "annotate" in stages else (),
        concept_sets=session.concept_sets.rows if "synthesize" in stages else (),
        written=problems.rows if problems else (),
        unparsed=problems.drops if problems else (),
        kept=screened.rows if screened else problems.rows if problems else (),
        screened_out=screened.drops if screened else (),
        em=session.em if "em" in stages else None,
        evaluated=session.evaluated if "evaluate" in stages else (),
        scores=session.scores.rows if "evaluate" in stages else (),
        gates=session.gates if "cold_start" in stages else (),
        manifests=manifests,
        parts=flow_rows.parts(tables, FUNNEL),
        solving=solving.solving(tables) if problems else {},
        work=_work(session.recipe, run),
        models=_models(session),
        seconds=sum(spent(run, name) for name in run.steps()),
        usage=total(metering.spent(run).values()),
    )


def _work(recipe: Recipe, run: Run) -> list[WorkRow]:
    """Estimate against actual of every planned stage; nothing where no plan can be made any more."""
    try:
        found = compared(recipe, run, inspection.rows_of(run))
    except PromptcotError:  # an input that is gone, or a model that is not known here: the run is done all the same
        return []
    return [WorkRow(*row) for row in found]


def _models(session: Session) -> list[ModelRow]:
    rows = []
    for role in sorted(session.recipe.models):
        spec = session.recipe.model(role)
        rows.append(ModelRow(role=role, name=str(spec.path), revision=spec.revision or "", license=spec.license))
    if "em" in active(session.recipe):
        best = session.em.best
        rows.append(ModelRow(role="generator, best round", name=str(best.generator.path), revision=fingerprint(best.generator.path)[:16]))
    if session.recipe.self_play is not None and session.recipe.self_play.method != "none":
        solver = session.self_played
        rows.append(ModelRow(role="solver, self-played", name=str(solver.path), revision=solver.fingerprint[:16]))
    if "refine" in active(session.recipe):
        rows.append(ModelRow(role="generator, refined", name=str(session.refined.path), revision=session.refined.fingerprint[:16]))
    if "distill" in active(session.recipe) and (fitted := session.recipe.distill) is not None and fitted.student is not None:
        path = session.distilled.path
        rows.append(ModelRow(role="student, distilled", name=str(path), revision=fingerprint(path)[:16]))
    return rows
