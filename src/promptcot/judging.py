"""A judge model grades problems by the rubric of PromptCoT 1.0; those below the wanted grade by any criterion are dropped.

A reply that cannot be parsed says something of the judge, not of the problem: the problem stays, and the reply is counted and kept. So is
a problem that the judge's server failed on. Unlike 1.0, there is one judge, and `acceptable` is enough unless the recipe says `perfect`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from promptcot.engines.conversation import prompt_request
from promptcot.engines.protocol import Completion, Sampled, SampleRequest, Sampling
from promptcot.executors import Rows, Table, Task, Workplace, ask
from promptcot.outcomes import unfinished
from promptcot.recipe import Judge
from promptcot.records import Dropped, Judgment, Problem, inherited, record_id
from promptcot.roles import Role
from promptcot.store import StepSpec
from promptcot.templates_annotation import Unusable
from promptcot.templates_judging import judging_prompt, parse_judgment

SCHEMA = 1


def judgments(place: Workplace, problems: Sequence[Problem], digest: str, judge: Role, settings: Judge, *, seed: int) -> Table[Judgment]:
    """The step `screen/judgments`: one reply for every problem, parsed; unusable ones are its dropped rows."""
    how = settings.sample
    facts = {"sample": how.model_dump(), "chat": settings.chat, "seed": seed}
    spec = StepSpec("screen/judgments", Judgment, SCHEMA, facts, {"judge": judge.digest, "problems": digest})

    def work(tasks: Iterator[Task[Problem]]) -> Iterator[tuple[int, Rows]]:
        with judge.open(place.meter) as engine:

            def request(task: Task[Problem]) -> SampleRequest:
                p = task.item
                prompt = judging_prompt(p.domain, p.problem, p.concepts, p.level)
                return prompt_request(engine, f"{p.id} judgment", prompt, (0,), task.group, chat=settings.chat)

            def rows(problem: Problem, reply: Sampled) -> Rows:
                return [judgment_of(problem, reply.completions[0], judge.fingerprint)]

            sampling = Sampling(how.temperature, how.top_p, how.max_tokens)
            yield from ask(tasks, request, partial(engine.sample, sampling=sampling, seed=seed), rows)

    return place.rows(spec, problems, work, shard_rows=max(1, judge.engine.committed_rows), journal=judge.served)


def judgment_of(problem: Problem, c: Completion, judge: str) -> Judgment | Dropped:
    """A reply as a record, or why it cannot be used."""
    facts: dict[str, Any] = {**inherited(problem), "parents": (problem.id,)}
    identity = record_id("judgment", (problem.id,), c.draw, c.text)
    why = unfinished(c.finish)
    grades = Unusable(why, c.error or "cut by max_tokens") if why else parse_judgment(c.text)
    if isinstance(grades, Unusable):
        return Dropped(id=identity, reason=grades.reason, detail=f"judgment: {grades.why}", content=c.text, **facts)
    return Judgment(id=identity, problem=problem.id, judge=judge, **{**facts, **grades})
