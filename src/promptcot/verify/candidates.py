"""Candidate inputs of unit tests: from a writer's text and from programs that print them, near-duplicates collapsed.

    gather([Candidate("1 2\\n", "edge_case"), Candidate("1  2", "complex")])  ->  one candidate, one duplicate

Two inputs are the same when they differ in spaces within a line, at its end or after the last line only. Not checked here: whether an
input is valid; on one that is not, solutions may fail or disagree, and then the vote drops it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from promptcot.sandbox.limits import Limits
from promptcot.sandbox.programs import Program, Ran, Status
from promptcot.sandbox.runners import Prepared, Runner

LONGEST = 1 << 18
"""Characters of an input or output of a test; longer ones are left out and counted."""


@dataclass(frozen=True)
class Candidate:
    """An input, what kind it is, and the output that its writer expects, which is evidence and decides nothing."""

    input: str
    kind: str
    expected: str | None = None


@dataclass(frozen=True)
class Gathered:
    """Distinct candidates, with how many others were the same as one of them, and how many too long."""

    candidates: tuple[Candidate, ...]
    duplicates: int = 0
    too_long: int = 0


def gather(candidates: Iterable[Candidate]) -> Gathered:
    """The first of each set of near-duplicates. An input gets the end of line that many programs wait for."""
    found, duplicates, too_long = dict[tuple[tuple[str, ...], ...], Candidate](), 0, 0
    for candidate in candidates:
        text = candidate.input if not candidate.input or candidate.input.endswith("\n") else candidate.input + "\n"
        if len(text) > LONGEST:
            too_long += 1
        elif (key := _key(text)) in found:
            duplicates += 1
        else:
            found[key] = Candidate(text, candidate.kind, candidate.expected)
    return Gathered(tuple(found.values()), duplicates, too_long)


def _key(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(line.split()) for line in text.rstrip().split("\n"))


@dataclass(frozen=True)
class Generated:
    """Candidates that programs printed, and how their runs went: `printed`, or why there is no input, by number of runs."""

    candidates: tuple[Candidate, ...]
    runs: Mapping[str, int]


def generate(programs: Sequence[Program], seeds: Iterable[int], limits: Limits, runner: Runner, kind: str) -> Generated:
    """Run each generator with each seed as its input. One that prints something else for the same seed is not used at all."""
    seeds, found, runs = list(seeds), list[Candidate](), Counter[str]()
    for program in dict.fromkeys(programs):
        with runner.session(program, limits) as session:
            printed = {seed: _printed(session, seed) for seed in seeds}
            again = next((seed for seed, (text, _) in printed.items() if text), None)
            steady = again is None or _printed(session, again)[0] == printed[again][0]
        for text, how in printed.values():
            runs[how if steady else "nondeterministic"] += 1
            if steady and text:
                found.append(Candidate(text, kind))
    return Generated(tuple(found), dict(sorted(runs.items())))


def _printed(session: Prepared, seed: int) -> tuple[str, str]:
    """What a generator prints for a seed, empty where it gives no input, and how the run went."""
    text, how = said(session.run(b"%d\n" % seed))
    return text, how or "printed"


def said(ran: Ran) -> tuple[str, str]:
    """What a run printed and "", or "" and why that is no output: its status, `no_output`, `not_text` or `too_long`."""
    if ran.status is not Status.EXITED:
        return "", ran.status.value
    if len(ran.stdout) > 4 * LONGEST:
        return "", "too_long"
    try:
        text = ran.stdout.decode()
    except UnicodeDecodeError:
        return "", "not_text"
    if len(text) > LONGEST:
        return "", "too_long"
    return (text, "") if text.strip() else ("", "no_output")
