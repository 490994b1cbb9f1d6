"""A trial of corpora: equal tokens, parts within parts, an interval that covers, and whole trials on a small model."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcot import api
from promptcot.errors import UsageError
from promptcot.intervals import crossed_mean
from promptcot.outcomes import Drop, Grading
from promptcot.recipe import Trial
from promptcot.records import Question, Trace, TrialStudent
from promptcot.tables import from_table
from promptcot.templates_solving import solving_prompt
from promptcot.training.batches import optimizer_steps
from promptcot.trials import lessons
from promptcot.trials.nested import epochs_for, equal_budget, order, taken
from promptcot.trials.outcome import _over, paired
from promptcot.trials.students import HeldOut
from tests import exports
from tests.runs import Shell, jsonl
from tests.test_distill import PLAIN, student

LENGTHS = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.integers(1, 40), min_size=1, max_size=30)


@given(LENGTHS, st.integers(0, 50), st.integers(0, 900), st.integers(0, 900))
def test_a_smaller_budget_is_within_a_larger_one_and_neither_is_exceeded(lengths, seed, one, other):
    small, large = (taken(lengths, seed, budget) for budget in sorted((one, other)))
    assert large[: len(small)] == small
    assert sum(lengths[i] for i in large) <= max(one, other)
    rest = order(list(lengths), seed)[len(large) :]
    assert not rest or sum(lengths[i] for i in large) + lengths[rest[0]] > max(one, other), "as many as fit"


def test_equal_tokens_are_those_of_the_smallest_corpus_or_what_is_asked_for():
    lengths = [{"x": 5, "y": 7}, {"z": 9}]
    assert (equal_budget(lengths, None), equal_budget(lengths, 4), equal_budget(lengths, 99)) == (9, 4, 9)


@given(st.integers(1, 300), st.integers(1, 60), st.integers(1, 17), st.integers(0, 3))
def test_as_many_steps_is_exactly_as_many(steps, texts, batch, seed):
    assert len(optimizer_steps(texts, epochs_for(steps, texts, batch), batch, seed)) == steps


def test_the_students_of_a_trial_have_names_of_their_own():
    trial = Trial(corpora=[{"name": n, "path": n} for n in "ab"], seeds=[0, 1], shares=[0.5, 1.0], same=["epochs", "steps"])
    names = [one.name for one in trial.students]
    assert len(set(names)) == len(names) == 2 * 2 * 3
    assert {"a-0", "a-50pc-epochs-0", "b-50pc-steps-1"} <= set(names)


# the interval


def test_a_score_of_zero_everywhere_is_not_sure_to_be_zero():
    """The exact limit of none in 91: 1 - .025^(1/91)."""
    found = _over([dict.fromkeys(map(str, range(91)), 0.0)] * 3, 0.95)
    assert (found.value, found.low, found.high) == pytest.approx((0, 0, 1 - 0.025 ** (1 / 91)), abs=1e-6)


def test_the_mean_over_seeds_and_questions_by_hand():
    """Two seeds, three questions, 0 1 2 and 2 3 4: seeds differ by 2 everywhere, so there is no rest. Mean squares: seeds 3 * 2 = 6,
    questions 2 * 1 = 2; variance (6 + 2) / 6 with (8^2) / (6^2 / 1 + 2^2 / 2) = 1.68 degrees of freedom."""
    from scipy.stats import t

    found = crossed_mean([[0.0, 1.0, 2.0], [2.0, 3.0, 4.0]])
    half = t.ppf(0.975, 64 / 38) * math.sqrt(8 / 6)
    assert (found.value, found.low, found.high) == pytest.approx((2, 2 - half, 2 + half))
    assert found.n == 3


@pytest.mark.parametrize(("seeds", "effects"), [(3, (0, 1, 1)), (3, (0.2, 1, 1)), (3, (1, 0.5, 0.2)), (5, (0.5, 0.25, 1)), (3, (0, 0, 1))])
def test_its_interval_covers_whatever_varies(seeds, effects):
    stream, hits, runs = np.random.default_rng(seeds), 0, 250
    for _ in range(runs):
        seed, question, rest = (stream.normal(0, sd, shape) for sd, shape in zip(effects, ((seeds, 1), (1, 40), (seeds, 40)), strict=True))
        found = crossed_mean((seed + question + rest).tolist())
        hits += found.low <= 0 <= found.high
    assert hits / runs >= 0.90


def test_scores_that_never_differ_are_no_evidence_of_anything():
    found = paired([[0.0] * 30] * 3)
    assert found.low < 0 < found.high
    assert paired([[1.0] * 30] * 3).verdict == "gain"


@pytest.mark.slow
def test_differences_of_shares_are_covered_too():
    """Questions of their own difficulty, yes-or-no answers, three seeds, a true difference of 10 points."""
    stream, hits, runs = np.random.default_rng(5), 0, 100
    for _ in range(runs):
        base = stream.beta(2, 2, 40)
        better = base + 0.1 * (1 - base) / (1 - 0.5)
        table = [(stream.random(40) < np.minimum(better, 1)).astype(float) - (stream.random(40) < base) for _ in range(3)]
        truth = float(np.mean(0.1 * 2 * 0.5))
        found = paired([row.tolist() for row in table])
        hits += found.low <= truth <= found.high
    assert hits / runs >= 0.9


# lessons


def test_a_file_teaches_solutions_or_answers(tmp_path):
    rows = [{"problem": "How many?", "solution": "We count: \\boxed{2}."}, {"problem": "How few?", "answer": "1"}, {"problem": "Why?"}]
    found = lessons(str(jsonl(tmp_path / "own.jsonl", rows)), domain="math", seed=0)
    assert {(t.prompt, t.answer) for t in found} == {
        (solving_prompt("math", "How many?"), "We count: \\boxed{2}."),
        (solving_prompt("math", "How few?"), "\\boxed{1}"),
    }


def test_a_file_of_traces_teaches_them_as_they_are(tmp_path):
    rows = [{"prompt": "q", "reasoning": "r", "answer": "a"}]
    [trace] = lessons(str(jsonl(tmp_path / "traces.jsonl", rows)), domain="math", seed=0)
    assert (trace.prompt, trace.reasoning, trace.answer) == ("q", "r", "a")


def test_a_run_teaches_its_traces_else_its_labels(tmp_path):
    api.run(exports.recipe(tmp_path), folder=tmp_path / "run")
    found = lessons(str(tmp_path / "run"), domain="math", seed=0)
    assert {"6 + 1"} <= {trace.reasoning for trace in found}
    (tmp_path / "bare").mkdir()
    api.run(exports.recipe(tmp_path / "bare"), folder=tmp_path / "bare/run", until="labels")
    labeled = lessons(str(tmp_path / "bare/run"), domain="math", seed=0)
    assert [trace.answer for trace in labeled] == ["\\boxed{7}"], "a program is known by its tests alone"


@pytest.mark.parametrize("row", [{"problem": "Why?"}, None])
def test_what_teaches_nothing_is_refused(tmp_path, row):
    path = jsonl(tmp_path / "own.jsonl", [row]) if row else tmp_path / "absent.jsonl"
    with pytest.raises(UsageError):
        lessons(str(path), domain="math", seed=0)


# whole trials


@pytest.fixture
def shell(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    return Shell(monkeypatch, capsys)


@pytest.fixture
def asked(tmp_path):
    """The command for two corpora of unequal size, one with a question of the benchmark in it."""
    student(tmp_path / "student", PLAIN)
    held_out = "a b c d e f g h what is it"
    mine = [{"problem": f"{x} {y}", "solution": f"{y} {x} {x}"} for x in "abcd" for y in "efg"]
    theirs = [{"problem": f"{x} {y}", "solution": f"{y} {x} {y} {x} {y}"} for x in "hijk" for y in "lmn"]
    rows = {"mine": [*mine, {"problem": held_out, "solution": "a"}], "theirs": theirs}
    files = [jsonl(tmp_path / f"{name}.jsonl", own) for name, own in rows.items()]
    questions = [{"id": "h", "problem": held_out, "answer": "1"}, {"id": "i", "problem": "o p", "answer": "2"}]
    benchmark = jsonl(tmp_path / "held.jsonl", questions)
    tiny = ["--set", "engines.default={device: cpu, dtype: fp32}", "--set", "training={max_tokens: 60, dtype: fp32}"]
    options = ["--benchmark", benchmark, "--student", tmp_path / "student", "--samples", "2", "--max-tokens", "4", "--batch", "3", *tiny]
    return ["trial", *files, "2", *options, "--run", tmp_path / "run"]


@pytest.mark.slow
def test_a_trial_ends_in_paired_differences_and_goes_on_where_it_was(shell, asked, tmp_path):
    found = json.loads(shell(*asked, "--json").out)
    differences = {(d["new"], d["old"]): d for d in found["differences"]}
    assert set(differences) == {("b", "a"), ("a", "before"), ("b", "before")}
    assert all(d["value"]["n"] == 2 and len(d["by_seed"]) == 2 for d in differences.values())
    assert differences["b", "a"]["verdict"] == "no evidence", "nobody solves anything"
    run = api.open(tmp_path / "run")
    rows = from_table(run["trial/students"], TrialStudent)
    assert {row.student for row in rows} == {"a-0", "a-1", "b-0", "b-1"}
    budget = min(sum(len(t.answer.split()) + 1 for t in from_table(run[f"trial/{name}/lessons"], Trace)) for name in "ab")
    assert all(budget - 6 < row.tokens <= budget for row in rows), "equal but for less than one text"
    dropped = [row["reason"] for row in run_drops(tmp_path / "run", "trial/a/lessons")]
    assert dropped == [Drop.CONTAMINATED]
    again = shell(*asked, "--json")
    assert json.loads(again.out) == found
    assert json.loads(shell("trial", tmp_path / "run", "--json").out) == found


def run_drops(folder, step):
    from promptcot import inspection
    from promptcot.store import Run

    return inspection.table(Run.open(folder), step, dropped=True).to_pylist()


@pytest.mark.slow
def test_a_curve_has_the_same_epochs_and_the_same_steps(shell, asked, tmp_path):
    """One corpus, half and all of its tokens: with the same steps the half is seen twice as often."""
    alone = [*asked[:2], *asked[4:]]
    found = json.loads(shell(*alone, "--share", "0.5", "--json").out)
    groups = {(g["share"], g["same"]): g for g in found["students"]}
    assert set(groups) == {(0.5, "epochs"), (0.5, "steps"), (1.0, "epochs")}
    assert groups[0.5, "steps"]["steps"] == groups[1.0, "epochs"]["steps"]
    assert groups[0.5, "epochs"]["steps"] < groups[1.0, "epochs"]["steps"]
    assert groups[0.5, "epochs"]["texts"] == groups[0.5, "steps"]["texts"] < groups[1.0, "epochs"]["texts"]


def test_a_trial_without_questions_or_with_an_impossible_budget_says_so(shell, asked, tmp_path):
    assert "--benchmark" in shell("trial", tmp_path / "mine.jsonl", tmp_path / "theirs.jsonl", code=2).err
    assert "trial.tokens" in shell(*asked, "--tokens", "1", code=4).err
    assert "no trial here" in shell("trial", exported(tmp_path), code=2).err


def exported(folder):
    api.run(exports.recipe(folder), folder=folder / "other")
    return folder / "other"


def test_a_lesson_that_holds_a_question_is_found_however_it_is_set():
    def asked(problem):
        return Question(id=problem, benchmark="b", name=problem, problem=problem, grading=Grading.ANSWER, reference="1")

    held = HeldOut.of([asked("How many boats of nine are left when $\\frac{1}{3}$ sail?"), asked("What is 2 + 3?")])
    assert held.within("Solve.\n\nProblem:\nHOW many boats\nof nine are left when 1/3 sail?")
    assert not held.within("Solve.\n\nProblem:\nHow many boats of eight are left when 1/3 sail?")
    assert held.within(solving_prompt("math", "What is 2 + 3?"))
    assert not held.within(solving_prompt("math", "What is 2 + 3 boats?")), "a short question is no run that says much"
