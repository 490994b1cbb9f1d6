"""What isolation costs: our sandbox, shared by a program's tests, beside one plain process a test and one sandbox a test.

    python -m benchmarks.programs [--tests 20] [--repeats 5]
    python -m benchmarks.programs --data DIR [--statements 100]      # verdicts on the tests of real statements: `statements`

Ratios of times taken in turn, median with [smallest, largest]; milliseconds a test depend on the machine and what else it does.
The plain process protects nothing: it is what a grader without a sandbox pays.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from pathlib import Path

from benchmarks.ratios import alternate, paired, spread
from benchmarks.statements import FILE, judged, statements, table
from benchmarks.statements import LIMITS as LIMITS_THERE
from promptcot.sandbox import available
from promptcot.sandbox.bubblewrap import interpreter
from promptcot.sandbox.limits import Limits
from promptcot.sandbox.programs import Language, Program, Status, run

SOURCE = "print(int(input()) ** 2)"
LIMITS = Limits(wall_s=60)


def shared(tests: int) -> float:
    """One sandbox for all tests."""
    return _timed(Program(SOURCE, Language.PYTHON), [b"%d\n" % n for n in range(tests)])


def apart(tests: int) -> float:
    """A sandbox for each."""
    return sum(_timed(Program(SOURCE, Language.PYTHON), [b"%d\n" % n]) for n in range(tests))


def plain(tests: int) -> float:
    """A process for each, unprotected."""
    began = time.perf_counter()
    for n in range(tests):
        done = subprocess.run([interpreter(), "-I", "-c", SOURCE], input=b"%d\n" % n, capture_output=True, check=True)
        assert int(done.stdout) == n * n
    return time.perf_counter() - began


def _timed(program: Program, inputs: list[bytes]) -> float:
    began = time.perf_counter()
    for given, ran in zip(inputs, run(program, inputs, LIMITS), strict=True):
        assert ran.status is Status.EXITED
        assert int(ran.stdout) == int(given) ** 2
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tests", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--data", type=Path, help=f"a folder with {FILE}: judge programs with known verdicts on its statements' tests")
    parser.add_argument("--statements", type=int, default=100)
    asked = parser.parse_args()
    if asked.data is not None:
        print(f"{available().kind}; {LIMITS_THERE.cpu_s:g} s of CPU a test")
        for line in table(judged(statements(asked.data, asked.statements))):
            print(line, flush=True)
        return
    print(f"{available().kind}; {asked.tests} tests of one Python program, {asked.repeats} repeats")
    measures = {"shared": lambda _: shared(asked.tests), "apart": lambda _: apart(asked.tests), "plain": lambda _: plain(asked.tests)}
    found = alternate(measures, asked.repeats)
    for name, seconds in found.items():
        print(f"{name:<8} {spread([1000 * s / asked.tests for s in seconds], 1)} ms a test")
    print(f"shared / plain  {spread(paired(found['shared'], found['plain']))}")
    print(f"apart / plain   {spread(paired(found['apart'], found['plain']))}")
    print(f"apart / shared  {spread(paired(found['apart'], found['shared']))}")


if __name__ == "__main__":
    main()
