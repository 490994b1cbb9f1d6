"""Attempts at benchmarks are counted before they are paid for."""

import pytest

from promptcot import api
from promptcot.evaluation import asked
from promptcot.planning import planner
from promptcot.planning.machines import machine
from tests.evaluation.test_stage import MATH, REPLIES
from tests.runs import jsonl, script


def planned(tmp_path, *benchmarks, **settings):
    model = script(tmp_path / "model", *REPLIES)
    recipe = asked.recipe(str(model), [{"name": str(b)} for b in benchmarks], {"sample": {"max_tokens": 100}, **settings})
    return planner.plan_recipe(recipe, machine("CPU")).stage("evaluate")


def test_a_named_benchmark_is_counted_without_its_file(tmp_path):
    stage = planned(tmp_path, "math500", "aime24", samples=4)
    assert [p.step.rows.mid for p in stage.steps] == [2000, 120]
    assert [p.step.tokens.sampled.high for p in stage.steps] == [200_000, 12_000]


def test_a_file_is_read(tmp_path):
    (only,) = planned(tmp_path, jsonl(tmp_path / "boats.jsonl", MATH), rows=4).steps
    assert only.step.rows.mid == 4


def test_tries_lie_between_one_and_all(tmp_path):
    (only,) = planned(tmp_path, "aime24", samples=8, tries=True).steps
    assert (only.step.rows.low, only.step.rows.high) == (30, 240)


def test_the_estimate_holds_what_a_run_takes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    boats = jsonl(tmp_path / "boats.jsonl", MATH)
    stage = planned(tmp_path, boats, samples=3)
    done = api.evaluate(model=str(tmp_path / "model"), benchmarks=[str(boats)], settings={"samples": 3, "sample": {"max_tokens": 100}})
    assert stage.steps[0].step.rows.mid == len(done.results[0].attempts) == 18
    assert sum(a.tokens or 0 for a in done.results[0].attempts) <= stage.tokens.sampled.high == pytest.approx(1800)
