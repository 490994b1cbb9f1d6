"""Self-play as people run it: whole runs with scripted solvers, and a fit of a real but tiny model."""

import json
import signal
from dataclasses import replace

import pytest

from promptcot import api
from promptcot.executors import MemoryWorkplace
from promptcot.models import fingerprint
from promptcot.recipe import EngineSpec, Fit, Input, SelfPlay, Training
from promptcot.records import Attempt, PassRate
from promptcot.roles import Role
from promptcot.seeds import read_problems
from promptcot.self_play import fits
from promptcot.self_play.fits import fitted
from promptcot.store import Run
from promptcot.tables import from_table
from promptcot.templates import TAGGED
from tests.engines.conftest import save_tiny_model
from tests.runs import Shell, jsonl, process, script
from tests.test_self_play import question

REPLIES = [
    ("Abel", r"<think>Draw {draw}.</think>\boxed{{draw}}"),  # right in draw 7 alone
    ("Bede", r"<think>Easy.</think>\boxed{7}"),
    ("Cady", r"<think>Hm.</think>\boxed{8}"),
    ("hill", r"<think>Draw {draw}.</think>\boxed{{draw}}"),
]


@pytest.fixture
def shell(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROMPTCOT_DATA", raising=False)
    return Shell(monkeypatch, capsys)


@pytest.fixture
def recipe(tmp_path):
    """A recipe with four labeled problems of its own, and human ones beside them."""
    names = ["Abel", "Bede", "Cady", "Dunn"]
    problems = jsonl(tmp_path / "problems.jsonl", [{"problem": f"How many boats are on lake {n}?"} for n in names])
    ids = [row.id for row in read_problems([Input(path=str(problems))], domain="math", seed=0).rows if "Dunn" not in row.problem]
    labels = jsonl(tmp_path / "labels.jsonl", [{"problem": id_, "kind": "vote", "answer": "7"} for id_ in ids])
    hills = [{"problem": f"How many goats are on hill {n} of {n * n} by the sea?", "answer": "3", "split": "train"} for n in range(4)]

    def write(**sections):
        content = {
            "schema": 1,
            "name": "play",
            "engines": {"default": {"kind": "scripted"}},
            "models": {"solver": str(script(tmp_path / "model", *REPLIES, default="no idea"))},
            "inputs": {"problems": [str(problems)], "labels": [str(labels)], "seeds": [str(jsonl(tmp_path / "hills.jsonl", hills))]},
            "self_play": {"method": "none", "form": "think", "human": 0.25, "sample": {"max_tokens": 100}},
        } | sections
        path = tmp_path / "play.yaml"
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    return write


def pairs(folder):
    return api.open(folder)["self_play/1/pairs"].to_pylist()


def test_a_run_goes_from_labeled_problems_to_pairs(shell, recipe, tmp_path):
    told = shell("run", recipe(), "--run", tmp_path / "run").err
    assert "4 questions, 1 of them human; 2 in the band" in told
    found = pairs(tmp_path / "run")
    assert sorted(p["chosen"] for p in found) == [r"<think>Draw 3.</think>\boxed{3}", r"<think>Draw 7.</think>\boxed{7}"]
    assert all(p["rejected"] not in (p["chosen"], "") for p in found)
    rates = from_table(api.open(tmp_path / "run")["self_play/1/pass_rates"], PassRate)
    assert sorted(r.why for r in rates) == ["", "", "too_easy", "unsolved"]
    stage = next(s for s in json.loads(shell("status", tmp_path / "run", "--json").out)["stages"] if s["name"] == "self_play")
    assert (stage["state"], stage["rows_out"], stage["dropped"]) == ("done", 2, {"too_easy": 1, "unsolved": 1})
    assert "no_label" in shell("rows", tmp_path / "run", "self_play/questions", "--dropped", "all").err
    assert "--- problems" in shell("explain", tmp_path / "run", next(p["id"] for p in found if "7" in p["chosen"])).out
    assert (tmp_path / "run/report/index.html").is_file()


def test_the_verb_runs_the_stage_alone_and_again_for_nothing(shell, recipe, tmp_path):
    run = tmp_path / "run"
    shell("run", recipe(), "--run", run, "--until", "labels")
    shell("self-play", run)
    before, key = pairs(run), Run.open(run).current("self_play/1/attempts-1")
    shell("self-play", run, "--set", "self_play.pairs=1", "--redo", "self_play")
    assert Run.open(run).current("self_play/1/attempts-1") == key, "a choice of pairs draws nothing anew"
    assert pairs(run) == before


@pytest.mark.parametrize("calls", [2, 6])
def test_a_killed_run_resumes_to_the_same_pairs(shell, recipe, tmp_path, calls):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    shell("run", recipe(), "--run", whole)
    killing = "import promptcot.grading as g, os; real = g.Grader.grade; n = [0]\n"
    killing += f"def grade(self, q, a):\n    n[0] += 1\n    n[0] == {calls} and os.kill(os.getpid(), 9)\n    return real(self, q, a)\n"
    killing += "g.Grader.grade = grade"
    victim = process("run", recipe(), "--run", cut, before=f"exec({killing!r})")
    victim.communicate()
    assert victim.returncode == -signal.SIGKILL
    shell("run", recipe(), "--run", cut)
    assert pairs(cut) == pairs(whole)
    tables = (api.open(folder)["self_play/1/pass_rates"] for folder in (cut, whole))
    assert next(tables).to_pylist() == next(tables).to_pylist()


def test_the_self_played_solver_is_evaluated_beside_the_one_it_came_from(shell, recipe, tmp_path, monkeypatch):
    def fit_on_pairs(place, name, start, pairs, settings, beta, training, *, seed):
        path = script(tmp_path / "better", default=r"\boxed{7}")
        return replace(start, path=path, fingerprint=fingerprint(path))

    monkeypatch.setattr(fits, "fit_on_pairs", fit_on_pairs)
    benchmark = jsonl(tmp_path / "boats.jsonl", [{"id": n, "problem": f"Boats on lake {n}?", "answer": "7"} for n in ("Bede", "Cady")])
    evaluate = {"benchmarks": [str(benchmark)], "models": ["solver", "self_played"], "sample": {"max_tokens": 100}}
    path = recipe(self_play={"form": "think", "sample": {"max_tokens": 100}}, evaluate=evaluate)
    shell("run", path, "--run", tmp_path / "run")
    found = api.open(tmp_path / "run")["evaluate/scores"].to_pylist()
    assert {(s["model"], s["value"]) for s in found if s["metric"] == "avg"} == {("solver", 0.5), ("self_played", 1.0)}
    assert "self-played" in (tmp_path / "run/report/index.html").read_text(encoding="utf-8")


def test_human_problems_that_were_attempted_are_looked_for_among_the_benchmarks_questions(shell, recipe, tmp_path):
    """They bring no concepts, so they are not among the triples."""
    hill = {"id": "hill", "problem": "How many goats are on hill 2 of 4 by the sea?", "answer": "3"}
    evaluate = {"benchmarks": [str(jsonl(tmp_path / "hills-too.jsonl", [hill]))], "models": ["solver"], "sample": {"max_tokens": 100}}
    play = {"method": "none", "human": 1.0, "sample": {"max_tokens": 100}}
    shell("run", recipe(self_play=play, evaluate=evaluate), "--run", tmp_path / "run")
    assert api.open(tmp_path / "run")["evaluate/hills-too/overlap"].num_rows == 1


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"self_play": {"solver": "nobody"}}, "nobody"),
        ({"self_play": {"attemps": 4}}, "attempts"),
        ({"self_play": None, "evaluate": {"benchmarks": ["x"], "models": ["self_played"]}}, "self_played"),
        ({"models": {"self_played": "x", "solver": "y"}}, "self_played"),
    ],
)
def test_wrong_recipes_say_what_and_where(shell, recipe, sections, told):
    assert told in shell("run", recipe(**sections), code=2).err


