"""A plan: tokens, hours, memory, disk and cost of a recipe's stages on a machine, and what of it is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from promptcot import models
from promptcot.errors import MissingHere
from promptcot.planning.corpus import NO_ROWS, Corpus, Rows, corpus_of
from promptcot.planning.evaluations import evaluate_steps
from promptcot.planning.figures import ZERO, Figure, Figures, Range
from promptcot.planning.labels import label_steps, labeled_of
from promptcot.planning.limits import Feasibility, Refusal, over_budget
from promptcot.planning.machines import Machine
from promptcot.planning.memory import Memory
from promptcot.planning.post_training import distill_steps, questions_of, self_play_steps, taught_of
from promptcot.planning.shapes import ModelShape, shape_of
from promptcot.planning.speeds import HOUR, Measured, Speeds, Worker
from promptcot.planning.work import Kind, Step, Tokens, steps
from promptcot.recipe import Limits, Recipe
from promptcot.stages import active


@dataclass(frozen=True, slots=True)
class StepPlan:
    """A step with its `hours` of wall time, the `gpus` it keeps busy meanwhile, its memory on each device, and bytes it leaves on disk."""

    step: Step
    hours: Range
    gpus: int
    memory: Memory | None
    disk: Range
    usd: Range


@dataclass(frozen=True, slots=True)
class StagePlan:
    """All steps of a stage."""

    name: str
    steps: tuple[StepPlan, ...]
    refusals: tuple[Refusal, ...]

    @property
    def tokens(self) -> Tokens:
        """Of all its steps."""
        total = Tokens()
        for planned in self.steps:
            total += planned.step.tokens
        return total

    @property
    def hours(self) -> Range:
        """Wall time."""
        return _sum(planned.hours for planned in self.steps)

    @property
    def gpu_hours(self) -> Range:
        """Hours times the accelerators that are busy."""
        return _sum(planned.hours * planned.gpus for planned in self.steps)

    @property
    def disk(self) -> Range:
        """Bytes left on disk."""
        return _sum(planned.disk for planned in self.steps)

    @property
    def usd(self) -> Range:
        """Dollars for hosted models."""
        return _sum(planned.usd for planned in self.steps)

    @property
    def memory(self) -> Memory | None:
        """Of the step that needs most on one device."""
        return max((p.memory for p in self.steps if p.memory), key=lambda memory: memory.need.mid, default=None)


@dataclass(frozen=True, slots=True)
class Plan:
    """A recipe's plan. `held_gpu_hours` is wall time times all accelerators of the machine, busy or not: what a node costs. `usd` is None
    where no price is known. `measured` tells whether a probe calibrated the speeds."""

    recipe: str
    machine: Machine
    corpus: Corpus
    stages: tuple[StagePlan, ...]
    figures: tuple[Figure, ...]
    usd: Range | None
    refusals: tuple[Refusal, ...]
    notes: tuple[str, ...]
    measured: bool

    @property
    def tokens(self) -> Tokens:
        """Of all stages."""
        total = Tokens()
        for stage in self.stages:
            total += stage.tokens
        return total

    @property
    def hours(self) -> Range:
        """Wall time."""
        return _sum(stage.hours for stage in self.stages)

    @property
    def held_gpu_hours(self) -> Range:
        """See above; nothing on a CPU."""
        return self.hours * (0 if self.machine.is_cpu else self.machine.gpus)

    @property
    def disk(self) -> Range:
        """Bytes left on disk."""
        return _sum(stage.disk for stage in self.stages)

    def stage(self, name: str) -> StagePlan:
        """A stage by name. Raises `KeyError`."""
        return next(stage for stage in self.stages if stage.name == name)


def plan_recipe(
    recipe: Recipe,
    machine: Machine,
    *,
    figures: Mapping[str, float] | None = None,
    rows: Rows | None = None,
    measured: Measured | None = None,
) -> Plan:
    """Plan a recipe on a machine. `figures` go before the recipe's own and the defaults; `rows` of a run take the place of its inputs;
    `measured` are a probe's speeds. Raises `UsageError` where an input can neither be read nor counted, or a model's shape is unknown."""
    known = Figures({**recipe.plan.figures, **(figures or {})})
    corpus = corpus_of(recipe, known, rows)
    speeds = Speeds(recipe, machine, known, measured)
    limits = Feasibility(recipe, machine, known, speeds)
    labeled = labeled_of(recipe, corpus, known, rows)
    questions, taught = questions_of(recipe, corpus, known, rows), taught_of(recipe, corpus, known, rows)
    work = [*steps(recipe, corpus, known), *label_steps(recipe, labeled, known)]
    work += [*self_play_steps(recipe, questions, known, rows), *distill_steps(recipe, taught, known, rows), *evaluate_steps(recipe, known)]
    workers = {role: worker(recipe, role) for role in dict.fromkeys(step.role for step in work)}
    for shape in {w.shape.name: w.shape for w in workers.values() if w.shape}.values():
        known.note(Figure(f"parameters of {shape.name}", Range.exact(shape.parameters), "parameters", shape.source))
    if not machine.is_cpu:
        known.note(Figure("accelerator", Range.exact(machine.flops), "FLOP/s", machine.source))
    for (kind, name), rate in (measured or {}).items():
        known.note(Figure(f"{kind} rate of {name}", rate, "tokens/s", "measured here by --probe; spread: assumption"))
    planned = list(_planned(work, workers, speeds, limits, known))
    refusals = [refusal for step in work for refusal in limits.refusals(step, _by(step, workers))]
    refusals += _side_by_side(recipe, machine, workers)
    stages = tuple(
        StagePlan(name, tuple(p for p in planned if p.step.stage == name), _once(r for r in refusals if r.stage == name))
        for name in active(recipe)
    )
    refused = _once(refusals)
    bases = tuple(dict.fromkeys(found.basis for found in (labeled, questions, taught) if found.basis))
    notes = _notes(recipe, bases, corpus, workers, refused)
    draft = Plan(recipe.name, machine, corpus, stages, (), _usd(stages, machine, known), refused, notes, bool(measured))
    over = tuple(over_budget(recipe.budget, _spent(stages)))
    return replace(draft, figures=tuple(known.used()), refusals=(*refused, *over))


def worker(recipe: Recipe, role: str) -> Worker:
    """A role's engine and shape. A hosted model has none, unless its folder is here. Raises `UsageError` for an unknown shape."""
    spec = recipe.model(role)
    engine = recipe.engines[spec.engine]
    assert spec.path is not None
    hosted = engine.kind == "openai" and models.at_hand(spec.path, spec.revision) is None
    shape: ModelShape | None = None if hosted or engine.kind in ("scripted", "tabular") else shape_of(spec)
    return Worker(spec.path, engine, shape)


