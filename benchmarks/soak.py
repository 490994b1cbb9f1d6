"""Many programs, one in twenty of them hostile: no verdict may be lost, and nothing may be left of any.

    python -m benchmarks.soak [--programs 2000] [--workers 2]

Exit code 1 when a verdict is not the right one, or when processes, descriptors, mounts, control groups, temporary files or memory stay.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

from promptcot.sandbox import available
from promptcot.sandbox.limits import Limits
from promptcot.sandbox.programs import Language, Program
from promptcot.verify.programs import Judgement, Test, judge

LIMITS = Limits(cpu_s=1.0, wall_s=60, memory_mb=128, processes=20, output_mb=1, files_mb=8)
GROWTH_MB = 64  # of this process, over the whole soak
TESTS = [Test(str(n), str(n * n)) for n in (2, 3, 5)]

HONEST = (
    ("print(int(input()) ** 2)", "accepted"),
    ("n = int(input())\nprint(sum(n for _ in range(n)))", "accepted"),
    ("import sys\nn = int(sys.stdin.readline())\nsys.stdout.write(f'{n * n}   \\n\\n')", "accepted"),
    ("print(int(input()) * 2)", "wrong_answer"),
    ("print('4')", "wrong_answer"),
    ("pass", "wrong_answer"),
    ("print(1 // (int(input()) - 2))", "runtime_error"),
    ("import nowhere", "runtime_error"),
    ("def f(:", "compile_error"),
)
HOSTILE = (
    ("while True: pass", "time_limit"),
    ("x = [bytearray(b'x') * (1 << 20) for _ in range(900)]", "memory_limit"),
    ("while True: print('x' * 4096)", "output_limit"),
    ("import os\nwhile True:\n try: os.fork()\n except OSError: pass", "time_limit"),
    ("import os, time\nif os.fork() == 0:\n os.setsid()\n time.sleep(60)\nprint(0)", "wrong_answer"),
    ("import os\nfor pid in (-1, 1):\n try: os.kill(pid, 9)\n except OSError: pass\nprint(0)", "wrong_answer"),
    ("open('/tmp/x', 'wb').write(b'x' * (64 << 20))", "runtime_error"),
    ("print(open('/etc/passwd').read())", "runtime_error"),
    ("import os\nos.closerange(0, 99)\nos.abort()", "runtime_error"),
)


@dataclass(frozen=True)
class Traces:
    """What a sandbox could leave behind on this machine."""

    processes: int
    descriptors: int
    mounts: int
    temporary: int
    groups: int

    @classmethod
    def now(cls) -> Traces:
        """Children of this process and theirs; the rest as the machine has it."""
        return cls(
            len(list(_children(os.getpid()))),
            len(os.listdir("/proc/self/fd")),
            len(Path("/proc/self/mountinfo").read_text().splitlines()),
            sum("sandbox" in name for name in os.listdir(tempfile.gettempdir())),
            sum(map(_dead, Path("/sys/fs/cgroup").glob("**/promptcot-sandbox-*"))),
        )


def _children(pid: int) -> Iterator[int]:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (thread / "children").read_text().split()):
            yield child
            yield from _children(child)


def _dead(group: Path) -> bool:
    """Whether the keeper named by a group is gone."""
    return not Path(f"/proc/{group.name.rpartition('-')[2]}").exists()


def _compared(before: Traces, after: Traces) -> Iterator[tuple[str, int, int]]:
    for field in fields(Traces):
        yield field.name, getattr(before, field.name), getattr(after, field.name)


def programs(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """(source, right verdict), the same for the same arguments."""
    draw = random.Random(seed)
    return [draw.choice(HOSTILE if n % 20 == 7 else HONEST) for n in range(count)]


def soak(count: int, workers: int) -> list[str]:
    """What went wrong; empty when nothing did."""
    available()
    chosen = programs(count)
    judge(Program(HONEST[0][0], Language.PYTHON), TESTS, LIMITS)
    before, memory, began = Traces.now(), _memory_mb(), time.monotonic()
    with ThreadPoolExecutor(workers) as pool:
        found = list(pool.map(lambda item: judge(Program(item[0], Language.PYTHON), TESTS, LIMITS).verdict, chosen))
    seconds, after, grown = time.monotonic() - began, Traces.now(), _memory_mb() - memory
    faults = Counter(f"{source[:60]!r}: {got}, not {right}" for (source, right), got in zip(chosen, found, strict=True) if got != right)
    wrong = [f"{n} x {text}" for text, n in faults.items()]
    left = [f"{name}: {now}, before {then}" for name, then, now in _compared(before, after) if now > then]
    if grown > GROWTH_MB:
        left.append(f"memory: {grown:.0f} MB more")
    lost = found.count(Judgement.SANDBOX_ERROR)
    print(f"{count} programs, {len(TESTS) * count} tests, {seconds:.0f} s; lost {lost}; memory +{grown:.0f} MB")
    print(", ".join(f"{verdict} {n}" for verdict, n in sorted(Counter(map(str, found)).items())))
    return wrong + left


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--programs", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    faults = soak(asked.programs, asked.workers)
    for fault in faults:
        print(fault)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
