"""Self-play and distillation in plans: hand-computed tokens, waves against a simulation, and runs beside their estimate."""

import itertools

import numpy as np
import pytest

import promptcot
from promptcot.planning import Range, machine, plan_recipe
from promptcot.planning.beside import actual
from promptcot.planning.figures import Figures
from promptcot.planning.waves import outlook
from promptcot.planning.work import Kind
from promptcot.recipe import SelfPlay
from promptcot.recipes import load
from promptcot.self_play.band import Tally
from promptcot.store import Run
from tests.planning.plans import planned
from tests.runs import Shell, jsonl, recipe, script

MODELS = {"solver": "Qwen/Qwen2.5-32B", "teacher": {"role": "solver"}, "student": "Qwen/Qwen2.5-7B-Instruct"}
PLAY = {"attempts": 8, "wave": 4, "sample": {"max_tokens": 2000}, "fit": {"epochs": 2}}
FIGURES = {"solving_prompt_tokens": 60, "problem_tokens": 200, "question_tokens": 200, "solution_tokens": 1500, "usable_share": 1}


def plan_of(figures=None, rows=1000, domain="math", training=None, **sections):
    inputs = {"problems": [{"path": "p.jsonl", "rows": rows, "domain": domain}], "labels": [{"path": "l.jsonl", "rows": rows}], "seeds": []}
    given = {"models": MODELS, "inputs": inputs, "training": {"max_tokens": 4096, "method": "lora", **(training or {})}, **sections}
    return planned(given, figures={**FIGURES, **(figures or {})})


def steps_of(plan, stage="self_play"):
    return {p.step.name: p.step for p in plan.stage(stage).steps}


# attempts


def test_all_questions_get_the_first_wave_and_those_that_are_still_open_the_next():
    found = steps_of(plan_of(self_play=PLAY))
    first, second = found["self_play/1/attempts-1"], found["self_play/1/attempts-2"]
    assert first.tokens.sampled == Range.exact(1000 * 4 * 1500)
    assert first.tokens.read == Range.exact(1000 * 4 * 260)
    assert 0 < second.rows.low < second.rows.mid < second.rows.high < 1000 * 4


def test_a_hard_set_is_drawn_to_its_end_and_an_easy_one_ends_with_the_first_wave():
    """Of questions that nothing solves none is lost before the last draw; of those that everything solves all are after the first wave."""
    hard, easy = (steps_of(plan_of({"failed_share": share}, self_play=PLAY)) for share in (1, 0))
    assert hard["self_play/1/attempts-2"].rows.mid == pytest.approx(4000, rel=1e-3)
    assert easy["self_play/1/attempts-2"].rows.mid == pytest.approx(0, abs=4)
    assert hard["self_play/1/solver"].rows.mid == pytest.approx(0, abs=2)


@pytest.mark.parametrize(("method", "wave"), [("dpo", 4), ("dpo", 3), ("sft", 2)])
def test_waves_and_pairs_are_what_simulated_runs_draw(method, wave):
    settings = SelfPlay(method=method, wave=wave, pairs=2, right=3)
    ahead = outlook(settings, Figures({"failed_share": 0.4, "pass_rate_concentration": 1.5}))
    random, n, firm = np.random.default_rng(0), 4000, method == "dpo"
    right = random.random((n, 8)) < random.beta(0.9, 0.6, (n, 1))
    asked, band, pairs, kept = [0] * len(ahead.open), 0, 0, 0
    for row in right.tolist():
        for number, first in enumerate(range(0, 8, wave)):
            if Tally(sum(row[:first]), first, first - sum(row[:first]), 8 - first).lost(settings.band, firm=firm):
                break
            asked[number] += 1
        if Tally(sum(row), 8, 8 - sum(row), 0).out(settings.band, firm=firm) is None:
            band, pairs, kept = band + 1, pairs + min(sum(row), 8 - sum(row), 2), kept + min(sum(row), 3)
    for planned_share, seen in [*zip(ahead.open, asked, strict=True), (ahead.band, band), (ahead.pairs, pairs), (ahead.right, kept)]:
        assert planned_share.mid == pytest.approx(seen / n, abs=4 * np.sqrt(0.25 / n) * 2)


def test_programs_are_counted_where_questions_are_code():
    found = steps_of(plan_of({"program_share": 1, "suite_tests": 3}, domain="code", self_play=PLAY))
    graded = found["self_play/1/grades-1"]
    assert (graded.kind, graded.rows) == (Kind.RUN, Range.exact(1000 * 4 * 3))
    assert "self_play/1/grades-1" not in steps_of(plan_of(self_play=PLAY))


def test_a_second_round_draws_from_the_solver_of_the_first():
    found = steps_of(plan_of(self_play={**PLAY, "rounds": 2}))
    assert found["self_play/2/attempts-1"].weights == "self_play/1/solver"
    assert found["self_play/1/attempts-1"].weights == "solver"


# fits


