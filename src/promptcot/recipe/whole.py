"""The whole recipe."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field, model_validator

from promptcot.errors import UsageError
from promptcot.recipe.analyzing import Analyze
from promptcot.recipe.distilling import Distill
from promptcot.recipe.evaluation import Evaluate
from promptcot.recipe.inputs import Inputs
from promptcot.recipe.limits import Budget, Gates, Planned, StageLimits
from promptcot.recipe.models import EngineSpec, ModelSpec
from promptcot.recipe.post_training import SelfPlay
from promptcot.recipe.refining import Refine
from promptcot.recipe.section import Strict
from promptcot.recipe.stages import Annotate, ColdStart, Em, Label, Screen, Synthesize, Training
from promptcot.recipe.trying import Trial

SELF_PLAYED = "self_played"
"""What `evaluate.models` calls the solver that self-play made."""


class Recipe(Strict):
    """A whole experiment."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, use_attribute_docstrings=True)

    schema_: Literal[1] = Field(alias="schema")
    """Version of this format."""
    name: str
    """Names the default run folder, `runs/<name>`."""
    seed: int = 0
    """All randomness derives from it."""
    domain: Literal["math", "code"] = "math"
    """Of rows that do not say."""
    models: dict[str, ModelSpec] = {}
    """By role: `base`, `generator`, `posterior`, `annotator`, `embedder`, ..."""
    engines: dict[str, EngineSpec] = {"default": EngineSpec()}
    """By name."""
    training: Training = Training()
    """How the worker trains."""
    inputs: Inputs
    """Where rows come from."""
    annotate: Annotate | None = None
    """Stage: concepts and rationales for seeds."""
    cold_start: ColdStart | None = None
    """Stage: p0 and q0."""
    em: Em | None = None
    """Stage: EM."""
    synthesize: Synthesize | None = None
    """Stage: new problems."""
    screen: Screen | None = None
    """Stage: duplicates, contamination, well-posedness."""
    label: Label | None = None
    """Stage: answers by vote, suites of unit tests."""
    self_play: SelfPlay | None = None
    """Stage: the solver's attempts, pairs of them, and a better solver."""
    refine: Refine | None = None
    """Stage: the generator fitted on its own problems that self-play found worth solving, for the next run."""
    distill: Distill | None = None
    """Stage: traces of a teacher, and a student fitted on them."""
    trial: Trial | None = None
    """Stage: the same student fitted on several corpora."""
    evaluate: Evaluate | None = None
    """Stage: scores of models on benchmarks."""
    analyze: Analyze | None = None
    """Stage: difficulty, diversity and a map of corpora."""
    gates: Gates = Gates()
    """Early stops."""
    budget: Budget = Budget()
    """Limits to what the run may use."""
    plan: Planned = Planned()
    """The machine that the recipe is meant for."""

    @model_validator(mode="after")
    def _roles_resolve(self) -> Recipe:
        for role, spec in self.models.items():
            if spec.role is not None and self.models.get(spec.role, spec).role is not None:
                raise ValueError(f"models.{role}: role `{spec.role}` is not a model with a path")
            if spec.engine not in self.engines:
                raise ValueError(f"models.{role}: no engine named `{spec.engine}`")
        return self

    @model_validator(mode="after")
    def _one_self_played(self) -> Recipe:
        if self.self_play is not None and SELF_PLAYED in self.models:
            raise ValueError(f"models.{SELF_PLAYED}: that is the name of the solver that `self_play` makes")
        return self

    @model_validator(mode="after")
    def _something_to_refine(self) -> Recipe:
        if self.refine is not None and self.self_play is None:
            raise ValueError("refine: there is no `self_play`, whose pass rates say which problems are worth fitting")
        return self

    @model_validator(mode="after")
    def _direct_prompts_are_not_learned(self) -> Recipe:
        if self.synthesize is not None and self.synthesize.prompt == "direct":
            fitted = [name for name in ("cold_start", "em", "refine") if getattr(self, name) is not None]
            if fitted:
                raise ValueError(f"synthesize.prompt: `direct` asks a model as it is, but `{fitted[0]}` would fit it to another prompt")
        return self

    @model_validator(mode="after")
    def _weights_are_used(self) -> Recipe:
        if self.synthesize is not None and self.synthesize.weakness is not None and self.inputs.concept_sets:
            raise ValueError("synthesize.weakness: nothing is sampled, since `inputs.concept_sets` are given")
        return self

    @model_validator(mode="after")
    def _dollars_are_counted(self) -> Recipe:
        stages = [getattr(self.budget.stages, name) for name in StageLimits.model_fields]
        priced = any(engine.usd_per_million_in or engine.usd_per_million_out for engine in self.engines.values())
        if not priced and any(limits.usd is not None for limits in (self.budget, *stages)):
            raise ValueError("budget: `usd` would count nothing, since no engine names a price (usd_per_million_in, usd_per_million_out)")
        return self

    def model(self, role: str) -> ModelSpec:
        """The model of a role, references followed. Raises `UsageError` for an unknown role."""
        if role not in self.models:
            raise UsageError(
                f"no model has the role `{role}`", where=f"models.{role}", remedy=f"add it; roles here: {', '.join(sorted(self.models))}"
            )
        spec = self.models[role]
        return self.models[spec.role] if spec.role else spec
