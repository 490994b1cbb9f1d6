"""Whole runs from every starting point, on engines that cost nothing."""

import json
from pathlib import Path

import numpy as np
import pytest

import promptcot
from promptcot import api
from promptcot.engines.tabular import TabularModel
from promptcot.errors import Stopped, UsageError
from promptcot.executors import LocalWorkplace
from promptcot.pipeline import Session
from promptcot.recipes import load
from promptcot.running import open_recipe
from promptcot.stages import STAGES, active
from promptcot.templates import TAGGED
from tests import toy
from tests.runs import REPLY, concept_sets, jsonl, recipe, script

SEED = {"problem": "A ferry carries 14 cars a trip. How many cars cross in 6 full trips?", "level": "AMC8", "license": "CC0-1.0"}
PROBLEM_ID = "0123456789abcdef0123456789abcdef"


def ran(folder: Path, **sections) -> api.OpenRun:
    return promptcot.run(recipe(folder, **sections), folder=folder / "run")


def prefixes(folder: Path, **sections) -> list[str]:
    """What the generator reads for each concept set: a script echoes nothing, so it is asked through a preview."""
    return [row.prefix for row in promptcot.preview(recipe(folder, **sections), n=100) if row.role == "generator"]


def balanced(run: api.OpenRun) -> bool:
    return all(
        step["rows_in"] == step["rows_out"] + sum(step["dropped"].values())
        for stage in promptcot.status(run.folder)["stages"]
        for step in stage["steps"]
    )


# what is active


def test_the_shipped_demo_runs_every_stage_that_makes_something():
    assert active(load("demo")) == ["seeds", "annotate", "cold_start", "em", "synthesize", "screen", "report"]


def test_given_problems_take_the_place_of_synthesis(tmp_path):
    path = recipe(tmp_path, inputs={"problems": ["p.jsonl"], "labels": ["l.jsonl"], "attempts": ["a.jsonl"]})
    assert active(load(path)) == ["problems", "labels", "attempts", "screen", "report"]
    assert set(active(load(path))) < set(STAGES)


# starting points


def test_from_problems_labels_and_attempts(tmp_path):
    given = {
        "problems": [str(jsonl(tmp_path / "p.jsonl", [SEED, {**SEED, "problem": "How many legs have 7 spiders?"}]))],
        "labels": [str(jsonl(tmp_path / "l.jsonl", [{"problem": PROBLEM_ID, "answer": "84"}]))],
        "attempts": [str(jsonl(tmp_path / "a.jsonl", [{"problem": PROBLEM_ID, "draw": n, "text": f"It is {n}."} for n in range(3)]))],
    }
    run = ran(tmp_path, inputs=given, synthesize=None, models={})
    assert run["screen"].num_rows == 2
    assert run["labels"].to_pylist()[0] | {"answer": "84", "kind": "gold", "status": "given"} == run["labels"].to_pylist()[0]
    assert run["attempts"].column("text").to_pylist() == ["It is 0.", "It is 1.", "It is 2."]
    assert balanced(run)
    assert {stage["name"]: stage["state"] for stage in promptcot.status(run.folder)["stages"]} == dict.fromkeys(
        ["problems", "labels", "attempts", "screen", "report"], "done"
    )


def test_from_concept_sets_with_prompts_of_their_own(tmp_path):
    prompt = "  Write a problem\n\nabout tides, please. "
    sets = jsonl(tmp_path / "sets.jsonl", [{"prompt": prompt}, {"concepts": ["tides"], "level": "AIME"}])
    run = ran(
        tmp_path, inputs={"concept_sets": [str(sets)]}, models={"generator": str(script(tmp_path / "m", (prompt, REPLY), default="no"))}
    )
    (made,) = run["synthesize/problems"].to_pylist()
    asked = {row["id"]: row for row in run["synthesize/concept_sets"].to_pylist()}
    assert asked[made["parents"][0]]["prompt"] == prompt
    sections = {"inputs": {"concept_sets": [str(sets)]}}
    assert prefixes(tmp_path, **sections) == [prompt, TAGGED.generator_prefix("math", ["tides"], "AIME")]


def test_from_triples_the_sampler_makes_concept_sets_but_never_held_out_ones(tmp_path):
    rows = [
        {
            "problem": f"Gull {n} eats {n + 3} fish. How many is that?",
            "concepts": [f"a{n % 4}", f"b{n % 3}"],
            "level": "AMC8",
            "rationale": "So.",
        }
        for n in range(40)
    ]
    triples = jsonl(tmp_path / "t.jsonl", rows)
    run = ran(tmp_path, inputs={"triples": [str(triples)]}, synthesize={"concept_sets": 6, "concepts": 2})
    found = run["annotate"].to_pylist()
    train = {c for t in found if t["split"] == "train" for c in t["concepts"]}
    held_out = {frozenset(t["concepts"]) for t in found if t["split"] != "train"}
    sampled = [frozenset(s["concepts"]) for s in run["synthesize/concept_sets"].to_pylist()]
    assert len(sampled) == 6
    assert all(s <= train and s not in held_out for s in sampled)
    assert set(found[0]) >= {"concepts", "rationale", "problem"}