def test_a_pair_is_scored_once_and_fitted_twice_over_per_epoch():
    """1,000 questions of which each is solved or not: the pairs are those of the middle."""
    found = steps_of(plan_of(self_play=PLAY))
    pairs, fit = found["self_play/1/solver"].rows.mid, found["self_play/1/solver"].tokens
    assert pairs == pytest.approx(1000 * outlook(SelfPlay(**PLAY), Figures()).pairs.mid)
    assert found["self_play/1/solver/reference"].tokens.scored.mid == pytest.approx(pairs * 2 * 1760)
    assert fit.fitted.mid == pytest.approx(pairs * 2 * 2 * 1760)
    assert fit.trained.mid == pytest.approx(pairs * 2 * 2 * 1500)


def test_the_reference_is_scored_where_the_fit_is_and_not_by_the_servers():
    plan = plan_of(self_play=PLAY)
    [reference] = [p for p in plan.stage("self_play").steps if p.step.name.endswith("/reference")]
    [attempts] = [p for p in plan.stage("self_play").steps if p.step.name.endswith("attempts-1")]
    assert (reference.gpus, attempts.gpus) == (1, 8)


def test_rejection_sampling_fits_right_attempts_and_pairs_alone_fit_nothing():
    sft, none = steps_of(plan_of(self_play={**PLAY, "method": "sft"})), steps_of(plan_of(self_play={**PLAY, "method": "none"}))
    assert "self_play/1/solver/reference" not in sft
    assert sft["self_play/1/solver"].tokens.fitted.mid == pytest.approx(sft["self_play/1/solver"].rows.mid * 2 * 1760)
    assert not [step for step in none.values() if step.kind in (Kind.FIT, Kind.SCORE)]


def test_a_pair_at_the_limit_passes_whole_and_needs_the_memory():
    """Both texts go through one forward pass, wider than `batch_tokens`."""
    small, large = (plan_of(training={"max_tokens": n, "batch_tokens": 2048}, self_play=PLAY) for n in (2048, 20480))
    parts = [dict(next(p.memory for p in plan.stage("self_play").steps if p.step.kind is Kind.FIT).parts) for plan in (small, large)]
    assert parts[1]["activations"].mid == pytest.approx(10 * parts[0]["activations"].mid)


def test_what_cannot_fit_is_refused_with_the_reason():
    plan = plan_of(training={"method": "full"}, self_play=PLAY)
    told = [r for r in plan.refusals if r.stage == "self_play" and "fitting" in r.what]
    assert len(told) == 1
    assert told[0].exit_code == 5
    assert "lora" in told[0].remedy
    short = plan_of(training={"max_tokens": 500}, self_play=PLAY)
    assert "most are dropped" in next(r.what for r in short.refusals if r.exit_code == 2)
    assert not [r for r in planned({"models": MODELS, "self_play": PLAY, "inputs": {"seeds": []}}).refusals if r.exit_code == 2], "a guess"


# questions


def test_human_questions_come_by_their_share_and_no_more_than_there_are():
    inputs = {
        "problems": [{"path": "p.jsonl", "rows": 600}],
        "labels": [{"path": "l.jsonl", "rows": 500}],
        "seeds": [{"path": "s.jsonl", "rows": 1000, "split": "train"}],
    }
    asked = [
        steps_of(planned({"models": MODELS, "inputs": inputs, "self_play": {**PLAY, **how}}))["self_play/1/attempts-1"].rows.mid / 4
        for how in ({"human": 0.2}, {"human": 0.9}, {"human": 1.0}, {"human": 0.2, "rows": 50}, {"tasks": ["reasoning-gym:x?size=7"]})
    ]
    assert asked == pytest.approx([500 + 125, 500 + 1000, 1000, 50, 507])


def test_labels_that_are_still_to_be_made_are_got_by_some():
    label = {"votes": 5, "sample": {"max_tokens": 2000}}
    inputs = {"problems": [{"path": "p.jsonl", "rows": 600}], "seeds": []}
    plan = planned({"models": MODELS, "inputs": inputs, "label": label, "self_play": PLAY}, figures={"labeled_share": 0.5})
    assert steps_of(plan)["self_play/1/attempts-1"].rows.mid == 300 * 4
    assert any("how many get a label assumed" in note for note in plan.notes)


def test_given_pairs_are_fitted_and_nothing_is_drawn():
    inputs = {"pairs": [{"path": "pairs.jsonl", "rows": 100}], "seeds": []}
    found = steps_of(planned({"models": MODELS, "inputs": inputs, "self_play": PLAY, "training": {"max_tokens": 4096}}, figures=FIGURES))
    assert list(found) == ["self_play/1/solver/reference", "self_play/1/solver"]
    assert found["self_play/1/solver"].tokens.fitted == Range.exact(100 * 2 * 2 * 1700)


# distillation


def test_a_teacher_writes_and_the_student_reads_what_is_kept():
    distill = {"traces": 2, "sample": {"max_tokens": 1000}, "epochs": 3}
    plan = plan_of({"trace_share": 0.5}, training={"max_tokens": 8192}, distill=distill)
    found = steps_of(plan, "distill")
    assert list(found) == ["distill/attempts", "distill/student"]
    assert found["distill/attempts"].tokens.sampled == Range.exact(1000 * 2 * 1000)
    assert found["distill/student"].tokens.fitted == Range.exact(1000 * 3 * 1260)
    assert found["distill/student"].role == "student"
    assert list(steps_of(plan_of(distill={**distill, "student": None}), "distill")) == ["distill/attempts"]
    assert "distill/traces" in steps_of(plan_of(domain="code", distill={**distill, "verify": True}), "distill")


