"""Tokens of each step, against hand-computed sums and against what a run's engines were really asked."""

import pytest

import promptcot
from promptcot.planning import Range, machine, plan_recipe
from promptcot.recipes import load
from promptcot.store import Run
from tests.planning.plans import planned
from tests.test_pipeline import tabular

SEEDS = 15_586
"""Of the paper."""
EM = {
    "rounds": 1,
    "rule": "paper",
    "candidates": 8,
    "sample": {"max_tokens": 4096},
    "fit": {"epochs": 1},
    "bound": {"seeds": 200},
    "check": 0,
}
FULL = {"method": "full", "max_tokens": 8192}


def step(plan, name):
    (found,) = [p for stage in plan.stages for p in stage.steps if p.step.name == name]
    return found


@pytest.fixture(scope="module")
def round_one():
    return planned({"em": EM, "training": FULL})


def test_a_round_at_the_papers_scale(round_one):
    """124,688 rationales of 600 tokens and an end: 75M sampled; as many sequences of 960 scored (90 % are valid); 15M a fit."""
    assert step(round_one, "em/1/draws").step.tokens.sampled.mid == SEEDS * 8 * 601
    candidates = step(round_one, "em/1/candidates").step.tokens.scored
    assert candidates.mid == pytest.approx(0.9 * SEEDS * 8 * 960)
    assert candidates.high == pytest.approx(120e6, rel=1.0)
    assert step(round_one, "em/1/generator").step.tokens.fitted.mid == SEEDS * 960
    assert step(round_one, "em/1/generator").step.tokens.trained.mid == SEEDS * 870
    assert step(round_one, "em/1/posterior").step.tokens.fitted.mid == SEEDS * (90 + 270 + 601)
    assert step(round_one, "em/1/greedy").step.tokens.sampled.mid == SEEDS * 601


def test_a_round_takes_about_thirty_h100_hours_most_of_them_sampling(round_one):
    """Draws, candidates and the fit of p: the steps that the planning figure counts."""
    counted = {name: step(round_one, f"em/1/{name}") for name in ("draws", "candidates", "posterior", "generator")}
    busy = {name: (p.hours * p.gpus) for name, p in counted.items()}
    total = sum(hours.mid for hours in busy.values())
    assert total == pytest.approx(30, rel=0.15)
    assert 0.5 <= busy["draws"].mid / total <= 0.7
    assert sum(h.low for h in busy.values()) < 30 < sum(h.high for h in busy.values())


def test_synthesis_at_the_papers_scale_takes_940_to_1410_h100_hours():
    """4.77M completions of 780 to 1,170 tokens at 1,100 tokens/s a device."""
    sections = {"synthesize": {"passes": 1, "concept_sets": 4_766_890, "sample": {"max_tokens": 4096}}}
    plan = planned(sections, figures={"decode_rate": 1100, "prefill_efficiency": 1e9, "server_start_s": 0})
    hours = plan.stage("synthesize").gpu_hours
    assert hours.low == pytest.approx(940, rel=0.01)
    assert hours.high == pytest.approx(1410, rel=0.01)


def test_other_rules_do_what_em_does():
    def names(**em):
        return [p.step.name.removeprefix("em/") for p in planned({"em": {**EM, **em}, "training": FULL}).stage("em").steps]

    assert names(rule="snis") == ["1/draws", "1/log_q_check", "1/log_q_scores", "1/candidates", "1/posterior", "1/generator"]
    assert names(rule="snis", freeze_posterior=True) == ["1/draws", "1/log_q_check", "1/log_q_scores", "1/candidates", "1/generator"]
    assert names(rule="no_rationale") == ["1/generator"]
    assert names(rule="fixed", rounds=2)[-2:] == ["1/generator", "2/generator"]
    assert "1/greedy" in names(rule="paper")


def test_all_candidates_are_fitted_where_the_recipe_says_so():
    one, every = (planned({"em": {**EM, "rule": "snis", "data": data}, "training": FULL}) for data in ("one", "all"))
    assert step(every, "em/1/generator").step.tokens.fitted.mid == pytest.approx(
        8 * 0.9 * step(one, "em/1/generator").step.tokens.fitted.mid
    )


