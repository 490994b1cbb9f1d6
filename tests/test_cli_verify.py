"""The verifying verbs as scripts use them: rows in, rows out in order, and errors that name the line."""

import json
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from promptcot import api
from promptcot.cli import app
from promptcot.errors import MissingHere, UsageError
from promptcot.lines import read_lines, write_lines

PAIRS = [("1/2", "0.5", "equal"), ("3", r"so \boxed{4}", "different"), ("12", "<think>12", "different")]


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def run(*args: str):
    return CliRunner().invoke(app, list(args))


def test_answers_are_verified_in_order(tmp_path):
    source = lines(tmp_path / "in.jsonl", [{"id": n, "a": a, "b": b} for n, (a, b, _) in enumerate(PAIRS)])
    done = run("verify-answers", source)
    assert done.exit_code == 0
    assert [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")] == [
        {"id": n, "verdict": verdict} for n, (_, _, verdict) in enumerate(PAIRS)
    ]
    out = tmp_path / "new" / "out.jsonl"
    assert run("verify-answers", source, "--out", str(out)).exit_code == 0
    assert len(out.read_text().splitlines()) == 3


def test_policies_are_options(tmp_path):
    source = lines(tmp_path / "in.jsonl", [{"id": "p", "a": "0.5", "b": r"50\%"}, {"id": "i", "a": "2", "b": r"\boxed{4/2}"}])
    out = tmp_path / "out.jsonl"
    run("verify-answers", source, "--percent", "fraction", "--integers", "--out", str(out))
    assert [json.loads(line)["verdict"] for line in out.read_text().splitlines()] == ["different", "different"]
    run("verify-answers", source, "--percent", "fraction", "--out", str(out))
    assert [json.loads(line)["verdict"] for line in out.read_text().splitlines()] == ["equal", "equal"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"id": 1, "a": "2"}', "`b` is missing"),
        ("\n{not json", "line 2"),
        ("[1]", "JSON object"),
        ('{"id": 1, "a": "2", "b": []}', "`b` is list, not str or int or float"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_written(tmp_path, text, says):
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(text, encoding="utf-8")
    done = run("verify-answers", str(source), "--out", str(out))
    assert isinstance(done.exception, UsageError)
    assert says in str(done.exception)
    assert not out.exists()


def test_unknown_options_are_refused_with_what_there_is(tmp_path):
    source = lines(tmp_path / "in.jsonl", [{"id": 1, "a": "1", "b": "1"}])
    for option, value in (("--fallback", "guess"), ("--percent", "half")):
        assert isinstance(run("verify-answers", source, option, value).exception, UsageError)


def test_samples_of_a_file_are_voted_on(tmp_path):
    rows = [{"id": "x", "samples": [r"\boxed{1/2}"] * 5 + [r"\boxed{2}"]}, {"id": "y", "samples": ["?"] * 6}]
    out = tmp_path / "out.jsonl"
    done = run("label", "--in", lines(tmp_path / "in.jsonl", rows), "--out", str(out), "--set", "label.agree=5")
    assert done.exit_code == 0
    found = [json.loads(line) for line in out.read_text().splitlines()]
    told = [(row["id"], row["status"], row["answer"], row["agree"]) for row in found]
    assert told == [("x", "agreed", "1/2", 5), ("y", "no_answer", None, 0)]
    assert found[0]["clusters"][1] == {"answer": "2", "draws": [5]}
    with pytest.raises(UsageError, match="something else than texts"):
        api.label(lines(tmp_path / "bad.jsonl", [{"id": 1, "samples": [1]}]), out)


SOLUTIONS = [
    "n = int(input())\nprint(n * 2 if n > 10 else n + 10)",
    "Thinking.\n```python\nn = int(input())\nif n <= 10:\n    print(10 + n)\nelse:\n    print(n + n)\n```\n",
    "import sys\nn = int(sys.stdin.read())\nprint([n + 10, 2 * n][n > 10])",
    "n = int(input())\nprint(n * 2)",
    "I do not know.",
]
INPUTS = [{"input": "3\n", "output": "6"}, {"input": "10", "output": None}, *({"input": f"{n}\n"} for n in (11, 12, 40))]
CODE = {"id": "c", "samples": SOLUTIONS, "tests": INPUTS}
VOTE = {"id": "m", "samples": [r"\boxed{1/2}"] * 5, "tests": None}


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
def test_rows_with_tests_become_suites_beside_votes(tmp_path):
    rows, out = [CODE, VOTE, {**CODE, "id": "few", "tests": INPUTS[:2]}], tmp_path / "out.jsonl"
    done = run("label", "--in", lines(tmp_path / "in.jsonl", rows), "--out", str(out), "--set", "label.code.cpu_s=0.5")
    assert done.exit_code == 0
    code, vote, few = (json.loads(line) for line in out.read_text().splitlines())
    assert (code["id"], code["status"], code["reason"]) == ("c", "validated", "")
    assert [(t["input"], t["output"].strip()) for t in code["tests"]] == [
        ("3\n", "13"), ("10\n", "20"), ("11\n", "22"), ("12\n", "24"), ("40\n", "80")
    ]  # fmt: skip
    assert code["evidence"]["silent"] == {"no_program": 1}
    assert code["evidence"]["quality"]["writer_right"]["n"] == 1
    assert [o["solutions"] for o in code["evidence"]["votes"][0]["outputs"]] == [[0, 1, 2], [3]]
    assert (vote["id"], vote["status"], vote["answer"]) == ("m", "agreed", "1/2")
    assert (few["status"], few["tests"]) == ("few_tests", None)
    assert few["reason"] == "2 of 2 inputs have an agreed output, 4 are wanted"
    [less] = api.label(lines(tmp_path / "less.jsonl", [rows[2]]), out, overrides=["label.code.bars.tests=2", "label.code.bars.kills=0"])
    assert less["status"] == "validated"


def test_rows_with_tests_need_a_sandbox_and_others_do_not(tmp_path, monkeypatch):
    def absent() -> None:
        raise MissingHere("no sandbox here", remedy="apt-get install bubblewrap")

    monkeypatch.setattr("promptcot.sandbox.runners.available", absent)
    out = tmp_path / "out.jsonl"
    done = run("label", "--in", lines(tmp_path / "in.jsonl", [VOTE, CODE]), "--out", str(out))
    assert isinstance(done.exception, MissingHere)
    assert done.exception.exit_code == 5
    assert not out.exists()
    assert run("label", "--in", lines(tmp_path / "votes.jsonl", [VOTE]), "--out", str(out)).exit_code == 0


@pytest.mark.parametrize(
    ("tests", "says"),
    [
        ({"input": "1"}, "`tests` is dict, not list"),
        ([{"output": "1"}], "`tests`, number 0: a test is an object"),
        ([{"input": "1"}, {"input": "1", "output": 2}], "`tests`, number 1: `output` is no text"),
        ([{"input": "\ud800"}], "`tests`, number 0"),
    ],
)
def test_inputs_that_cannot_be_read_are_named_by_their_line(tmp_path, tests, says):
    with pytest.raises(UsageError, match=f"{says}(.|\n)*line 2"):
        api.label(lines(tmp_path / "in.jsonl", [VOTE, {**CODE, "tests": tests}]), tmp_path / "out.jsonl")


def test_a_threshold_is_calibrated_on_known_answers(tmp_path):
    chance = random.Random(1)
    rows = []
    for n in range(200):
        p = chance.choice([0.2, 0.9])
        samples = [r"\boxed{1}" if chance.random() < p else rf"\boxed{{{chance.randint(2, 4)}}}" for _ in range(8)]
        rows.append({"id": n, "answer": "1", "samples": samples})
    source = lines(tmp_path / "in.jsonl", rows)
    done = run("calibrate-votes", source, "--precision", "0.9", "--json")
    assert done.exit_code == 0
    found = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    assert found["reached"]
    assert 3 <= found["agree"] <= 7
    assert found["coverage"][3] == 100
    assert run("calibrate-votes", source, "--precision", "1.0").exit_code == 4


def test_a_device_is_written_to_as_it_is():
    assert write_lines(Path("/dev/null"), [{"a": 1}]) == 1
    assert Path("/dev/null").is_char_device()


def test_lines_come_back(tmp_path):
    rows = [{"id": 1, "x": "é"}, {"id": 2, "x": ""}]
    assert write_lines(tmp_path / "a.jsonl", rows) == 2
    assert list(read_lines(tmp_path / "a.jsonl", {"id": int, "x": str})) == rows
