"""The verifying verbs as scripts use them: rows in, rows out in order, and errors that name the line."""

import json
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from promptcot import api
from promptcot.cli import app
from promptcot.errors import UsageError
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
