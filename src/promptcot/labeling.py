"""What the ways of labeling share: one table of labels from problems of several domains, and how solutions are asked for.

A `Way` is what a domain's stage has prepared: math labels by vote (`labels`), code labels by tests (`code_labels`). `decided` makes one
step, `label`, of all ways, each problem labeled by the way of its domain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from promptcot.attempts import Asking, of_problem
from promptcot.executors import Rows, Table, Workplace, each
from promptcot.recipe import Label as Settings
from promptcot.records import Label, Problem
from promptcot.store import StepSpec

SCHEMA = 3


@dataclass(frozen=True)
class Way:
    """How problems of one domain are labeled: what decides it (`facts` and `inputs`, for the step's key), and the label of each."""

    facts: Mapping[str, object]
    inputs: Mapping[str, str]
    make: Callable[[Problem], Rows]


def asking(settings: Settings) -> Asking[Problem]:
    """How the voter is asked."""
    return Asking(settings.sample, settings.chat, of_problem)


def chosen(problems: Sequence[Problem], settings: Settings) -> list[Problem]:
    """The problems that are labeled: the first `rows` by id, of all domains."""
    return sorted(problems, key=lambda p: p.id)[: settings.rows]


def decided(place: Workplace, problems: Sequence[Problem], digest: str, ways: Mapping[str, Way], *, shard_rows: int = 256) -> Table[Label]:
    """The step `label`: every problem by the way of its domain."""
    facts: dict[str, object] = {}
    inputs = {"problems": digest}
    for way in ways.values():
        facts |= way.facts
        inputs |= way.inputs
    spec = StepSpec("label", Label, SCHEMA, facts, inputs)
    return place.rows(spec, problems, partial(each, make=lambda problem: ways[problem.domain].make(problem)), shard_rows=shard_rows)
