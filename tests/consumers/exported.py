"""Exported benchmarks, and for each question two replies whose verdicts are known: what a tool must find."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from promptcot import api
from promptcot.evaluation.benchmarks import human_eval
from promptcot.evaluation.benchmarks import load as load_benchmark
from tests.evaluation.samples import sums, write

PROGRAMS = [
    {"id": "double", "problem": "Print twice the number read.", "tests": [{"input": f"{n}\n", "output": f"{2 * n}\n"} for n in (0, 2)]},
    {"id": "add", "problem": "Add.", "function": "add", "starter": "def add(a, b):", "tests": [{"input": [1, 2], "output": 3}]},
]


def block(code: str) -> str:
    return f"This should do.\n```python\n{code}\n```"


@dataclass(frozen=True)
class Known:
    """A written folder, the task's name, the replies to each prompt, and what they come to; `verdicts` by the question's name."""

    folder: Path
    task: str
    replies: dict[str, list[str]]
    verdicts: dict[str, list[str]]
    acc: float
    format: float


def answers(tmp_path: Path, to: str) -> Known:
    """Answers."""
    name = write(tmp_path / "sums.jsonl", sums(3))
    replies = [[r"\boxed{0}", r"so \boxed{\frac{0}{7}}"], ["Final answer: 2", r"\boxed{3}"], ["no idea", r"\boxed{5}"]]
    verdicts = [["correct", "correct"], ["correct", "wrong"], ["no_answer", "wrong"]]
    return known(tmp_path, to, str(name), replies, verdicts, acc=1 / 2, format=5 / 6)


def programs(tmp_path: Path, to: str) -> Known:
    """Programs, with tests."""
    name = write(tmp_path / "programs.jsonl", PROGRAMS)
    replies = [
        [block("print(2 * int(input()))"), block("print(4)")],
        [block("def add(a, b):\n    return a + b"), "def, I suppose, but I give up"],
    ]
    return known(tmp_path, to, str(name), replies, [["correct", "wrong"], ["correct", "no_answer"]], acc=1 / 2, format=3 / 4)


def functions(tmp_path: Path, to: str) -> Known:
    """Two problems of HumanEval: the published solution, and one that does nothing."""
    asked = load_benchmark(human_eval.NAME, rows=2).questions
    solutions = {row.data["task_id"]: row.data["prompt"] + row.data["canonical_solution"] for row in human_eval.rows() if row.data}
    replies = [[block(solutions[q.name]), block(f"{q.starter}    return None")] for q in asked]
    return known(tmp_path, to, human_eval.NAME, replies, [["correct", "wrong"]] * 2, acc=1 / 2, format=1.0)


BENCHMARKS: list[Callable[[Path, str], Known]] = [answers, programs, functions]


def known(tmp_path: Path, to: str, name: str, replies: list[list[str]], verdicts: list[list[str]], *, acc: float, format: float) -> Known:
    """Export, and align the replies with the questions."""
    done = api.export_benchmark(name, to, tmp_path / "out", settings={"samples": 2, "rows": len(replies)})
    rows = read(done.folder)
    by_prompt = dict(zip([row["prompt"] for row in rows], replies, strict=True))
    by_name = dict(zip([row["name"] for row in rows], verdicts, strict=True))
    return Known(done.folder, done.task, by_prompt, by_name, acc, format)


def read(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()]


def without_a_reference(folder: Path) -> None:
    """Take the first question's answer away: the verifier then fails on all attempts at it."""
    first, *others = read(folder)
    write(folder / "questions.jsonl", [first | {"reference": " "}, *others])
