"""A suite of unit tests out of candidate inputs and several independent solutions, or why there is none.

    build([Candidate("3\\n", "edge_case", expected="7"), ...], {0: right, 1: right_too, 2: wrong, 3: also_right}, Limits()).tests
        ->  (Kept("3\\n", "6\\n", "edge_case"), ...)

Solutions vote on each input's output; the writer's word is evidence only. A suite must then show its worth: enough tests, enough
agreement, a solution that passes all of it when run again, an empty program and one that always prints the same that fail, and enough
mutants of that solution killed. What the suite says is no more than what most solutions agree on: an error they share passes.

Solutions, generators and mutants get inputs only. Outputs are compared outside; the control that prints one has a sandbox of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from promptcot.intervals import Estimate, wilson
from promptcot.outcomes import Drop
from promptcot.sandbox.limits import Limits
from promptcot.sandbox.programs import Language, Program
from promptcot.sandbox.runners import Local, Runner
from promptcot.templates_tests import InputKind
from promptcot.verify.ballots import Ballot, Majority, Poll, poll
from promptcot.verify.candidates import Candidate, gather
from promptcot.verify.mutants import mutants
from promptcot.verify.outputs import same_output
from promptcot.verify.programs import Judgement, Test, judge


@dataclass(frozen=True)
class Bars:
    """What a suite must reach: `tests` kept, this mean `agreement` on them, this share of at most `mutants` mutants killed."""

    tests: int = 4
    agreement: float = 0.75
    kills: float = 0.6
    mutants: int = 20


MAJORITY = Majority()
BARS = Bars()


@dataclass(frozen=True)
class Kept:
    """A test of a suite."""

    input: str
    output: str
    kind: str

    @property
    def test(self) -> Test:
        """As programs are judged by."""
        return Test(self.input, self.output)


@dataclass(frozen=True)
class Quality:
    """What was measured of a suite, as far as it got before a bar stopped it; None is not measured.

    `agreement`: the mean share of voters behind a kept output. `writer`: where its writer named the output of a kept test, how often that
    was the agreed one. `controls`: judgement of the empty and the constant program; `constant`: tests that the latter passes. `deaths`:
    how mutants died; `kills`: their share; `survivors`: what was changed in those that live."""

    voted: int
    kinds: Mapping[str, int]
    agreement: float | None = None
    writer: Estimate | None = None
    controls: Mapping[str, str] = field(default_factory=dict)
    constant: int | None = None
    deaths: Mapping[str, int] = field(default_factory=dict)
    kills: Estimate | None = None
    survivors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suite:
    """Tests that passed all bars, or None of them and `why`; with the vote and the report either way."""

    tests: tuple[Kept, ...]
    why: Drop | None
    detail: str
    quality: Quality
    poll: Poll
    duplicates: int
    too_long: int


def build(
    candidates: Sequence[Candidate],
    solutions: Mapping[int, Program],
    limits: Limits,
    *,
    majority: Majority = MAJORITY,
    bars: Bars = BARS,
    runner: Runner | None = None,
    seed: int = 0,
) -> Suite:
    """Vote, keep what is agreed on, and examine it. `seed` picks the mutants. Raises `MissingHere` without a sandbox."""
    runner = runner or Local()
    gathered = gather(candidates)
    held = poll(gathered.candidates, solutions, limits, runner)
    won = [(ballot, pile) for ballot in held.ballots if (pile := ballot.winner(majority))]
    kept = tuple(Kept(ballot.candidate.input, pile.output, ballot.candidate.kind) for ballot, pile in won)
    agreeing = [n for n in held.voters if all(n in pile.solutions for _, pile in won)]
    exam = _Exam(kept, [solutions[n] for n in agreeing], limits, bars, runner, seed)
    quality = _voted(held, [ballot for ballot, _ in won], kept)
    why, detail, quality = _examined(exam, held, majority, quality)
    return Suite(() if why else kept, why, detail, quality, held, gathered.duplicates, gathered.too_long)


def _voted(held: Poll, won: Sequence[Ballot], kept: Sequence[Kept]) -> Quality:
    expected = [(said, k.output) for b, k in zip(won, kept, strict=True) if (said := _claimed(b)) is not None]
    right = sum(same_output(output.encode(), said.encode("utf-8", "replace")) for said, output in expected)
    return Quality(
        voted=len(held.ballots),
        kinds=dict(sorted(Counter(k.kind for k in kept).items())),
        agreement=sum(b.share for b in won) / len(won) if won else None,
        writer=wilson(right, len(expected)) if expected else None,
    )


def _claimed(ballot: Ballot) -> str | None:
    """The output that the writer of tests named; what a statement's sample shows is not the writer's word."""
    return None if ballot.candidate.kind == InputKind.SAMPLE else ballot.candidate.expected


@dataclass(frozen=True)
class _Exam:
    """A suite under examination, with the solutions that agree on all of its tests."""

    kept: tuple[Kept, ...]
    agreeing: Sequence[Program]
    limits: Limits
    bars: Bars
    runner: Runner
    seed: int

    def verdict(self, source: str | Program, *, whole: bool = False) -> tuple[Judgement, int]:
        """A program's judgement on the tests, and how many it passes if all are tried (`whole`)."""
        program = source if isinstance(source, Program) else Program(source, Language.PYTHON)
        judged = judge(program, [k.test for k in self.kept], self.limits, runner=self.runner, stop_early=not whole)
        return judged.verdict, sum(test.verdict is Judgement.ACCEPTED for test in judged.tests)

    def reference(self) -> Program | None:
        """The solution that is judged again and mutated: one in Python if there is one, the shortest of them."""
        order = sorted(self.agreeing, key=lambda p: (p.language is not Language.PYTHON, len(p.source), p.source))
        return order[0] if order else None

    def constant(self) -> str:
        """A program that always prints the most frequent output."""
        counts = Counter(" ".join(k.output.split()) for k in self.kept)
        text = min(counts, key=lambda text: (-counts[text], text))
        return f"print({text!r})"