def _by(step: Step, workers: Mapping[str, Worker]) -> Worker:
    """Who does a step: its role, by the engine that it has where it is trained if the step says so."""
    by = workers[step.role]
    kind = "tabular" if by.engine.kind == "tabular" else "transformers"
    return replace(by, engine=by.engine.model_copy(update={"kind": kind})) if step.here else by


def _planned(
    work: Sequence[Step], workers: Mapping[str, Worker], speeds: Speeds, limits: Feasibility, figures: Figures
) -> Iterator[StepPlan]:
    running: tuple[str, str] | None = None  # a server goes on while its weights are asked for, but not beyond its stage
    for step in work:
        by = _by(step, workers)
        seconds = speeds.seconds(step, by)
        if step.kind is Kind.RUN:
            yield StepPlan(step, seconds / HOUR, 0, None, ZERO, ZERO)
            continue
        if step.kind is Kind.FIT or by.engine.kind != "vllm" or running != (step.stage, step.weights):
            seconds += speeds.opening(by, fits=step.kind is Kind.FIT)
        running = (step.stage, step.weights) if by.engine.kind == "vllm" and step.kind is not Kind.FIT else None
        yield StepPlan(step, seconds / HOUR, speeds.gpus(step, by), limits.memory(step, by), _disk(step, by, figures), _price(step, by))


def _disk(step: Step, by: Worker, figures: Figures) -> Range:
    if step.kind is Kind.FIT:
        return figures["saved_bytes"] * by.shape.parameters if by.shape is not None else ZERO
    return step.tokens.sampled * figures["table_bytes"]


