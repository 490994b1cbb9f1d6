"""The recipe: one YAML file that says a whole experiment, from laptop to cluster.

Here are its sections; `recipes` reads it. An unknown key is an error. A stage runs when its section is present. Field docstrings are
the reference that `docs/recipe.md` is generated from.
"""

from promptcot.recipe.analyzing import Analyze, Ladder
from promptcot.recipe.distilling import Distill, Form
from promptcot.recipe.evaluation import BenchmarkSpec, Evaluate
from promptcot.recipe.inputs import Input, Inputs
from promptcot.recipe.limits import Budget, Gates, Limits, Planned, StageLimits
from promptcot.recipe.models import EngineSpec, ModelSpec
from promptcot.recipe.post_training import Band, SelfPlay
from promptcot.recipe.refining import Floor, Refine, Weakness
from promptcot.recipe.section import Fit, Sample, Strict
from promptcot.recipe.stages import (
    Annotate,
    Annotator,
    Bars,
    Bound,
    Code,
    ColdStart,
    Em,
    Judge,
    Label,
    Merge,
    Reject,
    Rule,
    Screen,
    Synthesize,
    Training,
)
from promptcot.recipe.trying import Trial
from promptcot.recipe.whole import SELF_PLAYED, Recipe

__all__ = [
    "SELF_PLAYED",
    "Analyze",
    "Annotate",
    "Annotator",
    "Band",
    "Bars",
    "BenchmarkSpec",
    "Bound",
    "Budget",
    "Code",
    "ColdStart",
    "Distill",
    "Em",
    "EngineSpec",
    "Evaluate",
    "Fit",
    "Floor",
    "Form",
    "Gates",
    "Input",
    "Inputs",
    "Judge",
    "Label",
    "Ladder",
    "Limits",
    "Merge",
    "ModelSpec",
    "Planned",
    "Recipe",
    "Refine",
    "Reject",
    "Rule",
    "Sample",
    "Screen",
    "SelfPlay",
    "StageLimits",
    "Strict",
    "Synthesize",
    "Training",
    "Trial",
    "Weakness",
]
