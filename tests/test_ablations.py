"""The shipped baselines and ablations, each walked to the end: on exact tables where models are fitted, on scripts where they are asked."""

from dataclasses import replace

import pytest
import yaml

import promptcot
from promptcot import api
from promptcot.models import fingerprint
from promptcot.planning.machines import planned_machine
from promptcot.planning.planner import plan_recipe
from promptcot.recipes import builtin_recipes, load
from promptcot.self_play import fits
from promptcot.stages import active
from promptcot.store import Run
from promptcot.templates_direct import direct_prompt
from tests import toy
from tests.runs import jsonl, script

FITTED = ("ablation-no-em", "ablation-uniform", "ablation-concepts-only", "ablation-no-cold-start")
WALKED = (*FITTED, "baseline-direct", "self-play", "baseline-seeds")


def test_every_baseline_and_ablation_is_walked_here():
    assert {name for name in builtin_recipes() if name.startswith(("ablation-", "baseline-"))} <= set(WALKED)


@pytest.mark.parametrize("name", [n for n in WALKED if n != "self-play"])
def test_an_arm_differs_from_what_it_extends_in_what_it_isolates_alone(name):
    """So a difference between two runs has one cause."""
    parent = "self-play" if name == "baseline-seeds" else "demo"
    arm, whole = (load(n).model_dump(mode="json") for n in (name, parent))
    differ = {key for key in whole if arm[key] != whole[key]} - {"name"}
    assert (
        differ
        == {
            "ablation-no-em": {"em"},
            "ablation-uniform": {"em"},
            "ablation-concepts-only": {"em"},
            "ablation-no-cold-start": {"cold_start"},
            "baseline-direct": {"cold_start", "em", "synthesize"},
            "baseline-seeds": {"cold_start", "em", "synthesize", "screen", "label", "self_play"},
        }[name]
    )


def walked(folder, name, **sections):
    """The shipped recipe with other models and rows, run to its end."""
    whole = load(name).model_dump(mode="json", by_alias=True) | sections
    if whole["screen"]:
        whole["screen"]["neighbors"] = 0  # scripts and tables embed nothing
    path = folder / "walked.yaml"
    path.write_text(yaml.safe_dump(whole), encoding="utf-8")
    run = promptcot.run(path, folder=folder / "run")
    states = {stage["name"]: stage["state"] for stage in promptcot.status(run.folder)["stages"]}
    assert states == dict.fromkeys(active(load(path)), "done")
    return run


# arms that fit models, over exact tables


def on_tables(folder, name):
    without = name == "ablation-concepts-only"
    if without:
        toy.role(folder, "generator", x_given_c=[[0.25] * 4] * 3)
    else:
        toy.role(folder, "generator", z_given_c=toy.Z_GIVEN_C, x_given_z=toy.X_GIVEN_Z)
    toy.role(folder, "posterior", z_given_cx=[[[0.5, 0.5]] * 4] * 3)
    rows = [
        {"concepts": [f"c{c}"], "level": "-", "problem": f"x{x}", "rationale": f"z{x % 2}", "family": f"{c}{x}", "split": split}
        for c in range(3)
        for x, split in enumerate(("train", "train", "train", "dev"))
    ]
    models = {role: {"path": str(folder / role), "template": "plain"} for role in ("generator", "posterior")}
    return walked(
        folder,
        name,
        models=models,
        engines={"default": {"kind": "tabular"}},
        inputs={"triples": [str(jsonl(folder / "triples.jsonl", rows))]},
    )


def test_without_em_the_cold_start_writes_the_problems(tmp_path):
    run = on_tables(tmp_path, "ablation-no-em")
    steps = Run.open(run.folder).steps()
    assert "cold_start/generator" in steps
    assert not any(step.startswith("em/") for step in steps)
    assert run["synthesize"].num_rows == 120


def test_uniform_selection_weighs_every_candidate_alike(tmp_path):
    run = on_tables(tmp_path, "ablation-uniform")
    health = run["em/1/health"].to_pylist()[0]
    assert (health["rule"], health["ess"]) == ("uniform", pytest.approx(4.0))


def test_concepts_alone_have_no_rationale_anywhere(tmp_path):
    run = on_tables(tmp_path, "ablation-concepts-only")
    assert set(run["synthesize"]["rationale"].to_pylist()) == {""}
    assert "em/1/draws" not in Run.open(run.folder).steps()


def test_without_a_cold_start_em_begins_with_models_as_they_are(tmp_path):
    run = on_tables(tmp_path, "ablation-no-cold-start")
    steps = Run.open(run.folder).steps()
    assert "cold_start/generator" not in steps
    assert "em/1/generator" in steps


