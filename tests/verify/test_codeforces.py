"""Outside data, where it is: programs that know the expected outputs pass tests of real statements, others do not.

    PROMPTCOT_DATA=DIR python -m pytest -m slow tests/verify/test_codeforces.py

DIR holds codeforces.jsonl: rows with `tests`, a list of {"input", "output"}. `python -m benchmarks.programs --data DIR` prints a table.
"""

import os
from pathlib import Path
from typing import Any

import pytest
from benchmarks.statements import FILE, PROGRAMS, judged, statements, table

from promptcot.verify.programs import Test
from tests.runs import jsonl

pytestmark = pytest.mark.usefixtures("sandbox")

ROWS: list[dict[str, Any]] = [{"tests": [{"input": "3\r\n", "output": "6\n7"}, {"input": "4", "output": "8 9 \n"}]}, {"tests": []}]


def problems(count: int) -> list[list[Test]]:
    folder = Path(os.environ.get("PROMPTCOT_DATA", ""))
    if not (folder / FILE).is_file():
        pytest.skip(f"no {FILE} below PROMPTCOT_DATA")
    return statements(folder, count)


@pytest.mark.slow
def test_tests_of_real_statements_tell_right_from_wrong():
    for row in judged(problems(30), ["knows the outputs", "one token less, last test", "empty"]):
        assert row.right == row.statements == 30, row.name


@pytest.mark.slow
def test_programs_of_known_verdict_get_it_on_a_small_file(tmp_path):
    jsonl(tmp_path / FILE, ROWS)
    given = statements(tmp_path)
    rows = list(judged(given))
    assert {row.name: (row.right, row.statements) for row in rows} == dict.fromkeys(PROGRAMS, (1, 1))
    assert len(list(table(iter(rows)))) == 1 + len(PROGRAMS)
