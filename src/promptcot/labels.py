"""Labels by vote: a voter solves each problem several times, and the answer most draws agree on becomes the label, or none does.

    problems --draws 0..agree-1--> attempts --those that could still change the outcome: the rest--> vote --> Label | dropped

A draw depends on its number alone, so drawing the rest only where it matters gives the labels that all draws would have given. The whole
vote is kept as the label's evidence, and in a dropped row's content.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from promptcot.durable import canonical
from promptcot.engines.conversation import chat_request
from promptcot.engines.protocol import Completion, Message, Sampled, SampleRequest, Sampling
from promptcot.executors import Rows, Table, Task, Workplace, ask, each
from promptcot.outcomes import Drop, LabelKind, Verdict, unfinished
from promptcot.recipe import Label as Settings
from promptcot.records import Attempt, Dropped, Label, Problem, inherited, record_id
from promptcot.roles import Role
from promptcot.store import StepSpec
from promptcot.templates_solving import solving_prompt
from promptcot.verify.answers import Verifier
from promptcot.verify.rows import as_row
from promptcot.verify.votes import Poll, Rule, Vote, VoteStatus

SCHEMA = 1
_WHY = {VoteStatus.TOO_FEW: Drop.TOO_FEW, VoteStatus.TOO_CLOSE: Drop.TOO_CLOSE, VoteStatus.NO_ANSWER: Drop.NO_ANSWER}


def voted(
    place: Workplace, problems: Sequence[Problem], digest: str, voter: Role, settings: Settings, verifier: Verifier, *, seed: int
) -> Table[Label]:
    """A label for each problem whose draws agree; the others are dropped with their vote."""
    chosen = sorted(problems, key=lambda p: p.id)[: settings.rows]
    rule = Rule(settings.agree, settings.margin)
    first = draws(place, "label/first_draws", chosen, digest, voter, settings, range(settings.agree), seed=seed)
    attempts = by_problem(first.rows)
    open_still = [p for p in chosen if not _poll(attempts[p.id], verifier, rule, settings.votes).settled()]
    rest = draws(place, "label/more_draws", open_still, first.digest, voter, settings, range(settings.agree, settings.votes), seed=seed)
    for problem, more in by_problem(rest.rows).items():
        attempts[problem] += more
    facts = {"votes": settings.votes, "agree": settings.agree, "margin": settings.margin, "algebra": verifier.algebra is not None}
    spec = StepSpec("label", Label, SCHEMA, facts, {"first": first.digest, "more": rest.digest, "problems": digest})

    def make(problem: Problem) -> Rows:
        return [label_of(problem, _poll(attempts[problem.id], verifier, rule, settings.votes).vote(), voter)]

    return place.rows(spec, chosen, partial(each, make=make), shard_rows=256)


def draws(
    place: Workplace, name: str, problems: Sequence[Problem], digest: str, solver: Role, settings: Settings, numbers: range, *, seed: int
) -> Table[Attempt]:
    """Solutions number `numbers` of every problem, as a step."""
    how = settings.sample
    facts = {"sample": how.model_dump(), "chat": settings.chat, "draws": list(numbers), "seed": seed, "problems": [p.id for p in problems]}
    spec = StepSpec(name, Attempt, SCHEMA, facts, {"solver": solver.digest, "problems": digest})

    def work(tasks: Iterator[Task[Problem]]) -> Iterator[tuple[int, Rows]]:
        with solver.open(place.meter) as engine:

            def request(task: Task[Problem]) -> SampleRequest:
                prompt, draws = solving_prompt(task.item.domain, task.item.problem), tuple(numbers)
                if settings.chat:
                    return chat_request(engine, task.item.id, [Message("user", prompt)], draws, task.group)
                return SampleRequest(task.item.id, engine.tokenizer.encode(f"{prompt}\n\nSolution:\n"), draws, task.group)

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
    return Attempt(id=identity, parents=(problem.id,), problem=problem.id, draw=c.draw, text=c.text, verdict=verdict, **inherited(problem))


def by_problem(attempts: Iterable[Attempt]) -> defaultdict[str, list[Attempt]]:
    """Attempts by the id of their problem."""
    found: defaultdict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        found[attempt.problem].append(attempt)
    return found


def _poll(attempts: Sequence[Attempt], verifier: Verifier, rule: Rule, planned: int) -> Poll:
    poll = Poll(verifier, rule, planned)
    for attempt in attempts:
        poll.add(attempt.draw, "" if attempt.verdict == Verdict.TRUNCATED else attempt.text)
    return poll


def label_of(problem: Problem, vote: Vote, voter: Role) -> Label | Dropped:
    """What a vote makes of a problem."""
    evidence = canonical({**as_row(vote), "voter": voter.fingerprint})
    if vote.answer is None:
        size, second = vote.sizes
        detail = f"{size} of {vote.draws} draws agree, {second} on the next answer, {len(vote.silent)} give none"
        identity = record_id("dropped", (problem.id,), 0, evidence)
        return Dropped(id=identity, parents=(problem.id,), reason=_WHY[vote.status], detail=detail, content=evidence, **inherited(problem))
    identity = record_id("label", (problem.id,), 0, vote.answer)
    facts = {**inherited(problem), "license": voter.license or problem.license}
    return Label(
        id=identity,
        parents=(problem.id,),
        problem=problem.id,
        kind=LabelKind.VOTE,
        answer=vote.answer,
        evidence=evidence,
        status=vote.status,
        **facts,
    )
