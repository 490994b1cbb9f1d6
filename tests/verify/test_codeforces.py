"""Outside data, where it is: programs that know the expected outputs pass tests of real statements, others do not.

    PROMPTCOT_DATA=DIR python -m pytest -m slow tests/verify/test_codeforces.py

DIR holds codeforces.jsonl: rows with `tests`, a list of {"input", "output"}.
"""

import json
import os
from pathlib import Path

import pytest

from promptcot.sandbox.limits import Limits
from promptcot.sandbox.programs import Language, Program
from promptcot.verify.programs import Judgement, Test, judge

pytestmark = pytest.mark.usefixtures("sandbox")

LIMITS = Limits(cpu_s=5, wall_s=60)


def problems(count: int) -> list[list[Test]]:
    path = Path(os.environ.get("PROMPTCOT_DATA", "")) / "codeforces.jsonl"
    if not path.is_file():
        pytest.skip("no codeforces.jsonl below PROMPTCOT_DATA")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [[Test(test["input"], test["output"]) for test in row["tests"]] for row in rows if row["tests"]][:count]


@pytest.mark.slow
def test_tests_of_real_statements_tell_right_from_wrong():
    for tests in problems(30):
        known = {test.input: test.output for test in tests}
        cheat = Program(f"import sys\nprint({known!r}[sys.stdin.read()])", Language.PYTHON)
        assert judge(cheat, tests, LIMITS).verdict is Judgement.ACCEPTED
        assert judge(Program("", Language.PYTHON), tests, LIMITS, stop_early=True).verdict is Judgement.WRONG_ANSWER
