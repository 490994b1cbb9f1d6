"""Finished runs beside one another: EM by round, and an ablation table."""

import json
import math

import pytest

from promptcot import api
from promptcot.analysis import curves
from promptcot.records import Health
from promptcot.store import Run
from promptcot.tables import from_table
from tests.runs import Shell, jsonl, recipe, script
from tests.test_pipeline import tabular

BOATS = [{"id": str(n), "problem": f"How many boats are on lake {name}?", "answer": "7"} for n, name in enumerate(("Abel", "Bede", "Cady"))]


@pytest.fixture(scope="module")
def em_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("em")
    api.run(tabular(folder), folder=folder / "run")
    return folder / "run"


def test_em_by_round_is_what_the_rounds_stored(em_run):
    run = Run.open(em_run)
    points = curves.rounds(run)
    stored = [from_table(api.open(em_run)[f"em/{n}/health"], Health)[0] for n in range(1, len(points))]
    assert [p.round for p in points] == list(range(len(points)))
    assert len(points) >= 2
    for point, health in zip(points[1:], stored, strict=True):
        assert (point.bound.value, point.bound.low, point.bound.high) == health.bound_new
    assert points[0].bound.value == stored[0].bound_best[0]


def evaluated(folder, answer):
    model = script(folder / "model", ("Abel", r"\boxed{7}"), default=answer)
    section = {"benchmarks": [str(jsonl(folder / "boats.jsonl", BOATS))], "sample": {"max_tokens": 200}}
    path = recipe(folder, models={"solver": str(model)}, inputs={}, synthesize=None, screen=None, evaluate=section)
    api.run(path, folder=folder / "run")
    return folder / "run"


def test_scores_of_later_runs_are_held_against_the_first(tmp_path, monkeypatch, capsys):
    runs = [evaluated(tmp_path / name, answer) for name, answer in (("one", "no idea"), ("two", r"\boxed{7}"))]
    first, second = curves.ablation([Run.open(run) for run in runs])
    assert first.scores[0].difference is None
    assert second.scores[0].accuracy.value == 1
    assert second.scores[0].difference is not None
    assert second.scores[0].difference.value == pytest.approx(2 / 3)
    assert second.scores[0].difference.n == 3
    shell = Shell(monkeypatch, capsys)
    found = json.loads(shell("curves", *runs, "--json").out)
    assert found["runs"][1]["scores"][0]["difference"]["value"] == pytest.approx(2 / 3)
    assert "less the first run's" in shell("curves", *runs).out


def test_what_was_kept_has_its_interval(tmp_path):
    api.run(recipe(tmp_path), folder=tmp_path / "run")
    [row] = curves.ablation([Run.open(tmp_path / "run")])
    assert (row.rule, row.rounds, row.gain) == ("", 0, None)
    assert row.parsed is not None
    assert row.kept is not None
    assert row.parsed.n == 12
    assert not math.isnan(row.kept.value)
