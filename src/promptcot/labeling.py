"""What the ways of labeling share: solutions drawn from a model, and one table of labels from problems of several domains.

A `Way` is what a domain's stage has prepared: math labels by vote (`labels`), code labels by tests (`code_labels`). `decided` makes one
step, `label`, of all ways, each problem labeled by the way of its domain.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from promptcot.engines.conversation import prompt_request
from promptcot.engines.protocol import Completion, Sampled, SampleRequest, Sampling
from promptcot.executors import Rows, Table, Task, Workplace, ask, each
from promptcot.outcomes import Drop, Verdict, unfinished
from promptcot.recipe import Label as Settings
from promptcot.records import Attempt, Dropped, Label, Problem, inherited, record_id
from promptcot.roles import Role
from promptcot.store import StepSpec
from promptcot.templates_solving import solving_prompt

SCHEMA = 2


@dataclass(frozen=True)
class Way:
    """How problems of one domain are labeled: what decides it (`facts` and `inputs`, for the step's key), and the label of each."""

    facts: Mapping[str, object]
    inputs: Mapping[str, str]
    make: Callable[[Problem], Rows]


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


def draws(
    place: Workplace,
    name: str,
    problems: Sequence[Problem],
    digest: str,
    solver: Role,
    settings: Settings,
    numbers: range,
    *,
    seed: int,
    ready: Callable[[], object] = lambda: None,
) -> Table[Attempt]:
    """Solutions number `numbers` of every problem, as a step. `ready` is called before the model is asked, not where the step is done."""
    how = settings.sample
    facts = {"sample": how.model_dump(), "chat": settings.chat, "draws": list(numbers), "seed": seed, "problems": [p.id for p in problems]}
    spec = StepSpec(name, Attempt, SCHEMA, facts, {"solver": solver.digest, "problems": digest})

    def work(tasks: Iterator[Task[Problem]]) -> Iterator[tuple[int, Rows]]:
        ready()
        with solver.open(place.meter) as engine:

            def request(task: Task[Problem]) -> SampleRequest:
                prompt = solving_prompt(task.item.domain, task.item.problem)
                return prompt_request(engine, task.item.id, prompt, tuple(numbers), task.group, chat=settings.chat)

            def rows(problem: Problem, reply: Sampled) -> Rows:
                return [attempt_of(problem, c) for c in reply.completions]

            sampling = Sampling(how.temperature, how.top_p, how.max_tokens)
            yield from ask(tasks, request, partial(engine.sample, sampling=sampling, seed=seed), rows)

    items = problems if len(numbers) else ()
    shard_rows = max(1, solver.engine.committed_rows // max(1, len(numbers)))
    return place.rows(spec, items, work, shard_rows=shard_rows, journal=solver.served, fan=max(1, len(numbers)))


def attempt_of(problem: Problem, c: Completion) -> Attempt | Dropped:
    """A solution as a record, or what the server gave instead."""
    identity = record_id("attempt", (problem.id,), c.draw, c.text)
    why = unfinished(c.finish)
    if why is Drop.FAILED:
        return Dropped(id=identity, parents=(problem.id,), reason=why, detail=c.error, content=c.text, **inherited(problem))
    verdict = Verdict.TRUNCATED if why is Drop.TRUNCATED else None
    return Attempt(
        id=identity,
        parents=(problem.id,),
        problem=problem.id,
        draw=c.draw,
        text=c.text,
        verdict=verdict,
        tokens=c.tokens,
        **inherited(problem),
    )


def by_problem(attempts: Iterable[Attempt]) -> defaultdict[str, list[Attempt]]:
    """Attempts by the id of their problem."""
    found: defaultdict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        found[attempt.problem].append(attempt)
    return found