Outcome = tuple[Drop | None, str, Quality]


def _examined(exam: _Exam, held: Poll, majority: Majority, quality: Quality) -> Outcome:
    """The first bar that a suite misses, if any; later ones are then not measured."""
    bars, kept = exam.bars, len(exam.kept)
    if not quality.voted:
        return Drop.FEW_TESTS, "there is no usable input", quality
    if len(held.voters) < majority.least:
        left = ", ".join(f"{len(numbers)} {why}" for why, numbers in held.left_out.items())
        return Drop.NO_SOLUTIONS, f"{len(held.voters)} solutions can vote, {majority.least} are wanted ({left or 'none left out'})", quality
    if kept < max(1, bars.tests):
        return Drop.FEW_TESTS, f"{kept} of {quality.voted} inputs have an agreed output, {max(1, bars.tests)} are wanted", quality
    if quality.agreement is not None and quality.agreement < bars.agreement:
        return (
            Drop.LOW_AGREEMENT,
            f"{quality.agreement:.0%} of voters agree on a kept test, {bars.agreement:.0%} are wanted",
            quality,
        )
    reference = exam.reference()
    if reference is None or (again := exam.verdict(reference, whole=True)[0]) is not Judgement.ACCEPTED:
        said = "none agrees with the majority on every kept test" if reference is None else f"{again} when run again"
        return Drop.UNSTEADY, f"no solution passes the whole suite: {said}", quality
    return _controlled(exam, reference, quality)


def _controlled(exam: _Exam, reference: Program, quality: Quality) -> Outcome:
    (empty, _), (constant, passed) = exam.verdict(""), exam.verdict(exam.constant(), whole=True)
    quality = replace(quality, controls={"empty": empty.value, "constant": constant.value}, constant=passed)
    passing = [name for name, verdict in quality.controls.items() if verdict != Judgement.WRONG_ANSWER]
    if passing:
        return Drop.CONTROL_PASSES, f"the {passing[0]} program is judged {quality.controls[passing[0]]}", quality
    return _mutated(exam, reference, quality)


def _mutated(exam: _Exam, reference: Program, quality: Quality) -> Outcome:
    changed = mutants(reference.source, exam.bars.mutants, seed=exam.seed) if reference.language is Language.PYTHON else []
    judged = [(mutant, exam.verdict(mutant.source)[0]) for mutant in changed]
    judged = [(mutant, verdict) for mutant, verdict in judged if verdict is not Judgement.SANDBOX_ERROR]
    survivors = tuple(mutant.change for mutant, verdict in judged if verdict is Judgement.ACCEPTED)
    deaths = Counter(verdict.value for _, verdict in judged if verdict is not Judgement.ACCEPTED)
    kills = wilson(len(judged) - len(survivors), len(judged))
    quality = replace(quality, deaths=dict(sorted(deaths.items())), kills=kills, survivors=survivors)
    if not judged and exam.bars.kills > 0:
        return Drop.WEAK_TESTS, "no mutant of an agreeing solution can be made, so the suite cannot be examined", quality
    if judged and kills.value < exam.bars.kills:
        return Drop.WEAK_TESTS, f"{kills.n - len(survivors)} of {kills.n} mutants are killed, {exam.bars.kills:.0%} are wanted", quality
    return None, "", quality
