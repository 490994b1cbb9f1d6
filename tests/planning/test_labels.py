"""The stage `label` in plans: hand-computed tokens, the bounds of the early stop, and a run beside its estimate."""

import pytest

import promptcot
from promptcot import code_labels
from promptcot.errors import UsageError
from promptcot.planning import Range, machine, plan_recipe
from promptcot.planning.beside import actual
from promptcot.planning.work import Kind
from promptcot.recipe import Code
from promptcot.recipes import load
from promptcot.store import Run
from tests.planning.plans import planned
from tests.runs import Shell, jsonl, recipe, script
from tests.test_code_labels import mixed, problem

MODELS = {"solver": "Qwen/Qwen2.5-32B", "writer": {"role": "solver"}}
LABEL = {"votes": 8, "agree": 5, "sample": {"max_tokens": 2000}, "code": {"writer": "writer", "sample": {"max_tokens": 500}}}
FIGURES = {
    "solving_prompt_tokens": 60,
    "problem_tokens": 200,
    "solution_tokens": 1500,
    "tests_prompt_tokens": 240,
    "tests_reply_tokens": 800,
}


def plan_of(domain="math", rows=1000, figures=None, **label):
    problems = [{"path": "not-here.jsonl", "rows": rows, "domain": domain}]
    sections = {"models": MODELS, "inputs": {"seeds": [], "problems": problems}, "label": {**LABEL, **label}}
    return planned(sections, figures={**FIGURES, **(figures or {})})


def steps_of(plan):
    return {p.step.name: p.step for p in plan.stage("label").steps}


def test_the_first_draws_are_made_for_all_and_the_rest_for_none_to_all():
    found = steps_of(plan_of())
    assert list(found) == ["label/first_draws", "label/more_draws"]
    assert found["label/first_draws"].tokens.sampled == Range.exact(1000 * 5 * 1500)
    assert found["label/first_draws"].tokens.read == Range.exact(1000 * 5 * 260)
    more = found["label/more_draws"].tokens.sampled
    assert (more.low, more.high) == (0, 1000 * 3 * 1500)
    assert more.low < more.mid < more.high


def test_where_the_first_draws_decide_nothing_all_draws_are_made():
    assert steps_of(plan_of(votes=16, agree=5))["label/more_draws"].rows == Range.exact(1000 * 11)
    assert steps_of(plan_of(votes=8, agree=5, margin=3))["label/more_draws"].rows.low == 0  # a lost vote is seen
    assert list(steps_of(plan_of(votes=5))) == ["label/first_draws"]


def test_code_takes_tests_solutions_and_time_in_the_sandbox():
    plan = plan_of("code", 100, figures={"tested_share": 1, "program_share": 1, "mutant_tests": 0.5, "program_run_s": 0.1})
    found = steps_of(plan)
    assert list(found) == ["label/tests_written", "label/solutions", "label"]
    written = found["label/tests_written"]
    assert (written.role, written.rows) == ("writer", Range.exact(500))
    assert written.tokens.sampled == Range.exact(500 * 500)  # cut by max_tokens
    assert written.tokens.read == Range.exact(500 * 440)
    assert found["label/solutions"].tokens.sampled == Range.exact(100 * 8 * 1500)
    runs = 100 * (8 * 17 + 20 * 16 / 2 + 5 + 2 * 16 + 1)  # 12 inputs written, 4 printed
    assert (found["label"].kind, found["label"].rows) == (Kind.RUN, Range.exact(runs))
    [ran] = [p for p in plan.stage("label").steps if p.step.kind is Kind.RUN]
    assert ran.hours.mid * 3600 == pytest.approx(runs * 0.1)
    assert (ran.gpus, ran.memory, ran.step.tokens.sampled) == (0, None, Range.exact(0))


