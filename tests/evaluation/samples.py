"""Made-up rows, in the shapes that benchmarks are published in."""

import base64
import json
import pickle
import zlib
from pathlib import Path
from typing import Any


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def sums(count: int) -> list[dict[str, Any]]:
    """Rows with answers."""
    return [{"id": f"s-{i}", "problem": f"What is {i} plus {i}?", "answer": str(2 * i)} for i in range(count)]


def packed(value: Any, protocol: int = 4) -> str:
    """As hidden tests are published."""
    return base64.b64encode(zlib.compress(pickle.dumps(value, protocol))).decode()


def doubling(number: int, date: str = "2024-08-03T00:00:00", **more: Any) -> dict[str, Any]:
    """A LiveCodeBench row: stdin and stdout, one public and two hidden tests."""
    tests = [{"input": f"{i}\n", "output": f"{2 * i}\n", "testtype": "stdin"} for i in range(3)]
    return {
        "question_title": "Double",
        "question_content": f"Read a number, print its double. Variant {number}.",
        "platform": "atcoder",
        "question_id": f"abc900_{number}",
        "contest_id": "abc900",
        "contest_date": date,
        "starter_code": "",
        "difficulty": "easy",
        "public_test_cases": json.dumps(tests[:1]),
        "private_test_cases": packed(json.dumps(tests[1:])),
        "metadata": "{}",
    } | more


def method(**more: Any) -> dict[str, Any]:
    """A LiveCodeBench row: a method that is called."""
    tests = [{"input": "[1, 2]\n3", "output": "6", "testtype": "functional"}, {"input": "[]\n0", "output": "0", "testtype": "functional"}]
    return (
        doubling(1)
        | {
            "platform": "leetcode",
            "question_id": "9001",
            "starter_code": "class Solution:\n    def total(self, xs: List[int], y: int) -> int:\n        ",
            "public_test_cases": json.dumps(tests[:1]),
            "private_test_cases": json.dumps(tests[1:]),
            "metadata": json.dumps({"func_name": "total"}),
        }
        | more
    )
