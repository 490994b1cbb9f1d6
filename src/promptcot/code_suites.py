"""A suite of unit tests by a recipe's settings, its report, and the same for a row of a file that brings solutions and inputs.

| in | out |
|---|---|
| `{id, samples: [solution, ...], tests: [{"input", "output"?}, ...]}` | `{id, status, tests, evidence, reason}` |

A solution is a completion with a program in a code block, or nothing but a program. What a row says of outputs decides nothing: solutions
vote on it (`verify.unittests`). `status` is `validated`, or why there is no suite; then `tests` is null and `reason` says it in words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from promptcot.intervals import Estimate
from promptcot.recipe import Code
from promptcot.sandbox.limits import Limits
from promptcot.sandbox.programs import Program
from promptcot.sandbox.runners import Runner
from promptcot.verify.ballots import Ballot, Majority
from promptcot.verify.candidates import Candidate
from promptcot.verify.program_text import extract, whole
from promptcot.verify.unittests import Bars, Suite, build

VALIDATED = "validated"
"""The status of a label whose suite passed all bars."""
GIVEN = "given"
"""The kind of an input that a row of a file brings."""
_SHOWN = 200
"""Characters of an input or output in the evidence; the tests themselves are whole."""


def limits_of(code: Code) -> Limits:
    """What a program may use on an input."""
    return Limits(cpu_s=code.cpu_s, wall_s=5 * code.cpu_s, memory_mb=code.memory_mb)


def majority_of(code: Code) -> Majority:
    """When solutions agree on an output."""
    return Majority(code.share, code.least, code.distinct)


def suite_of(candidates: Sequence[Candidate], programs: Mapping[int, Program], code: Code, runner: Runner, *, seed: int) -> Suite:
    """The vote and the bars as a recipe sets them."""
    bars = Bars(code.bars.tests, code.bars.agreement, code.bars.kills, code.bars.mutants)
    return build(candidates, programs, limits_of(code), majority=majority_of(code), bars=bars, runner=runner, seed=seed)


def programs_of(texts: Mapping[int, str | None], *, bare: bool = False) -> tuple[dict[int, Program], dict[str, int]]:
    """Solutions by number, and how many texts hold none; None is a text that was cut. `bare`: a text may be a program without a block."""
    programs, silent = dict[int, Program](), Counter[str]()
    for number, text in texts.items():
        found = None if text is None else extract(text) or (whole(text) if bare else None)
        if found is None:
            silent["truncated" if text is None else "no_program"] += 1
        else:
            programs[number] = found.program()
    return programs, dict(sorted(silent.items()))


def tests_of(suite: Suite) -> list[dict[str, str]]:
    """The tests that were kept."""
    return [{"input": t.input, "output": t.output} for t in suite.tests]


# rows of files


def is_code(row: Mapping[str, Any]) -> bool:
    """Whether a row brings inputs of programs; others are voted over."""
    return row.get("tests") is not None


def wrong_with(row: Mapping[str, Any]) -> str:
    """What is wrong with the `tests` of a row, "" for nothing."""
    if not is_code(row):
        return ""
    if not isinstance(row["tests"], list):
        return f"`tests` is {type(row['tests']).__name__}, not list"
    for number, test in enumerate(row["tests"]):
        if not isinstance(test, dict) or not _plain(test.get("input")):
            return f"`tests`, number {number}: a test is an object whose `input` is a text"
        if test.get("output") is not None and not _plain(test["output"]):
            return f"`tests`, number {number}: `output` is no text"
    return ""


def _plain(value: object) -> bool:
    """Whether a value is a text that can be written as UTF-8."""
    return isinstance(value, str) and not any("\ud800" <= char <= "\udfff" for char in value)


def labeled(row: Mapping[str, Any], code: Code, runner: Runner, *, seed: int = 0) -> dict[str, Any]:
    """The suite that a row's solutions agree on, or why there is none."""
    programs, silent = programs_of(dict(enumerate(row["samples"])), bare=True)
    candidates = [Candidate(test["input"], GIVEN, test.get("output")) for test in row["tests"]]
    suite = suite_of(candidates, programs, code, runner, seed=seed)
    counts = {"duplicates": suite.duplicates, "too_long": suite.too_long, "silent": silent}
    return {
        "id": row["id"],
        "status": VALIDATED if suite.why is None else suite.why.value,
        "tests": tests_of(suite) if suite.why is None else None,
        "evidence": {**report(suite), **counts},
        "reason": suite.detail,
    }


# the report


def report(suite: Suite) -> dict[str, object]:
    """A suite's quality and votes as JSON; long texts are shortened, solutions are named by their draw."""
    q = suite.quality
    quality = {
        "voted": q.voted,
        "kept": sum(q.kinds.values()),
        "kinds": dict(q.kinds),
        "agreement": q.agreement,
        "writer_right": _share(q.writer),
        "controls": dict(q.controls),
        "constant_passes": q.constant,
        "mutants_killed": _share(q.kills),
        "deaths": dict(q.deaths),
        "survivors": list(q.survivors),
    }
    left_out = {why: list(numbers) for why, numbers in suite.poll.left_out.items()}
    votes = [_row(ballot) for ballot in suite.poll.ballots]
    return {"quality": quality, "solutions": {"voters": list(suite.poll.voters), "left_out": left_out}, "votes": votes}


def _row(ballot: Ballot) -> dict[str, object]:
    given = ballot.candidate
    return {
        "input": given.input[:_SHOWN],
        "kind": given.kind,
        "expected": None if given.expected is None else given.expected[:_SHOWN],
        "outputs": [{"output": pile.output[:_SHOWN], "solutions": list(pile.solutions)} for pile in ballot.piles],
        "failures": {why: list(numbers) for why, numbers in ballot.failures.items()},
    }


def _share(e: Estimate | None) -> dict[str, object] | None:
    """A share with its n and interval; of nothing, there is no share."""
    if e is None or not e.n:
        return None
    return {"share": round(e.value, 4), "n": e.n, "low": round(e.low, 4), "high": round(e.high, 4), "level": e.level}