def test_replay_adds_annotated_texts_but_no_more_than_there_are():
    fit = {"epochs": 1, "replay": 2.0}
    plan = planned({"em": {**EM, "rule": "snis", "fit": fit}, "training": FULL})
    assert step(plan, "em/1/generator").step.tokens.fitted.mid == 2 * SEEDS * 960


def test_the_bound_counts_both_posteriors_and_both_generators():
    seeds = [{"path": "a.jsonl", "rows": 100, "split": "train"}, {"path": "b.jsonl", "rows": 50, "split": "dev"}]
    em = {**EM, "rule": "snis", "bound": {"k": [1, 8], "seeds": 20}}
    plan = planned({"em": em, "training": FULL, "inputs": {"seeds": seeds}}, figures={"valid_share": 1})
    assert step(plan, "em/1/bound/draws_new").step.tokens.sampled.mid == 20 * 4 * 601
    assert step(plan, "em/1/bound/log_q_0").step.rows == Range.exact(20 * 4)
    assert step(plan, "em/1/bound/log_p_best").step.tokens.scored.mid == 20 * 8 * 960
    assert step(plan, "em/1/probe/scores").step.rows == Range.exact(60)


def test_annotators_are_asked_twice_a_seed_and_again_after_unusable_replies():
    sections = {
        "models": {"teacher": {"path": "served", "engine": "hosted"}},
        "engines": {"hosted": {"kind": "openai", "urls": ["http://x/v1"], "usd_per_million_in": 1.0, "usd_per_million_out": 2.0}},
        "annotate": {"annotators": [{"model": "teacher"}], "retries": 1},
        "inputs": {"seeds": [{"path": "x.jsonl", "rows": 1000}]},
    }
    stage = planned(sections, figures={"unusable_replies": 0.1}).stage("annotate")
    assert stage.tokens.sampled.mid == pytest.approx(1000 * 1.1 * (300 + 512))  # a rationale is cut by max_tokens
    assert stage.usd.mid == pytest.approx((stage.tokens.read.mid + 2 * stage.tokens.sampled.mid) / 1e6)


def test_examples_in_the_prompt_are_read_until_the_first_fit():
    shots = {"shots": 3}
    plan = planned({"cold_start": shots, "em": {**EM, "rounds": 2, "rule": "snis"}, "training": FULL})
    first, second = (step(plan, f"em/{n}/draws").step.tokens.read.mid for n in (1, 2))
    assert first == SEEDS * 8 * (360 + 3 * 961)
    assert second == SEEDS * 8 * 360
    assert not [p for p in plan.stage("cold_start").steps if p.step.kind == "fit"]


NO_MODEL = (
    "seeds",
    "annotate",
    "selections",
    "weights",
    "rows",
    "health",
    "concept_sets",
    "screen",
    "draws_rescored",
    "resemblances",
    "validity",
)
"""Ends of the names of steps that ask no model."""


@pytest.mark.parametrize("rule", ["snis", "fixed", "no_rationale"])
def test_every_step_of_a_run_that_asks_a_model_is_planned_by_its_name(tmp_path, rule):
    path = tabular(tmp_path, rule=rule)
    promptcot.run(path, folder=tmp_path / "run")
    ran = {name for name in Run.open(tmp_path / "run").steps() if not name.endswith(NO_MODEL)}
    plan = plan_recipe(load(path), machine("CPU"))
    named = {p.step.name for stage in plan.stages for p in stage.steps}
    assert ran <= named
    assert all(name.endswith("log_q_scores") for name in named - ran)


@pytest.mark.slow
def test_the_demos_budget_from_its_recipe_and_corpus():
    """About 40-54k tokens trained, 30-43k sampled, 60k scored by p; what a whole run used is in LOG.md (54k, 83k fitted, 43k)."""
    plan = plan_recipe(load("demo"), machine("CPU"))
    tokens = plan.tokens
    assert plan.corpus.exact
    assert (plan.corpus.train, plan.corpus.annotated, plan.corpus.dev, plan.corpus.concept_sets) == (48, 48, 8, 120)
    assert tokens.trained.mid == pytest.approx(54e3, rel=0.1)
    assert tokens.fitted.mid == pytest.approx(83e3, rel=0.1)
    assert tokens.sampled.low < 43e3 < tokens.sampled.high
    by_p = sum(p.step.tokens.scored.mid for p in plan.stage("em").steps if p.step.role == "generator" and "probe" not in p.step.name)
    assert by_p == pytest.approx(60e3, rel=0.15)
