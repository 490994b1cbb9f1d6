"""The stage that evaluates, as people run it: with scripted models whose verdicts are known beforehand."""

import json
import os
import signal

import pytest

from promptcot import api
from promptcot.records import Grade
from promptcot.store import Run
from promptcot.tables import from_table
from tests.runs import Shell, jsonl, process, script

MATH = [
    {"id": "boxed", "problem": "How many boats are on lake Abel?", "answer": "7"},
    {"id": "marked", "problem": "How many boats are on lake Bede?", "answer": "1/2"},
    {"id": "wrong", "problem": "How many boats are on lake Cady?", "answer": "9"},
    {"id": "silent", "problem": "How many boats are on lake Dunn?", "answer": "4"},
    {"id": "cut", "problem": "How many boats are on lake Eder?", "answer": "4"},
    {"id": "second", "problem": "How many boats are on lake Fahy?", "answer": "1"},
]
REPLIES = (
    ("Abel", r"So it is \boxed{7}."),
    ("Bede", "Final answer: 0.5"),
    ("Cady", r"\boxed{8}"),
    ("Dunn", "I count 4 boats and a raft"),
    ("Eder", "x" * 3000 + r"\boxed{4}"),
    ("Fahy", r"\boxed{{draw}}"),
)


@pytest.fixture
def shell(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROMPTCOT_DATA", raising=False)
    return Shell(monkeypatch, capsys)


@pytest.fixture
def asked(tmp_path):
    """The options that evaluate the scripted solver on six questions."""
    model = script(tmp_path / "model", *REPLIES, default="no idea")
    return ["--benchmark", jsonl(tmp_path / "boats.jsonl", MATH), "--model", model, "--max-tokens", "2000"]


def scores(out):
    return {f"{s['metric']}@{s['k']}": s["value"] for s in json.loads(out)["results"][0]["scores"]}


def grades(folder, model="solver", name="boats", step="grades"):
    return from_table(api.open(folder)[f"evaluate/{name}/{model}/{step}"], Grade)


def test_known_verdicts_give_known_scores(shell, asked):
    """Right: Abel and Bede always, Fahy in one of two draws. Cady is wrong, Dunn says no answer, Eder is cut."""
    found = scores(shell("evaluate", *asked, "--samples", 2, "--json").out)
    assert found["avg@2"] == pytest.approx(2.5 / 6)
    assert found["pass@2"] == pytest.approx(3 / 6)
    assert found["maj@2"] == pytest.approx(2.5 / 6)
    assert found["truncated@0"] == found["no_answer@0"] == pytest.approx(1 / 6)
    assert found["format@0"] == pytest.approx(4 / 6)


def test_every_attempt_is_stored_with_its_verdict(shell, asked, tmp_path):
    shell("evaluate", *asked, "--samples", 2, "--run", tmp_path / "run")
    attempts = api.open(tmp_path / "run")["evaluate/boats/solver/attempts"]
    stored = grades(tmp_path / "run")
    assert attempts.num_rows == len(stored) == 12
    assert {a["id"] for a in attempts.to_pylist()} == {g.parents[1] for g in stored}
    assert {g.verdict for g in stored} == {"correct", "wrong", "no_answer", "truncated"}
    assert all(g.tokens for g in stored)


def test_grading_is_redone_without_sampling_anew(shell, asked, tmp_path):
    """The last number counts, once that is asked for: Dunn's 4. The attempts keep their table and cost nothing more."""
    run = tmp_path / "run"
    before = scores(shell("evaluate", *asked, "--run", run, "--json").out)
    key = Run.open(run).current("evaluate/boats/solver/attempts")
    after = scores(shell("evaluate", *asked, "--run", run, "--json", "--set", "evaluate.fallback=last_number", "--redo", "evaluate").out)
    assert after["avg@1"] == pytest.approx(before["avg@1"] + 1 / 6)
    assert Run.open(run).current("evaluate/boats/solver/attempts") == key


@pytest.mark.parametrize("k", [1, 2, 4])
def test_stopping_a_question_at_its_first_success_changes_no_solved_within(shell, asked, tmp_path, k):
    everything = shell("evaluate", *asked, "--samples", 4, "--run", tmp_path / "all", "--json", "--set", f"evaluate.k=[{k}]").out
    tried = shell("evaluate", *asked, "--samples", 4, "--tries", "--run", tmp_path / "tried", "--json", "--set", f"evaluate.k=[{k}]").out
    assert json.loads(tried)["results"][0]["attempts"] < json.loads(everything)["results"][0]["attempts"] == 24
    first = {row["problem"] for row in api.open(tmp_path / "tried")["evaluate/boats/solver/attempts-1"].to_pylist()}
    second = {row["problem"] for row in api.open(tmp_path / "tried")["evaluate/boats/solver/attempts-2"].to_pylist()}
    assert second < first
    whole = [g for g in grades(tmp_path / "all") if g.draw < k and g.verdict == "correct"]
    assert scores(tried)[f"solved_within@{k}"] == pytest.approx(len({g.question for g in whole}) / 6)


def test_two_runs_are_compared_on_their_shared_questions(shell, asked, tmp_path):
    better = script(tmp_path / "better", ("Cady", r"\boxed{9}"), *REPLIES)
    shell("evaluate", *asked, "--run", tmp_path / "a")
    shell("evaluate", *asked[:3], better, *asked[4:], "--run", tmp_path / "b")
    found = json.loads(shell("compare", tmp_path / "a", tmp_path / "b", "--json").out)["benchmarks"][0]
    assert found["difference"]["value"] == pytest.approx(1 / 6)
    assert found["verdict"] == "no evidence", "one question of six is no evidence, whatever its sign"
    assert (found["sign"]["better"], found["sign"]["worse"], found["sign"]["ties"]) == (1, 0, 5)
    assert "no evidence" in shell("compare", tmp_path / "a", tmp_path / "b").out


def test_the_overlap_with_the_training_texts_stands_beside_the_score(shell, asked, tmp_path):
    long = "A ferry leaves the quay at noon with ninety people on board and comes back at six with forty more of them"
    questions = jsonl(tmp_path / "ferry.jsonl", [*MATH, {"id": "ferry", "problem": long + ". How many are on board?", "answer": "130"}])
    corpus = jsonl(tmp_path / "corpus.jsonl", [{"problem": "Other words. " + long.upper().replace(" ", "\n") + "!"}, {"problem": "?"}])
    told = shell("evaluate", "--benchmark", questions, *asked[2:], "--corpus", corpus, "--json").out
    assert json.loads(told)["results"][0]["overlap"]["questions"] == ["ferry"]
    assert "1 of 7 questions" in shell("evaluate", "--benchmark", questions, *asked[2:], "--corpus", corpus).out
    assert "not looked for" in shell("evaluate", *asked).out


def test_a_run_evaluates_with_its_own_problems_as_the_corpus(shell, tmp_path):
    model = script(tmp_path / "model", *REPLIES)
    problems = jsonl(tmp_path / "problems.jsonl", [{"problem": "Find how many boats are on lake Abel if there are seven."}])
    recipe = {
        "schema": 1,
        "name": "own",
        "engines": {"default": {"kind": "scripted"}},
        "models": {"solver": str(model)},
        "inputs": {"problems": [str(problems)]},
        "evaluate": {"benchmarks": [str(jsonl(tmp_path / "boats.jsonl", MATH))], "sample": {"max_tokens": 2000}},
    }
    (tmp_path / "own.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    shell("run", "own.yaml")
    assert "of 6 questions share 13 words in a row with 1 texts of this run" in shell("evaluate", "runs/own").out
    page = (tmp_path / "runs/own/report/index.html").read_text()
    assert "Evaluation" in page
    assert "avg@1" in page


def test_a_killed_evaluation_resumes_to_the_same_grades(shell, asked, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    shell("evaluate", *asked, "--samples", 3, "--run", whole)
    killing = "import promptcot.grading as g, os; real = g.Grader.grade; n = [0]\n"
    killing += "def grade(self, q, a):\n    n[0] += 1\n    n[0] == 3 and os.kill(os.getpid(), 9)\n    return real(self, q, a)\n"
    killing += "g.Grader.grade = grade"
    before = f"exec({killing!r})"
    victim = process("evaluate", *map(str, asked), "--samples", "3", "--run", cut, before=before)
    victim.communicate()
    assert victim.returncode == -signal.SIGKILL
    shell("evaluate", *asked, "--samples", 3, "--run", cut)
    assert grades(cut) == grades(whole)


CODE = [
    {"id": "sum", "problem": "Read two integers a b, print their sum.", "tests": [{"input": "1 2\n", "output": "3\n"}]},
    {"id": "twice", "problem": "Read n, print it twice.", "tests": [{"input": "4\n", "output": "4 4\n"}]},
    {"id": "hang", "problem": "Read n, print its square.", "tests": [{"input": "4\n", "output": "16\n"}]},
]
PROGRAMS = (
    ("a b", "```python\na, b = map(int, input().split())\nprint(a + b)\n```\nIt prints\n```\n3\n```"),
    ("twice", "```python\nprint(input())\n```"),
    ("square", "```python\nwhile True: pass\n```"),
)


@pytest.mark.usefixtures("sandbox")
def test_programs_are_graded_by_their_tests(shell, tmp_path):
    model = script(tmp_path / "model", *PROGRAMS)
    source = jsonl(tmp_path / "code.jsonl", CODE)
    asked = ("--benchmark", source, "--model", model, "--set", "domain=code", "--set", "evaluate.cpu_s=0.5", "--run", tmp_path / "run")
    assert scores(shell("evaluate", *asked, "--json").out)["avg@1"] == pytest.approx(1 / 3)
    assert sorted(g.verdict for g in grades(tmp_path / "run", name="code")) == ["correct", "program_timeout", "wrong"]
    assert all(g.cpu_s > 0 for g in grades(tmp_path / "run", name="code"))


def test_programs_need_a_sandbox_before_any_model_is_asked(shell, tmp_path, monkeypatch):
    from promptcot.errors import MissingHere
    from promptcot.sandbox import runners

    def missing():
        raise MissingHere("no sandbox", remedy="promptcot doctor")

    monkeypatch.setattr(runners, "available", missing)
    source = jsonl(tmp_path / "code.jsonl", CODE)
    shell("evaluate", "--benchmark", source, "--model", script(tmp_path / "model", *PROGRAMS), "--set", "domain=code", code=5)
    assert not list((tmp_path / "runs").rglob("part-*.parquet"))


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ([], 2, "--benchmark"),
        (["--benchmark", "boats.jsonl"], 2, "--model"),
        (["--benchmark", "nowhere.jsonl", "--model", "model"], 2, "nowhere.jsonl"),
        (["--benchmark", "aime99", "--model", "model"], 2, "aime"),
        (["--benchmark", "boats.jsonl", "--benchmark", "boats.jsonl", "--model", "model"], 2, "twice"),
        (["--benchmark", "boats.jsonl", "--model", "no-such-model"], 2, "no-such-model"),
        (["--benchmark", "boats.jsonl", "--model", "model", "--set", "evaluate.sampels=2"], 2, "samples"),
        (["--benchmark", "boats.jsonl", "--model", "model", "--corpus", "gone.jsonl"], 2, "gone.jsonl"),
    ],
)
def test_wrong_input_says_what_and_where(shell, asked, tmp_path, arguments, code, told):
    assert told in shell("evaluate", *arguments, code=code).err


def test_a_file_that_breaks_is_named_by_line_and_key(shell, asked, tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"id": "x", "problem": "What is 1?", "answer": "1"}\n{"id": "y", "answer": "2"}\n', encoding="utf-8")
    told = shell("evaluate", "--benchmark", bad, *asked[2:], code=2).err
    assert "bad.jsonl" in told
    assert "2" in told
    assert "problem" in told


def test_nothing_to_compare_is_said(shell, tmp_path):
    (tmp_path / "empty").mkdir()
    shell("compare", tmp_path / "empty", tmp_path / "empty", code=2)


def test_the_answer_does_not_depend_on_how_many_threads_grade(shell, asked, tmp_path, monkeypatch):
    shell("evaluate", *asked, "--samples", 3, "--run", tmp_path / "many")
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    shell("evaluate", *asked, "--samples", 3, "--run", tmp_path / "one")
    assert grades(tmp_path / "many") == grades(tmp_path / "one")


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("tries", [(), ("--tries",)])
def test_a_rating_stands_with_its_rule_and_problems(shell, tmp_path, tries):
    model = script(tmp_path / "model", *PROGRAMS)
    asked = ("--model", model, "--set", "domain=code", "--set", "evaluate.cpu_s=0.5", "--samples", 2, *tries)
    source = jsonl(tmp_path / "rated.jsonl", [{**row, "rating": 800 + 400 * n} for n, row in enumerate(CODE)])
    found = json.loads(shell("evaluate", "--benchmark", source, *asked, "--json").out)["results"][0]
    assert [(p["rating"], p["solved"]) for p in sorted(found["elo"]["problems"], key=lambda p: p["rating"])][1:] == [(1200, 0), (1600, 0)]
    assert found["elo"]["rule"] == "every_try"
    score = next(s for s in found["scores"] if s["metric"] == "elo")
    assert score["low"] < score["value"] < score["high"]
    unrated = shell("evaluate", "--benchmark", jsonl(tmp_path / "codeforces-some.jsonl", CODE), *asked).out
    assert "no Elo" in unrated


def test_a_place_in_a_contest_becomes_a_rating(shell, asked, tmp_path):
    """Abel and Bede are solved, Cady is not: 200 points more than the second half of the people, fewer than the first."""
    rows = [{**row, "contest": "7", "name": name} for row, name in zip(MATH[:3], "ABC", strict=True)]
    source = jsonl(tmp_path / "contest.jsonl", [{**row, "id": f"7{row['name']}"} for row in rows])
    people = [{"rating": 1500 + 100 * n, "points": 300 if n >= 5 else 100} for n in range(10)]
    table = jsonl(tmp_path / "standings.jsonl", [{"contest": "7", "problems": {"A": 100, "B": 100, "C": 500}, "people": people}])
    shell("evaluate", "--benchmark", source, *asked[2:], "--run", tmp_path / "run")
    found = json.loads(shell("contest-rating", tmp_path / "run", "--benchmark", "contest", "--standings", table, "--json").out)
    assert found["places"][0]["ahead"] == 5
    assert 1900 < found["rating"]["value"] < 2000
    assert found["rating"]["low"] is None, "one contest says nothing of others"
    shell("contest-rating", tmp_path / "run", "--benchmark", "contest", "--standings", tmp_path / "none.jsonl", code=2)
    other = jsonl(tmp_path / "other.jsonl", [{"contest": "8", "problems": {"A": 1}, "people": people}])
    assert "contest" in shell("contest-rating", tmp_path / "run", "--benchmark", "contest", "--standings", other, code=2).err


@pytest.mark.usefixtures("sandbox")
def test_a_function_is_asked_for_where_tests_call_one(shell, tmp_path):
    """The scripted solver answers only a prompt that names the function."""
    right = "```python\ndef double(n):\n    return 2 * n\n```"
    model = script(tmp_path / "model", ("function `double`", right), default="```python\nprint(input())\n```")
    row = {"id": "double", "problem": "Give twice n.", "function": "double", "tests": [{"input": [4], "output": 8}]}
    source = jsonl(tmp_path / "functions.jsonl", [row])
    assert scores(shell("evaluate", "--benchmark", source, "--model", model, "--set", "domain=code", "--json").out)["avg@1"] == 1