def test_given_traces_are_fitted_and_no_teacher_is_asked():
    inputs = {"traces": [{"path": "t.jsonl", "rows": 100}], "seeds": []}
    plan = planned({"models": MODELS, "inputs": inputs, "distill": {}, "training": {"max_tokens": 4096}}, figures=FIGURES)
    assert steps_of(plan, "distill")["distill/student"].tokens.fitted == Range.exact(100 * 1700)


def test_what_was_trained_is_evaluated_by_the_engine_it_came_from():
    evaluate = {"benchmarks": ["aime24"], "models": ["self_played", "distilled"], "sample": {"max_tokens": 2000}}
    plan = plan_of(self_play=PLAY, distill={}, evaluate=evaluate)
    assert [(p.step.name, p.step.role) for p in plan.stage("evaluate").steps] == [
        ("evaluate/aime24/self_played", "solver"),
        ("evaluate/aime24/distilled", "student"),
    ]


# runs


@pytest.fixture
def played(tmp_path):
    """A recipe with four labeled problems, whose solver is right in draw 7 alone, always, or never."""
    solver = script(tmp_path / "solver", ("Abel", r"\\boxed{{draw}}"), ("Bede", r"\\boxed{7}"), default=r"\\boxed{8}")
    texts = [f"How many boats are on lake {name}?" for name in ("Abel", "Bede", "Cady", "Dunn")]
    path = str(jsonl(tmp_path / "p.jsonl", [{"problem": text} for text in texts]))
    ids = [
        {"problem": p.id, "answer": "7"}
        for p in promptcot.seeds.read_problems([promptcot.recipe.Input(path=path)], domain="math", seed=0).rows
    ]
    inputs = {"problems": [path], "labels": [str(jsonl(tmp_path / "l.jsonl", ids))]}
    self_play = {"method": "none", "sample": {"max_tokens": 100}}
    return recipe(tmp_path, models={"solver": str(solver)}, inputs=inputs, synthesize=None, screen=None, self_play=self_play)


def test_what_a_run_of_self_play_used_lies_within_what_was_planned(played, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    done = Shell(monkeypatch, capsys)("run", played, "--run", tmp_path / "run")
    assert [text for text in done.err.splitlines() if text.startswith("  self_play, used (estimated): read and scored ")]
    reply = len(r"\\boxed{7}")
    plan = plan_recipe(load(played), machine("CPU"), figures={"solution_tokens": reply, "solving_prompt_tokens": 130})
    used, tokens = actual(Run.open(tmp_path / "run"), "self_play").usage, plan.stage("self_play").tokens
    draws = 4 * 8 - 4  # the question that is always solved is lost after the first wave
    assert used.tokens_out == draws * (reply + 1)
    assert tokens.sampled.low <= used.tokens_out <= tokens.sampled.high + draws
    ran = {name for name in Run.open(tmp_path / "run").steps() if "/attempts-" in name}
    assert ran == {p.step.name for p in plan.stage("self_play").steps}
    again = Shell(monkeypatch, capsys)("plan", tmp_path / "run", "--gpu", "CPU")
    assert "questions to attempt: 4 made" in again.out


@pytest.mark.slow
def test_every_step_of_runs_that_fit_is_planned_by_its_name_and_its_tokens(tmp_path):
    """From given pairs and given traces, on a tiny model: rows, lengths and tokenizer are here, the chat template alone is guessed."""
    from tests.test_released import recipe as released
    from tests.test_released import small

    words = "a b c d " * 4
    given = [{"prompt": f"{words} {n}", "completion": f"{words} \\boxed{{7}}"} for n in "ab"]
    pairs = [{"prompt": f"{words} {n}", "chosen": f"{words} a", "rejected": f"{words} b"} for n in "ab"]
    path = released(
        tmp_path,
        models={"solver": small(tmp_path), "student": {"role": "solver"}},
        inputs={"pairs": [str(jsonl(tmp_path / "p.jsonl", pairs))], "traces": [str(jsonl(tmp_path / "t.jsonl", given))]},
        self_play={"fit": {"epochs": 2}},
        distill={"epochs": 3},
    )
    promptcot.run(path, folder=tmp_path / "run")
    opened = Run.open(tmp_path / "run")
    plan = plan_recipe(load(path), machine("CPU"))
    wanted = {"self_play/1/solver/reference", "self_play/1/solver", "distill/student"}
    assert {p.step.name for p in itertools.chain(plan.stage("self_play").steps, plan.stage("distill").steps)} == wanted
    assert wanted <= set(opened.steps())
    for stage in ("self_play", "distill"):
        assert actual(opened, stage).usage.tokens_trained == pytest.approx(plan.stage(stage).tokens.fitted.mid, rel=0.2)