@pytest.mark.parametrize(("tests", "generators"), [(12, 1), (2, 0), (0, 3)])
def test_the_writer_is_asked_as_often_as_in_a_run(tests, generators):
    plan = plan_of("code", 1, code={"tests": tests, "generators": generators})
    asked = code_labels.wanted(problem("any"), Code(tests=tests, generators=generators))
    assert steps_of(plan)["label/tests_written"].rows == Range.exact(len(asked))


def test_rows_and_screens_bound_what_is_labeled():
    problems = [{"path": "not-here.jsonl", "rows": 1000}]
    limited = {"models": MODELS, "inputs": {"seeds": [], "problems": problems}, "label": {**LABEL, "rows": 10}}
    assert steps_of(planned(limited))["label/first_draws"].rows == Range.exact(50)
    sections = {"models": MODELS, "label": LABEL, "synthesize": {"concept_sets": 100, "passes": 2}}
    screened = steps_of(planned({**sections, "screen": {}}, figures={"kept_share": 0.5}))
    assert screened["label/first_draws"].rows == Range.exact(500)
    assert steps_of(planned(sections, figures={"valid_share": 0.9}))["label/first_draws"].rows.mid == pytest.approx(900)


def test_problems_that_are_neither_here_nor_counted_are_refused():
    with pytest.raises(UsageError, match=r"inputs.problems.0.rows=N"):
        planned({"models": MODELS, "inputs": {"seeds": [], "problems": ["not-here.jsonl"]}, "label": LABEL})


def test_labels_that_are_given_cost_nothing():
    inputs = {"seeds": [], "problems": [{"path": "p.jsonl", "rows": 9}], "labels": ["l.jsonl"]}
    assert "label" not in [stage.name for stage in planned({"models": MODELS, "inputs": inputs, "label": LABEL}).stages]


TORN = "Guess a number."


@pytest.fixture
def voted(tmp_path):
    """A recipe whose voter agrees on two problems of three."""
    solver = script(tmp_path / "solver", (TORN, r"\\boxed{{draw}}"), default=r"\\boxed{7}")
    rows = [{"problem": text} for text in ("Name seven.", "Name the days of a week.", TORN)]
    label = {"votes": 5, "agree": 3, "sample": {"max_tokens": 100}}
    inputs = {"problems": [str(jsonl(tmp_path / "p.jsonl", rows))]}
    return recipe(tmp_path, models={"solver": str(solver)}, inputs=inputs, synthesize=None, screen=None, label=label)


def test_after_the_stage_a_run_says_estimate_and_actual(voted, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    done = Shell(monkeypatch, capsys)("run", voted)
    [told] = [text for text in done.err.splitlines() if "used (estimated)" in text]
    assert told.startswith("  label, used (estimated): read and scored ")
    assert ", sampled " in told
    again = Shell(monkeypatch, capsys)("plan", tmp_path / "runs" / "small", "--gpu", "CPU")
    assert "problems to label: 3 kept" in again.out


def test_what_a_run_used_lies_within_what_was_planned(voted, tmp_path):
    promptcot.run(voted, folder=tmp_path / "run")
    reply = len(r"\boxed{7}")
    plan = plan_recipe(load(voted), machine("CPU"), figures={"solution_tokens": reply, "solving_prompt_tokens": 130})
    used, tokens = actual(Run.open(tmp_path / "run"), "label").usage, plan.stage("label").tokens
    assert tokens.sampled.low <= used.tokens_out <= tokens.sampled.high + 15  # each ends with a symbol of its own
    assert tokens.sampled.low == 3 * 3 * reply
    assert used.tokens_in == pytest.approx((tokens.read.low + tokens.read.high) / 2, rel=0.5)


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
def test_every_step_of_a_run_of_both_domains_is_planned_by_its_name(tmp_path):
    path = mixed(tmp_path)
    promptcot.run(path, folder=tmp_path / "run")
    ran = {name for name in Run.open(tmp_path / "run").steps() if name.startswith("label")} - {"label/validity"}
    plan = plan_recipe(load(path), machine("CPU"))
    assert set(steps_of(plan)) == ran
