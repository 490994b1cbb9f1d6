"""What a run's report is filled with: nothing that the run did not measure, nothing of it left out."""

import json
from dataclasses import fields, replace

import pytest

import promptcot
from promptcot.gates import Gate
from promptcot.intervals import wilson
from promptcot.outcomes import Drop
from promptcot.recipes import load
from promptcot.records import ConceptSet, Dropped, Problem, Seed, content_hash
from promptcot.reporting.data import Facts, Origin
from promptcot.running import gather, open_recipe
from promptcot.summary import SHOWN, Parts, problem_rows, report_data, warnings
from promptcot.tables import to_json
from tests.runs import NO_REPLY, recipe, script
from tests.test_pipeline import tabular

ORIGIN = Origin(version="1", command="c", recipe="r")
SET = ConceptSet(id="c" * 32, concepts=("tides",), level="AIME")


def problem(name: str, **changes) -> Problem:
    common = {"concepts": SET.concepts, "level": "AIME", "rationale": "z", "draw": 1, "tokens": 10, "generator": "f" * 64}
    return Problem(id=name * 32, parents=(SET.id,), problem=name, log_p=-25.0, content_hash=content_hash(name), **{**common, **changes})


def drop(row: Problem, reason: Drop = Drop.NO_TASK) -> Dropped:
    return Dropped(id=row.id, parents=row.parents, reason=reason, detail="why", content=to_json(row))


def unparsed(text: str) -> Dropped:
    raw = json.dumps({"concepts": SET.concepts, "level": SET.level, "completion": text})
    return Dropped(id="9" * 32, parents=(SET.id,), reason=Drop.UNPARSABLE, detail="3 tokens", content=raw)


def test_every_completion_is_a_row_kept_ones_first():
    a, b = problem("a"), problem("b")
    rows = problem_rows(Parts(concept_sets=[SET], written=[b, a], kept=[a], screened_out=[drop(b)], unparsed=[unparsed("Hm.")]))
    assert [(row.problem, row.dropped, row.detail) for row in rows] == [
        ("a", None, ""),
        ("b", "no_task", "why"),
        ("Hm.", "unparsable", "3 tokens"),
    ]
    assert rows[0].scores == {"log p(z,x|c), nats": -25.0, "tokens": 10.0, "nats per token": 2.5}
    assert [(step.kind, step.text) for step in rows[0].lineage] == [("concept set", "AIME: tides"), ("generator", "draw 1")]


def test_rows_beyond_what_a_page_holds_are_counted():
    many = [replace(problem("a"), id=f"{n:032x}") for n in range(SHOWN + 2)]
    data = report_data(load("demo"), Parts(written=many, kept=many), ORIGIN, "")
    assert len(data.problems) == SHOWN
    assert data.problems_left_out == 2


def test_an_absent_stage_has_no_numbers():
    data = report_data(load("demo"), Parts(), ORIGIN, "")
    assert data.facts == Facts()
    assert (data.em, data.rounds, data.gates, data.funnel) == (None, (), (), ())


def test_a_row_of_one_s_own_without_scores_is_shown():
    assert problem_rows(Parts(kept=[problem("a", tokens=0)]))[0].scores["tokens"] == 0


@pytest.mark.parametrize(("at_least", "side"), [(True, "at least"), (False, "at most")])
def test_gates_keep_their_side_and_their_interval(at_least, side):
    gate = Gate("format_rate", wilson(3, 4), 0.5, at_least)
    (shown,) = report_data(load("demo"), Parts(gates=[gate]), ORIGIN, "").gates
    assert (shown.side, shown.limit, shown.value.n) == (side, 0.5, 4)
    assert shown.value.low == gate.value.low
    assert shown.passed is at_least


def test_a_reader_is_warned():
    seed = Seed(id="s", family="f", content_hash="h", problem="x")
    found = warnings(Parts(seeds=[seed, replace(seed, license="MIT")], gates=[Gate("copy_rate", wilson(40, 40), 0.5, False)]))
    assert any("gate copy_rate" in text for text in found)
    assert "1 seeds bring no license" in found


def parts_of(run: promptcot.OpenRun) -> Parts:
    from promptcot.executors import LocalWorkplace
    from promptcot.pipeline import Session

    stored, opened = open_recipe(str(run.folder), None, (), None)
    return gather(Session(stored, LocalWorkplace(opened)), opened)


def test_the_funnel_of_a_run_loses_no_row(tmp_path):
    model = script(tmp_path / "model", ("concept 3\n", NO_REPLY))
    run = promptcot.run(recipe(tmp_path, models={"generator": {"path": str(model), "license": "CC0-1.0"}}), folder=tmp_path / "run")
    data = report_data(load(tmp_path / "small.yaml"), parts_of(run), ORIGIN, "")
    assert [stage.name for stage in data.funnel] == ["synthesize/concept_sets", "synthesize/problems", "screen"]
    for stage in data.funnel:
        assert stage.rows_in == stage.rows_out + sum(stage.dropped.values())
    assert (data.facts.concept_sets, data.facts.written, data.facts.kept) == (12, 12, 11)
    assert data.facts.seeds is None
    assert len(data.problems) == 12
    assert [(m.role, m.license) for m in data.models] == [("generator", "CC0-1.0")]


def test_em_in_numbers_is_what_the_tables_hold(tmp_path):
    run = promptcot.run(tabular(tmp_path), folder=tmp_path / "run")
    parts = parts_of(run)
    data = report_data(load(tmp_path / "small.yaml"), parts, ORIGIN, "")
    assert parts.em is not None
    (done,) = parts.em.rounds
    assert data.em is not None
    assert (data.em.rule, data.em.candidates, data.em.rounds, data.em.best) == ("snis", 4, 1, parts.em.best_round)
    start, first = data.rounds
    assert (start.round, first.round) == (0, 1)
    assert start.bound_new is not None
    assert first.bound_best is not None
    assert first.bound_delta is not None
    assert start.bound_new.value == first.bound_best.value == done.health.bound_best[0]
    assert first.bound_delta.value == pytest.approx(done.health.bound_new[0] - done.health.bound_best[0])
    assert first.bound_delta.n == done.health.dev == 6
    assert first.bound_delta.coverage == 0.9
    assert data.em.gain is not None
    assert data.em.gain.value == done.health.gain[0]
    assert any("6 dev problems only" in text for text in data.warnings)


def test_an_estimate_without_an_interval_stays_without_one():
    """JSON has no infinity: an end that is not finite is absent."""
    data = report_data(load("demo"), Parts(gates=[Gate("format_rate", wilson(0, 0), 0.3, True)]), ORIGIN, "")
    estimate = data.gates[0].value
    assert all(json.dumps(getattr(estimate, f.name)) not in ("Infinity", "-Infinity") for f in fields(estimate))


def test_the_work_of_all_steps_is_told():
    assert report_data(load("demo"), Parts(seconds=754.2), ORIGIN, "").facts.seconds == 754.2
