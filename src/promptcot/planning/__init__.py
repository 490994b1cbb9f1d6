"""What a recipe will take, before anything is paid for: tokens, hours, memory, disk, cost, and what cannot be done at all.

    recipe + corpus -> steps with tokens (`work`) -> hours (`speeds`), memory and refusals (`limits`) -> `Plan`

Every constant is a named figure with low, middle and high value, unit and source (`figures`); a plan prints those it used. A probe
(`probe`) measures this machine's speeds instead; `beside` holds a stage's estimate against what the run then used.

What this does not cover: the time of screening, reading and writing tables (minutes at most up to millions of rows), queueing for
machines, and failures of services.
"""

from promptcot.planning.figures import FIGURES, Figure, Range
from promptcot.planning.limits import Refusal, exit_code
from promptcot.planning.machines import Machine, here, machine
from promptcot.planning.planner import Plan, StagePlan, StepPlan, plan_recipe

__all__ = [
    "FIGURES",
    "Figure",
    "Machine",
    "Plan",
    "Range",
    "Refusal",
    "StagePlan",
    "StepPlan",
    "exit_code",
    "here",
    "machine",
    "plan_recipe",
]
