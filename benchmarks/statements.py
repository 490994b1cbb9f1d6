"""Tests of real statements: programs whose verdict is known, judged on the tests of every statement of a file.

    python -m benchmarks.programs --data DIR [--statements 100]

DIR holds codeforces.jsonl: rows with `tests`, a list of {"input", "output"}. No program there solves anything: one knows the outputs, the
others are that one with a planted fault. So this says whether verdicts are right on real inputs and outputs, not whether tests are good.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from promptcot.intervals import wilson
from promptcot.sandbox.limits import Limits
from promptcot.sandbox.programs import Language, Program
from promptcot.verify.programs import Judgement, Test, judge

FILE = "codeforces.jsonl"
LIMITS = Limits(cpu_s=1, wall_s=60)
Tests = Sequence[Test]


def statements(folder: Path, count: int | None = None) -> list[list[Test]]:
    """The tests of the first statements that have any."""
    rows = [json.loads(line) for line in (folder / FILE).read_text(encoding="utf-8").splitlines() if line.strip()]
    return [[Test(test["input"], test["output"]) for test in row["tests"]] for row in rows if row["tests"]][:count]


def knowing(tests: Tests, then: str = "") -> str:
    """A program that knows the outputs; `then` is done with the list of all inputs, `given` and `said` at hand."""
    known = {test.input.encode(): test.output for test in tests}
    return f"import sys\nknown = {known!r}\ngiven = sys.stdin.buffer.read()\nsaid = known[given]\n{then}\nprint(said)"


_OTHER_SPACES = "said = '\\n'.join(' '.join(line.split()) for line in said.split('\\n')) + ' \\n\\n'"
_LAST = "given == list(known)[-1]"
PROGRAMS: dict[str, tuple[Callable[[Tests], str], Judgement]] = {
    "knows the outputs": (knowing, Judgement.ACCEPTED),
    "other spaces and lines": (lambda t: knowing(t, _OTHER_SPACES), Judgement.ACCEPTED),
    "one token more, last test": (lambda t: knowing(t, f"if {_LAST}: said += ' 0'"), Judgement.WRONG_ANSWER),
    "one token less, last test": (lambda t: knowing(t, f"if {_LAST}: said = ' '.join(said.split()[:-1])"), Judgement.WRONG_ANSWER),
    "raises, last test": (lambda t: knowing(t, f"if {_LAST}: raise ValueError"), Judgement.RUNTIME_ERROR),
    "empty": (lambda t: "", Judgement.WRONG_ANSWER),
    "never ends, last test": (lambda t: knowing(t, f"while {_LAST}: pass"), Judgement.TIME_LIMIT),
}
"""Each program by name: its source, and the verdict that it must get."""


@dataclass(frozen=True)
class Row:
    """One program over all statements."""

    name: str
    wanted: Judgement
    right: int
    statements: int
    tests: int
    seconds: float


def judged(given: Sequence[Tests], names: Sequence[str] = tuple(PROGRAMS)) -> Iterator[Row]:
    """Every program on every statement's tests."""
    for name in names:
        source, wanted = PROGRAMS[name]
        right = tests = 0
        began = time.perf_counter()
        for one in given:
            found = judge(Program(source(one), Language.PYTHON), one, LIMITS, stop_early=True)
            right += found.verdict is wanted
            tests += len(found.tests)
        yield Row(name, wanted, right, len(given), tests, time.perf_counter() - began)


def table(rows: Iterator[Row]) -> Iterator[str]:
    """Lines of a table, each as its program is done."""
    yield f"{'program':<28}{'must be':<15}{'so judged':>11}  {'share (95 %, Wilson)':<24}{'tests':>6}{'ms a test':>11}"
    for row in rows:
        share = wilson(row.right, row.statements)
        told = f"{share.value:.3f} [{share.low:.3f}, {share.high:.3f}]"
        counts = f"{row.right}/{row.statements}"
        yield f"{row.name:<28}{row.wanted:<15}{counts:>11}  {told:<24}{row.tests:>6}{1000 * row.seconds / max(1, row.tests):>11.1f}"
