"""Labels by vote: a voter solves each problem several times, and the answer most draws agree on becomes the label, or none does.

    problems --draws 0..agree-1--> attempts --those that could still change the outcome: the rest--> vote --> Label | dropped

A draw depends on its number alone, so drawing the rest only where it matters gives the labels that all draws would have given. The whole
vote is kept as the label's evidence, and in a dropped row's content.
"""

from __future__ import annotations

from collections.abc import Sequence

from promptcot.attempts import by_problem, draws
from promptcot.durable import canonical
from promptcot.executors import Rows, Workplace
from promptcot.labeling import Way, asking
from promptcot.outcomes import Drop, LabelKind, Verdict
from promptcot.recipe import Label as Settings
from promptcot.records import Attempt, Dropped, Label, Problem, inherited, record_id
from promptcot.roles import Role
from promptcot.verify.answers import Verifier
from promptcot.verify.rows import as_row
from promptcot.verify.votes import Poll, Rule, Vote, VoteStatus

_WHY = {VoteStatus.TOO_FEW: Drop.TOO_FEW, VoteStatus.TOO_CLOSE: Drop.TOO_CLOSE, VoteStatus.NO_ANSWER: Drop.NO_ANSWER}


def by_vote(
    place: Workplace, problems: Sequence[Problem], digest: str, voter: Role, settings: Settings, verifier: Verifier, *, seed: int
) -> Way:
    """The draws for these problems, made, and how they decide."""
    rule, how = Rule(settings.agree, settings.margin), asking(settings)
    first = draws(place, "label/first_draws", problems, digest, voter, how, range(settings.agree), seed=seed)
    attempts = by_problem(first.rows)
    open_still = [p for p in problems if not _poll(attempts[p.id], verifier, rule, settings.votes).settled()]
    rest = draws(place, "label/more_draws", open_still, first.digest, voter, how, range(settings.agree, settings.votes), seed=seed)
    for problem, more in by_problem(rest.rows).items():
        attempts[problem] += more
    facts = {"votes": settings.votes, "agree": settings.agree, "margin": settings.margin, "algebra": verifier.algebra is not None}

    def make(problem: Problem) -> Rows:
        return [label_of(problem, _poll(attempts[problem.id], verifier, rule, settings.votes).vote(), voter)]

    return Way(facts, {"first": first.digest, "more": rest.digest}, make)


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