def test_from_seeds_through_annotation_to_a_row_s_whole_lineage(tmp_path):
    concepts = '```python\n["equal groups", "ferries", "trips"]\n```'
    annotator = script(tmp_path / "a", ("foundational concepts", concepts), ("Reconstruct", "Loads repeat, so trips multiply."), default="")
    seeds = [{"problem": f"Ferry {n} carries {n + 2} cars. How many cars cross in 6 trips?", "level": "AMC8"} for n in range(6)]
    path = recipe(
        tmp_path,
        models={"annotator": {"path": str(annotator), "license": "CC0-1.0"}},
        inputs={"seeds": [{"path": str(jsonl(tmp_path / "s.jsonl", seeds)), "license": "CC0-1.0"}]},
        annotate={"annotators": [{"model": "annotator", "sample": {"max_tokens": 4000}}], "concepts": 3},
        synthesize=None,
        screen=None,
    )
    run = promptcot.run(path, folder=tmp_path / "run")
    triples = run["annotate"].to_pylist()
    assert len(triples) == 6
    assert {(*t["concepts"], t["rationale"]) for t in triples} == {("equal groups", "ferries", "trips", "Loads repeat, so trips multiply.")}
    triple, seed = promptcot.explain(run.folder, triples[0]["id"][:16])
    assert (triple.step, seed.step) == ("annotate", "seeds")
    assert seed.row["problem"] == triples[0]["problem"]
    assert balanced(run)


# screening against people's problems


@pytest.mark.parametrize("kind", ["seeds", "triples"])
def test_a_copy_of_a_human_problem_is_dropped_whatever_its_split(tmp_path, kind):
    human = {**SEED, "concepts": ["equal groups"], "rationale": "Loads repeat.", "split": "test"}
    own = [{"problem": SEED["problem"]}, {"problem": "How many legs have 7 spiders?"}]
    given = {kind: [str(jsonl(tmp_path / "h.jsonl", [human]))], "problems": [str(jsonl(tmp_path / "p.jsonl", own))]}
    run = ran(tmp_path, inputs=given, synthesize=None, models={})
    assert run["screen"].column("problem").to_pylist() == ["How many legs have 7 spiders?"]


def test_seeds_without_concepts_still_guard_against_copies(tmp_path):
    given = {"seeds": [str(jsonl(tmp_path / "h.jsonl", [SEED]))], "problems": [str(jsonl(tmp_path / "p.jsonl", [SEED]))]}
    assert ran(tmp_path, inputs=given, synthesize=None, models={})["screen"].num_rows == 0


# domains


def test_a_code_recipe_asks_for_programs_and_its_rows_say_code(tmp_path):
    sets = concept_sets(tmp_path / "sets.jsonl", 2)
    sections = {"domain": "code", "inputs": {"concept_sets": [str(sets)]}, "screen": None}
    assert all(text.startswith(TAGGED.generator["code"]) for text in prefixes(tmp_path, **sections))
    run = ran(tmp_path, **sections)
    assert run["synthesize"].column("domain").to_pylist() == ["code", "code"]


def test_the_starter_corpus_of_code_feeds_the_sampler(tmp_path):
    run = ran(tmp_path, domain="code", inputs={"seeds": ["builtin:starter"]}, screen=None)
    assert set(run["annotate"].column("domain").to_pylist()) == {"code"}
    assert set(run["synthesize/concept_sets"].column("domain").to_pylist()) == {"code"}
    assert run["synthesize"].num_rows == 12


# the model part, on exact tables