def _price(step: Step, by: Worker) -> Range:
    tokens, engine = step.tokens, by.engine
    return (tokens.read + tokens.scored) * (engine.usd_per_million_in / 1e6) + tokens.sampled * (engine.usd_per_million_out / 1e6)


def _usd(stages: Sequence[StagePlan], machine: Machine, figures: Figures) -> Range | None:
    services, price = _sum(stage.usd for stage in stages), figures.price
    if price is None or machine.is_cpu:
        return services if services.high else None
    return services + _sum(stage.hours for stage in stages) * machine.gpus * price


def _side_by_side(recipe: Recipe, machine: Machine, workers: Mapping[str, Worker]) -> list[Refusal]:
    """Annotators are open side by side, so the accelerators of their servers add up, or the shares of them."""
    names = [a.model for a in recipe.annotate.annotators] if recipe.annotate else []
    engines = [workers[name].engine for name in names if name in workers and workers[name].engine.kind == "vllm"]
    wanted = sum(engine.gpus * (engine.gpu_memory or 1.0) for engine in engines)
    if machine.is_cpu or wanted <= machine.gpus:
        return []
    what = f"the annotators' servers run side by side and want {wanted:g} accelerators; the machine has {machine.gpus}"
    remedy = "annotate with one after the other in recipes of their own, or on servers elsewhere (`kind: openai`)"
    return [Refusal("annotate", what, "annotate.annotators", remedy, MissingHere.exit_code)]


def _notes(
    recipe: Recipe, bases: tuple[str, ...], corpus: Corpus, workers: Mapping[str, Worker], refused: Sequence[Refusal]
) -> tuple[str, ...]:
    notes = [*(() if bases and corpus.basis == NO_ROWS else (corpus.basis,)), *bases]
    if recipe.em is not None and recipe.em.rounds > 1:
        notes.append(f"all {recipe.em.rounds} rounds of EM are counted; the bound may end them earlier")
    if recipe.self_play is not None and recipe.self_play.rounds > 1:
        notes.append(f"all {recipe.self_play.rounds} rounds of self-play are counted, as if each solver failed as often as the first")
    if recipe.refine is not None:
        notes.append("`refine` is not counted: how many problems are worth fitting is not known")
    if recipe.trial is not None:
        notes.append("the fits of `trial` are not counted; the attempts of its students are, where `evaluate.models` names them")
    if recipe.analyze is not None:
        notes.append("`analyze` is not counted: neither its embeddings nor its solvers' attempts")
    if corpus.too_long:
        notes.append(f"{corpus.too_long} training texts exceed training.max_tokens ({recipe.training.max_tokens}) and will be dropped")
    if any(w.engine.kind == "openai" for w in workers.values()):
        notes.append("hosted models: no accelerator of yours is counted, and hours depend on the service")
    if refused:
        notes.append("what is refused is counted as if it could be done")
    return tuple(notes)


def _spent(stages: Sequence[StagePlan]) -> dict[str, dict[str, Range]]:
    """What a budget counts, by stage and (under `""`) in all: tokens that models read, write and are trained on, dollars for services,
    accelerators while engines and fits hold them, and wall time."""
    found: dict[str, dict[str, Range]] = {"": dict.fromkeys(Limits.model_fields, ZERO)}
    for stage in stages:
        tokens = stage.tokens
        everything = tokens.read + tokens.sampled + tokens.scored + tokens.fitted
        found[stage.name] = {"tokens": everything, "usd": stage.usd, "gpu_hours": stage.gpu_hours, "wall_hours": stage.hours}
        found[""] = {unit: value + found[stage.name][unit] for unit, value in found[""].items()}
    return found


def _once(refusals: Iterable[Refusal]) -> tuple[Refusal, ...]:
    """Each refusal of a stage once, however many steps or roles meet it."""
    first: dict[tuple[str, str], Refusal] = {}
    for refusal in refusals:
        first.setdefault((refusal.stage, refusal.what), refusal)
    return tuple(first.values())


def _sum(ranges: Iterable[Range]) -> Range:
    total = ZERO
    for value in ranges:
        total += value
    return total
