"""The samples of statements as judges write them, contradictions among them, and nothing read from prose."""

import json
import os
from pathlib import Path

import pytest

from promptcot.intervals import wilson
from promptcot.outcomes import Drop
from promptcot.recipe import Screen
from promptcot.screening import screen
from promptcot.statement_samples import Sample, contradiction, samples
from tests.test_screening import problem

ATCODER = """Print the sum.

Input

The input is given in the following format:
A B

Output

Print A+B.

Sample Input 1

3 4

Sample Output 1

7

Three and four are seven.

Sample Input 2

10
20

Sample Output 2

30"""
LEETCODE = """Return the largest number.

Example 1:

Input: nums = [3,9,4]
Output: 9
Explanation: 9 is the largest.

Example 2:

Input: nums = [1]
Output: 1

Constraints:
1 <= nums.length"""
FENCED = "Add.\n\n**Input:**\n```\n1 2\n```\n**Output:**\n```\n3\n```\n"
CODEFORCES = "Add.\n\nInput\n\nTwo integers a and b.\n\nOutput\n\nOne integer.\n\nExample\n\nInput\n\n1 2\n\nOutput\n\n3"


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (ATCODER, [Sample("3 4\n", "7\n"), Sample("10\n20\n", "30\n")]),
        (LEETCODE, [Sample("nums = [3,9,4]\n", "9\n"), Sample("nums = [1]\n", "1\n")]),
        (FENCED, [Sample("1 2\n", "3\n")]),
        (CODEFORCES, [Sample("1 2\n", "3\n")]),
        ("Input: one line with a word. Output: the tidied word, a space, and the number of letters deleted.", []),
        ("Add.\n\nInput\n\nTwo integers a and b.\n\nOutput\n\nOne integer.", []),
        ("", []),
        ("Sample Input 1\n\n3", []),
    ],
)
def test_samples_are_read_and_prose_is_not(statement, found):
    assert samples(statement) == found


def test_a_program_could_read_a_sample_unless_it_names_arguments():
    assert [s.from_stdin for s in samples(ATCODER)] == [True, True]
    assert not any(s.from_stdin for s in samples(LEETCODE))


def test_a_statement_that_says_two_things_of_one_input_contradicts_itself():
    twice = [Sample("1  2\n", "3"), Sample("1 2", "4")]
    assert "`3` and `4`" in contradiction(twice)
    assert not contradiction([Sample("1 2", "3"), Sample("1 2", " 3\n"), Sample("2 1", "4")])
    text = ATCODER.replace("10\n20", "3 4")
    row = problem("a", text)
    (gone,) = screen([type(row)(**{**{k: getattr(row, k) for k in row.__dataclass_fields__}, "domain": "code"})], [], Screen()).dropped
    assert (gone.reason, "`3 4`" in gone.detail) == (Drop.CONTRADICTION, True)
    assert screen([row], [], Screen()).kept == [row]


@pytest.mark.skipif("PROMPTCOT_DATA" not in os.environ, reason="needs the evaluation sets")
def test_every_sample_of_livecodebench_is_read_and_none_contradicts_another():
    lines = (Path(os.environ["PROMPTCOT_DATA"]) / "lcb_v5_statements.jsonl").read_text(encoding="utf-8").splitlines()
    found = [samples(json.loads(line)["problem"]) for line in lines]
    assert wilson(sum(map(bool, found)), len(found)).low > 0.98
    assert not any(map(contradiction, found))