# arms that ask models, over scripts


def test_a_direct_prompt_asks_for_the_concepts_of_a_set_and_takes_the_reply(tmp_path):
    crates = "Problem: Harbor {id} moves 200 crates by boats that carry 14 and 9. After {draw} trips of each, how many crates are left?"
    writer = script(tmp_path / "writer", ("Write a math problem that combines the concepts below", crates), default="I would rather not.")
    run = walked(
        tmp_path,
        "baseline-direct",
        models={"generator": {"path": str(writer), "license": "MIT"}},
        engines={"default": {"kind": "scripted"}},
    )
    rows = run["synthesize/problems"].to_pylist()
    assert len(rows) == 120
    assert {(row["rationale"], row["license"]) for row in rows} == {("", "MIT")}
    assert all(row["problem"].startswith("Harbor") for row in rows)
    asked = {row["id"]: row for row in run["synthesize/concept_sets"].to_pylist()}[rows[0]["parents"][0]]
    shown = promptcot.preview(tmp_path / "walked.yaml", n=2)
    assert [row.parsed.startswith("problem: Harbor") for row in shown] == [True, True]
    assert shown[0].prefix.startswith(direct_prompt("math", ["x"], "AMC8")[:52])
    assert all(concept in direct_prompt("math", asked["concepts"], asked["level"]) for concept in asked["concepts"])


@pytest.fixture
def improving(tmp_path, monkeypatch):
    """A fit that makes the scripted solver answer 7, and keeps what it was fitted on."""
    seen = []

    def fit_role(place, name, start, examples, settings, training, *, seed):
        seen.extend(examples)
        path = script(tmp_path / "better", default=r"\boxed{7}")
        return replace(start, path=path, fingerprint=fingerprint(path))

    monkeypatch.setattr(fits, "fit_role", fit_role)
    return seen


def played(folder, name, **more):
    solver = script(folder / "solver", default=r"It is \boxed{{draw}}")
    sums = jsonl(folder / "sums.jsonl", [{"id": f"{n}", "problem": f"What is {n} + {7 - n}?", "answer": "7"} for n in range(4)])
    evaluate = load(name).evaluate
    assert evaluate is not None
    return walked(
        folder,
        name,
        models={"solver": str(solver), **more.pop("models", {})},
        engines={"default": {"kind": "scripted"}},
        evaluate=evaluate.model_dump(mode="json") | {"benchmarks": [{"name": str(sums)}], "samples": 2},
        **more,
    )


def test_seeds_take_the_place_of_synthesized_problems(tmp_path, improving):
    run = played(tmp_path, "baseline-seeds")
    questions = run["self_play/questions"].to_pylist()
    assert 30 <= len(questions) <= 48
    assert {row["benchmark"] for row in questions} == {"human"}
    assert improving, "some seeds have an answer that the solver names once"
    before_after = {row["model"]: row["value"] for row in run["evaluate/scores"].to_pylist() if row["metric"] == "avg"}
    assert before_after == {"solver": 0.0, "self_played": 1.0}


def test_the_solver_is_trained_on_synthesized_problems_by_the_same_settings(tmp_path, improving):
    """EM and the cold start are left to the arms above: here problems are given, as these would have written them."""
    kinds = ("boats", "geese", "crates", "bells", "carts")
    texts = [f"{k.title()} come in {n + 2} rows of {3 * n + 4}. How many {k} are there in all?" for n, k in enumerate(kinds)]
    rows = [{"problem": text, "concepts": ["rows"], "level": "AMC8"} for text in texts]
    whole = load("self-play")
    assert whole.label is not None
    run = played(
        tmp_path,
        "self-play",
        models={"voter": str(script(tmp_path / "voter", default=r"\boxed{7}"))},
        inputs={"problems": [str(jsonl(tmp_path / "problems.jsonl", rows))]},
        label=whole.label.model_dump(mode="json") | {"voter": "voter"},
        cold_start=None,
        em=None,
    )
    assert {row["benchmark"] for row in run["self_play/questions"].to_pylist()} == {"labeled"}
    assert len(improving) == len(kinds)
    assert api.open(run.folder)["evaluate/scores"].num_rows > 0


def test_a_plan_of_the_direct_prompt_counts_no_rationale():
    def sampled(name):
        found = load(name)
        stages = plan_recipe(found, planned_machine(found)).stages
        return next(stage for stage in stages if stage.name == "synthesize").tokens.sampled.mid

    assert sampled("baseline-direct") == pytest.approx(sampled("ablation-concepts-only"))
    assert sampled("baseline-direct") < 0.9 * sampled("ablation-no-em")