def tabular(folder: Path, **em) -> Path:
    """A recipe over the toy model: EM on its triples, then one problem for each concept."""
    with_rationale = em.get("rule") != "no_rationale"
    tables = {"z_given_c": toy.Z_GIVEN_C, "x_given_z": toy.X_GIVEN_Z} if with_rationale else {"x_given_c": np.full((3, 4), 0.25)}
    toy.role(folder, "generator", **tables)
    toy.role(folder, "posterior", z_given_cx=np.full((3, 4, 2), 0.5))
    rows = [
        {"concepts": [f"c{c}"], "level": "-", "problem": f"x{x}", "rationale": f"z{x % 2}", "split": ("train", "dev")[x // 2]}
        for c in range(3)
        for x in range(4)
    ]
    sets = [{"concepts": [f"c{c}"], "level": "-"} for c in range(3)]
    given = {"triples": [{"path": str(jsonl(folder / "t.jsonl", rows))}], "concept_sets": [str(jsonl(folder / "s.jsonl", sets))]}
    return recipe(
        folder,
        models={name: {"path": str(folder / name), "template": "plain"} for name in ("generator", "posterior")},
        engines={"default": {"kind": "tabular"}},
        inputs=given,
        em={"rounds": 1, "candidates": 4, "bound": {"k": [1, 4], "seeds": 12}, "reject": {"leak": 1.0, "overlap": 1.0}, **em},
        synthesize={"passes": 50, "sample": {"max_tokens": 8}},
        screen=None,
    )


def test_em_runs_from_triples_to_a_report(tmp_path):
    run = promptcot.run(tabular(tmp_path), folder=tmp_path / "run")
    assert {stage["name"]: stage["state"] for stage in promptcot.status(run.folder)["stages"]} == dict.fromkeys(
        ["annotate", "em", "synthesize", "report"], "done"
    )
    made = run["synthesize"].to_pylist()
    assert len(made) == 150
    assert {row["rationale"] for row in made} == {"z0", "z1"}
    assert balanced(run)


def test_no_rationale_fits_and_writes_problems_alone(tmp_path):
    path = tabular(tmp_path, rule="no_rationale")
    run = promptcot.run(path, folder=tmp_path / "run")
    made = run["synthesize"].to_pylist()
    assert len(made) == 150
    assert {row["rationale"] for row in made} == {""}
    assert {row["problem"] for row in made} <= {"x0", "x1", "x2", "x3"}
    shown = promptcot.preview(path, n=2)
    assert [row.role for row in shown] == ["generator", "generator"]
    assert all("problem: x" in row.parsed for row in shown)
    recipe_, opened = open_recipe(str(run.folder), None, (), None)
    session = Session(recipe_, LocalWorkplace(opened))
    assert set(TabularModel.load(session.generator.path).tables) == {"x_given_c"}


def test_a_finished_run_is_read_without_its_inputs_changing_anything(tmp_path):
    path = tabular(tmp_path)
    run = promptcot.run(path, folder=tmp_path / "run")
    before = {p: p.read_bytes() for p in run.folder.rglob("*.parquet")}
    promptcot.run(path, folder=tmp_path / "run")
    assert {p: p.read_bytes() for p in run.folder.rglob("*.parquet")} == before


def test_another_script_is_another_model(tmp_path):
    first = ran(tmp_path)["synthesize/problems"].column("generator").to_pylist()
    script(tmp_path / "model", default=REPLY.replace("crates", "barrels"))
    again = promptcot.run(tmp_path / "small.yaml", folder=tmp_path / "run")["synthesize/problems"]
    assert set(again.column("generator").to_pylist()).isdisjoint(first)
    assert "barrels" in again.column("problem").to_pylist()[0]


# stops


def test_what_a_recipe_lacks_is_said(tmp_path):
    with pytest.raises(UsageError, match="no model has the role `generator`"):
        ran(tmp_path, models={})
    with pytest.raises(UsageError, match="neither seeds nor triples"):
        ran(tmp_path / "b", inputs={})


@pytest.mark.slow
def test_a_generator_that_cannot_keep_the_format_stops_before_em(tmp_path):
    from tests.engines.conftest import save_tiny_model

    model = save_tiny_model(tmp_path / "tiny")
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    (model / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 2048}), encoding="utf-8")
    path = recipe(
        tmp_path,
        models={"generator": str(model), "posterior": str(model)},
        engines={"default": {"dtype": "fp32", "device": "cpu"}},
        inputs={"seeds": [{"path": "builtin:starter", "rows": 40}]},
        training={"max_tokens": 2000},
        cold_start={"epochs": 0.1, "batch": 24},
        em={"rounds": 1},
        synthesize={"concept_sets": 12, "sample": {"max_tokens": 12}},
    )
    with pytest.raises(Stopped) as stopped:
        promptcot.run(path, folder=tmp_path / "run")
    assert stopped.value.exit_code == 4
    assert "format_rate 0.0" in str(stopped.value)
    assert "it writes:" in str(stopped.value)
    assert not (tmp_path / "run" / "em").exists()


def test_a_role_that_no_model_has_is_refused_before_any_stage(tmp_path):
    path = recipe(tmp_path, label={"voter": "nobody"})
    with pytest.raises(UsageError, match="no model has the role `nobody`"):
        promptcot.run(path, folder=tmp_path / "run")
    assert not list((tmp_path / "run").rglob("*.parquet"))