def test_a_run_without_any_question_stops(shell, recipe):
    assert "no question" in shell("run", recipe(inputs={"problems": [], "seeds": []}), code=4).err


def test_rejection_sampling_fits_a_model_on_the_ids_it_drew(tmp_path):
    """Two right attempts of a tiny model: they become likelier, without being tokenized again."""
    path = save_tiny_model(tmp_path / "tiny")
    start = Role("solver", path, fingerprint(path), EngineSpec(dtype="fp32"), TAGGED)
    asked = replace(question(), problem="a b")
    drawn = [
        Attempt(id=f"{n}" * 32, problem=asked.id, draw=n, text="not what was drawn", ids=ids) for n, ids in enumerate([(5, 6), (5, 7)])
    ]
    settings = SelfPlay(method="sft", chat=False, fit=Fit(lr=0.05, epochs=4, batch=2))
    done = fitted(MemoryWorkplace(tmp_path / "w"), "f", start, [asked], drawn, {asked.id: 1.0}, settings, Training(), seed=0)
    assert log_p(done, drawn) > log_p(start, drawn) + 1


def log_p(role, attempts):
    from promptcot.engines.conversation import prompt_ids
    from promptcot.engines.protocol import ScoreRequest, Tokens
    from promptcot.templates_solving import solving_prompt

    with role.open() as engine:
        prefix = prompt_ids(engine.tokenizer, solving_prompt("math", "a b"), chat=False)
        asked = [ScoreRequest(a.id, Tokens(prefix, ((*a.ids, engine.tokenizer.eos),))) for a in attempts]
        return sum(sum(scored.log_p) for scored in engine.score(asked))
