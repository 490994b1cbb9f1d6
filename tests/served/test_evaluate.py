"""A model behind a server is evaluated by its address alone."""

import json

import pytest

from tests.evaluation.test_stage import MATH, scores
from tests.evaluation.test_stage import REPLIES as BY_DRAW
from tests.runs import Shell, jsonl, script
from tests.served.server import Habits

REPLIES = BY_DRAW[:-1]  # a server knows no number of a draw


@pytest.fixture
def shell(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    return Shell(monkeypatch, capsys)


@pytest.fixture
def asked(tmp_path):
    return ["--benchmark", jsonl(tmp_path / "boats.jsonl", MATH), "--max-tokens", "2000", "--json", "--samples", "2"]


def test_a_server_is_evaluated_like_the_model_it_serves(shell, serve, asked, tmp_path):
    solver = script(tmp_path / "solver", *REPLIES)
    address = serve({"the-solver": solver}, Habits(key="secret")).url
    here = shell("evaluate", *asked, "--model", solver, "--run", tmp_path / "here").out
    shell.monkeypatch.setenv("SOME_KEY", "secret")
    there = shell("evaluate", *asked, "--model", address, "--key-env", "SOME_KEY", "--run", tmp_path / "there").out
    found, told = ({k: v for k, v in scores(out).items() if not k.startswith("tokens")} for out in (here, there))  # it counts its own way
    assert found == pytest.approx(told)
    assert json.loads(there)["results"][0]["path"] == "the-solver"
    assert "secret" not in "".join(p.read_text(errors="replace") for p in (tmp_path / "there").rglob("*.json"))


def test_one_of_several_served_models_can_be_named(shell, serve, asked, tmp_path):
    address = serve({"first": script(tmp_path / "first", default="none"), "second": script(tmp_path / "second", *REPLIES)}).url
    assert scores(shell("evaluate", *asked, "--model", address, "--served", "second").out)["avg@2"] > 0
    assert scores(shell("evaluate", *asked, "--model", address).out)["avg@2"] == 0


@pytest.mark.slow
def test_attempts_that_never_come_are_counted_and_in_no_score(shell, serve, asked, tmp_path):
    solver = script(tmp_path / "solver", *REPLIES)

    def plan(number, body):
        return "error" if "Cady" in json.dumps(body) else None

    address = serve({"solver": solver}, plan=plan).url
    found = json.loads(shell("evaluate", *asked, "--model", address).out)["results"][0]
    assert found["failed"] == 2
    assert next(s for s in found["scores"] if s["metric"] == "avg")["n"] == 5


@pytest.mark.slow
def test_a_server_that_is_not_there_is_named(shell, asked):
    assert "127.0.0.1:9" in shell("evaluate", *asked, "--model", "http://127.0.0.1:9/v1", "--set", "engines.default.retries=0", code=3).err
