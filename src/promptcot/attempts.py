"""Solutions drawn from a model: one step that asks for numbered draws of every problem or question. Verdicts come later, elsewhere.

A draw depends on (run seed, id of what is asked, number) alone, so more of them can be made later, or none where they cannot matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from promptcot.engines.conversation import prompt_request
from promptcot.engines.protocol import Completion, Sampled, SampleRequest, Sampling
from promptcot.executors import Rows, Table, Task, Workplace, ask
from promptcot.outcomes import Drop, Grading, Verdict, unfinished
from promptcot.recipe import Sample
from promptcot.records import Attempt, Dropped, Problem, Question, inherited, record_id
from promptcot.roles import Role
from promptcot.store import StepSpec
from promptcot.templates_solving import completion_prompt, function_prompt, solving_prompt, starter_prompt

SCHEMA = 5

T = TypeVar("T", Problem, Question)


@dataclass(frozen=True)
class Asking(Generic[T]):
    """How solutions are asked for: the sampler's settings, in a conversation or (without `chat`) as text, and in what words."""

    sample: Sample
    chat: bool
    prompt: Callable[[T], str]


def of_problem(problem: Problem) -> str:
    """What a solver of a synthesized problem reads."""
    return solving_prompt(problem.domain, problem.problem)


def of_question(question: Question) -> str:
    """What a solver of a question reads."""
    if question.grading == Grading.CHECK:
        return completion_prompt(question.starter)
    if question.starter.strip():
        return starter_prompt(question.problem, question.starter)
    if question.function:
        return function_prompt(question.problem, question.function)
    return solving_prompt(question.domain, question.problem)


def draws(
    place: Workplace,
    name: str,
    items: Sequence[T],
    digest: str,
    solver: Role,
    how: Asking[T],
    numbers: range,
    *,
    seed: int,
    ready: Callable[[], object] = lambda: None,
) -> Table[Attempt]:
    """Solutions number `numbers` of every item, as a step. `ready` is called before the model is asked, not where the step is done."""
    facts = {"sample": how.sample.model_dump(), "chat": how.chat, "draws": list(numbers), "seed": seed, "problems": [i.id for i in items]}
    spec = StepSpec(name, Attempt, SCHEMA, facts, {"solver": solver.digest, "problems": digest})

    def work(tasks: Iterator[Task[T]]) -> Iterator[tuple[int, Rows]]:
        ready()
        with solver.open(place.meter) as engine:

            def request(task: Task[T]) -> SampleRequest:
                return prompt_request(engine, task.item.id, how.prompt(task.item), tuple(numbers), task.group, chat=how.chat)

            def rows(item: T, reply: Sampled) -> Rows:
                return [attempt_of(item, c) for c in reply.completions]

            sampling = Sampling(how.sample.temperature, how.sample.top_p, how.sample.max_tokens)
            yield from ask(tasks, request, partial(engine.sample, sampling=sampling, seed=seed), rows)

    todo = items if len(numbers) else ()
    shard_rows = max(1, solver.engine.committed_rows // max(1, len(numbers)))
    return place.rows(spec, todo, work, shard_rows=shard_rows, journal=solver.served, fan=max(1, len(numbers)))


def attempt_of(item: Problem | Question, c: Completion) -> Attempt | Dropped:
    """A solution as a record, or what the server gave instead."""
    identity = record_id("attempt", (item.id,), c.draw, c.text)
    facts = {**inherited(item), "parents": (item.id,)}
    why = unfinished(c.finish)
    if why is Drop.FAILED:
        return Dropped(id=identity, reason=why, detail=c.error, content=c.text, **facts)
    verdict = Verdict.TRUNCATED if why is Drop.TRUNCATED else None
    said: dict[str, Any] = {"text": c.text, "tokens": c.tokens, "ids": c.ids, "reasoning": c.reasoning}
    return Attempt(id=identity, problem=item.id, draw=c.draw, verdict=verdict, **said, **facts)


def by_problem(attempts: Iterable[Attempt]) -> defaultdict[str, list[Attempt]]:
    """Attempts by the id of their problem."""
    found: defaultdict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        found[attempt.problem].append(attempt)
    return found
