"""Solutions vote on what a program should print: each runs on every input, and outputs that are the same token by token make one pile.

    poll([Candidate("3\\n", "edge_case")], {0: right, 1: right_too, 2: wrong}, Limits(), Local()).ballots[0].piles
        ->  (Pile("6\\n", (0, 1)), Pile("9\\n", (2,)))

Not every solution is a voter: left out, with the reason, is one that never finishes (`compile_error`, `time_limit`, ...) or that prints
something else when it is run again (`nondeterministic`). What a voter fails on is an outcome of the vote and counts against every pile.

Equal programs are one program drawn several times: all draws vote, and a pile knows how many distinct programs stand behind it.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from promptcot.sandbox.limits import Limits
from promptcot.sandbox.programs import Language, Program, Status
from promptcot.sandbox.runners import Prepared, Runner
from promptcot.verify.candidates import Candidate, said
from promptcot.verify.mutants import parsed
from promptcot.verify.outputs import same_output

NONDETERMINISTIC = "nondeterministic"
GIVE_UP = 3
"""A solution out of time on so many of the smallest inputs, and finished on none, is taken to be out of time on all."""
_OURS = Status.SANDBOX_ERROR.value


@dataclass(frozen=True)
class Majority:
    """When an output is agreed on: by `least` voters, by this share of all voters, from `distinct` different programs."""

    share: float = 0.6
    least: int = 3
    distinct: int = 2


@dataclass(frozen=True)
class Pile:
    """Voters that print the same. `output` is the text of one of them, `distinct` the number of their different programs."""

    output: str
    solutions: tuple[int, ...]
    distinct: int


@dataclass(frozen=True)
class Ballot:
    """The vote on one input: piles, the largest first, and the voters without an output by what went wrong."""

    candidate: Candidate
    piles: tuple[Pile, ...]
    failures: Mapping[str, tuple[int, ...]]

    @property
    def voters(self) -> int:
        """Who counts: all but those whose run failed by a fault of ours."""
        return sum(len(p.solutions) for p in self.piles) + sum(len(s) for why, s in self.failures.items() if why != _OURS)

    @property
    def share(self) -> float:
        """The largest pile's share of the voters."""
        return len(self.piles[0].solutions) / self.voters if self.piles else 0.0

    def winner(self, rule: Majority) -> Pile | None:
        """The pile that is agreed on."""
        if not self.piles:
            return None
        first, tied = self.piles[0], len(self.piles) > 1 and len(self.piles[1].solutions) == len(self.piles[0].solutions)
        enough = len(first.solutions) >= rule.least and first.distinct >= rule.distinct and self.share >= rule.share
        return first if enough and not tied else None


@dataclass(frozen=True)
class Poll:
    """All ballots, in the order of their candidates, who voted, and who did not by the reason."""

    ballots: tuple[Ballot, ...]
    voters: tuple[int, ...]
    left_out: Mapping[str, tuple[int, ...]]


Answer = tuple[str, str]  # what was printed and "", or "" and why not


@dataclass(frozen=True)
class _Heard:
    answers: tuple[Answer, ...]
    left_out: str


def poll(candidates: Sequence[Candidate], solutions: Mapping[int, Program], limits: Limits, runner: Runner) -> Poll:
    """Run every solution on every candidate. Solutions are named by number; the outcome does not depend on their order."""
    heard = {program: _hear(program, candidates, limits, runner) for program in dict.fromkeys(solutions.values())}
    left_out = defaultdict[str, list[int]](list)
    for number in sorted(solutions):
        left_out[heard[solutions[number]].left_out].append(number)
    voters = tuple(left_out.pop("", ()))
    forms = {number: _form(solutions[number]) for number in voters}
    ballots = tuple(
        _ballot(candidate, {number: heard[solutions[number]].answers[index] for number in voters}, forms)
        for index, candidate in enumerate(candidates)
    )
    return Poll(ballots, voters, _frozen(left_out))


def _hear(program: Program, candidates: Sequence[Candidate], limits: Limits, runner: Runner) -> _Heard:
    """A solution's answers, small inputs first, and why it is no voter; "" where it is one."""
    order = sorted(range(len(candidates)), key=lambda i: (len(candidates[i].input), candidates[i].input))
    answers = dict[int, Answer]()
    with runner.session(program, limits) as session:
        for index in order:
            answers[index] = ("", hopeless) if (hopeless := _hopeless(answers)) else _ask(session, candidates[index])
        finished = [index for index in order if not answers[index][1]]
        steady = not finished or _same(_ask(session, candidates[finished[-1]]), answers[finished[-1]])
    if not finished:
        return _Heard((), _most(why for _, why in answers.values()))
    return _Heard(tuple(answers[i] for i in range(len(candidates))), "" if steady else NONDETERMINISTIC)


def _ask(session: Prepared, candidate: Candidate) -> Answer:
    return said(session.run(candidate.input.encode()))


def _same(a: Answer, b: Answer) -> bool:
    return a[1] == b[1] and same_output(a[0].encode(), b[0].encode())


def _hopeless(answers: Mapping[int, Answer]) -> str:
    """Why nothing more need be asked of a solution."""
    whys = [why for _, why in answers.values()]
    if Status.COMPILE_ERROR in whys:
        return Status.COMPILE_ERROR.value
    return Status.TIME_LIMIT.value if len(whys) >= GIVE_UP and set(whys) == {Status.TIME_LIMIT.value} else ""


def _most(whys: object) -> str:
    counts = Counter(whys)  # type: ignore[call-overload]
    return min(counts, key=lambda why: (-counts[why], why)) if counts else "no_input"


def _ballot(candidate: Candidate, answers: Mapping[int, Answer], forms: Mapping[int, str]) -> Ballot:
    piles, failures = list[tuple[bytes, list[int]]](), defaultdict[str, list[int]](list)
    for number, (text, why) in answers.items():
        if why:
            failures[why].append(number)
            continue
        output = text.encode()
        same = next((members for other, members in piles if same_output(other, output)), None)
        if same is None:
            piles.append((output, [number]))
        else:
            same.append(number)
    made = [_pile(members, answers, forms) for _, members in piles]
    return Ballot(candidate, tuple(sorted(made, key=lambda p: (-len(p.solutions), p.output))), _frozen(failures))


def _pile(members: Sequence[int], answers: Mapping[int, Answer], forms: Mapping[int, str]) -> Pile:
    text = min((answers[m][0] for m in members), key=lambda text: (len(text), text))  # whoever votes first does not decide the spaces
    return Pile(text, tuple(members), len({forms[m] for m in members}))


def _form(program: Program) -> str:
    """A program without its comments and layout."""
    tree = parsed(program.source) if program.language is Language.PYTHON else None
    return ast.dump(tree) if tree else " ".join(program.source.split())


def _frozen(groups: Mapping[str, Sequence[int]]) -> dict[str, tuple[int, ...]]:
    return {why: tuple(groups[why]) for why in sorted(groups)}
