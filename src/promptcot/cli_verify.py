"""Verbs that verify: answers against answers, samples against one another, programs against tests."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from promptcot.errors import UsageError

if TYPE_CHECKING:
    from promptcot.verify.programs import Judged

SCHEMA = 1


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("verify-answers")(verify_answers)
    app.command("calibrate-votes")(calibrate_votes)
    app.command("run-program")(run_program)


FallbackOption = Annotated[str, typer.Option(help="Without a box: none, marked (`Final answer: ...`) or last_number.")]
IntegersOption = Annotated[bool, typer.Option("--integers", help="Contest mode: nothing but an integer is an answer.")]
PercentOption = Annotated[str, typer.Option(help="Whether 50% is 50 (unit) or 0.5 (fraction).")]


def verify_answers(
    source: Annotated[Path, typer.Argument(metavar="IN.jsonl", help="Rows {id, a, b}: a reference, b prediction.")],
    target: Annotated[Path | None, typer.Option("--out", help="Where verdicts go; default: stdout.")] = None,
    fallback: FallbackOption = "marked",
    percent: PercentOption = "unit",
    integers: IntegersOption = False,
) -> None:
    """Are two answers the same? Rows {id, verdict}, in order: equal, different or unknown."""
    from promptcot import api
    from promptcot.lines import read_lines, write_lines
    from promptcot.progress import say

    policy = _policy(fallback, percent, integers)
    rows = list(read_lines(source, {"id": (str, int), "a": (str, int, float), "b": (str, int, float)}))
    found = list(api.verify_answers(rows, policy=policy, say=say))
    if target is not None:
        write_lines(target, found)
    else:
        print("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found), end="")
    counts = Counter(row["verdict"] for row in found)
    say(", ".join(f"{verdict} {counts[verdict]}" for verdict in ("equal", "different", "unknown")))


def calibrate_votes(
    source: Annotated[Path, typer.Argument(metavar="IN.jsonl", help="Rows {id, answer, samples}: problems with known answers.")],
    precision: Annotated[float, typer.Option(min=0.5, max=1.0, help="The wanted share of right labels (its lower 95% bound).")] = 0.9,
    fallback: FallbackOption = "marked",
    percent: PercentOption = "unit",
    integers: IntegersOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """How many draws must agree for a voted label to be right often enough, and what share of problems then has one. Exit code 4 where no
    agreement is enough."""
    from promptcot import api
    from promptcot.lines import read_lines
    from promptcot.progress import say

    rows = list(read_lines(source, {"id": (str, int), "answer": (str, int, float), "samples": list}))
    if len(rows) < 2:
        raise UsageError("a threshold is chosen on one half of the problems and judged on the other: give two at least", where=str(source))
    found = api.calibrate_votes(rows, precision, policy=_policy(fallback, percent, integers), say=say)
    if as_json:
        intervals = {name: [e.value, e.low, e.high, e.n] for name, e in (("precision", found.precision), ("coverage", found.coverage))}
        print(json.dumps({"schema": SCHEMA, "agree": found.agree, "reached": found.reached, **intervals}))
    else:
        print(f"agree: {found.agree}\nprecision: {found.precision}\ncoverage: {found.coverage}")
    if not found.reached:
        say(f"no agreement has a precision of {precision:g} (lower bound) on the half that chooses; printed is the best one")
        raise typer.Exit(4)


def _policy(fallback: str, percent: str, integers: bool) -> Any:
    from promptcot.verify.answers import Policy
    from promptcot.verify.extraction import Fallback
    from promptcot.verify.forms import Reading

    if fallback not in set(Fallback):
        raise UsageError(f"unknown fallback `{fallback}`", where="--fallback", remedy=", ".join(Fallback))
    if percent not in ("unit", "fraction"):
        raise UsageError(f"unknown reading of percent `{percent}`", where="--percent", remedy="unit or fraction")
    return Policy(Fallback(fallback), Reading(percent="unit" if percent == "unit" else "fraction", integers=integers))


def run_program(
    program: Annotated[Path, typer.Argument(metavar="PROGRAM", help="A source file.")],
    tests: Annotated[Path, typer.Option("--tests", help='JSON: [{"input": ..., "output": ...}, ...].')],
    language: Annotated[str, typer.Option(help="auto, python or cpp17.")] = "auto",
    function: Annotated[str, typer.Option(help="Call this Python function instead of stdin and stdout.")] = "",
    cpu_s: Annotated[float, typer.Option("--cpu-s", min=0.01, help="Seconds of CPU for a test.")] = 2.0,
    wall_s: Annotated[float, typer.Option("--wall-s", min=0.01, help="Seconds by the clock for a test.")] = 6.0,
    memory_mb: Annotated[int, typer.Option("--memory-mb", min=16, help="MiB of memory for a test.")] = 512,
    runner: Annotated[str, typer.Option(help="Address of a server that runs programs (SandboxFusion) instead of this machine.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Run an untrusted program on tests, in a sandbox. Exit code 5 where there is none."""
    from promptcot import api
    from promptcot.sandbox.limits import Limits

    limits = Limits(cpu_s, wall_s, memory_mb)
    judged = api.run_program(program, tests, language=language, function=function, limits=limits, runner=runner)
    if as_json:
        print(json.dumps(as_data(judged), ensure_ascii=False, indent=1))
    else:
        for test in judged.tests:
            print(f"{test.index:>4}  {test.verdict:<14} cpu {test.cpu_s:>7.3f} s   wall {test.wall_s:>7.3f} s")
        print(f"{judged.verdict}  ({judged.sandbox})")


def as_data(judged: Judged) -> dict[str, Any]:
    """The contract's form of a judgement."""
    tests = [{"index": t.index, "verdict": t.verdict, "cpu_s": round(t.cpu_s, 4), "wall_s": round(t.wall_s, 4)} for t in judged.tests]
    return {"schema": SCHEMA, "verdict": judged.verdict, "tests": tests, "sandbox": judged.sandbox}
