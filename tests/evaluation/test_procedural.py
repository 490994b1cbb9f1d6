"""reasoning-gym as a benchmark: instances follow from the seed, and the task scores answers, whatever an answer says."""

import json
from typing import Any

import pytest

from promptcot.errors import MissingHere, UsageError
from promptcot.evaluation.benchmarks import load, score
from promptcot.outcomes import Grading
from promptcot.recipe import Input
from promptcot.seeds.sources import open_source
from promptcot.verify.families import Scorer

pytest.importorskip("reasoning_gym")


def answer_of(question: Any) -> str:
    return str(json.loads(question.reference)["entry"]["answer"])


def test_instances_follow_from_the_seed():
    name = "reasoning-gym:chain_sum?min_terms=4&max_terms=4"
    found = load(name, rows=5, seed=1)
    assert found == load(name, rows=5, seed=1)
    assert (found.name, len(found.questions), found.gradable) == (name, 5, True)
    assert found.source.startswith("reasoning-gym 0")
    assert {q.grading for q in found.questions} == {Grading.FAMILY}
    assert {q.problem for q in found.questions}.isdisjoint(q.problem for q in load(name, rows=5, seed=2).questions)
    assert [q.id for q in load(name, rows=3, seed=1).questions] == [q.id for q in found.questions[:3]]
    assert len(load("reasoning-gym:gcd").questions) == 100


def test_instances_for_evaluation_are_not_those_of_a_run_with_the_same_seed():
    seeds = open_source(Input(path="reasoning-gym:chain_sum", rows=50), "math", 0)
    trained = {row.data["problem"] for row in seeds.rows if row.data}
    assert trained.isdisjoint(q.problem for q in load("reasoning-gym:chain_sum", rows=50, seed=0).questions)


@pytest.mark.parametrize(("name", "message"), [("gcdd", "gcd"), ("gcd?nonsense=1", "nonsense"), ("gcd?min_numbers=-1", "min_numbers")])
def test_a_wrong_task_or_option_is_named(name, message):
    with pytest.raises(UsageError, match=message):
        load(f"reasoning-gym:{name}")


def test_a_task_has_no_contest_dates():
    with pytest.raises(UsageError, match="window"):
        load("reasoning-gym:gcd", window=("2025-01-01", "2025-02-01"))


def test_scoring_without_the_package_is_missing_here(monkeypatch):
    reference = load("reasoning-gym:gcd", rows=1).questions[0].reference
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with Scorer() as scorer, pytest.raises(MissingHere, match="reasoning"):
        scorer.score(reference, "1")


@pytest.mark.parametrize("reference", ["", "{}", "[]", '{"task": "gcd", "config": 3, "entry": {}}'])
def test_a_reference_of_another_kind_is_refused(reference):
    with pytest.raises(UsageError, match="no reference"):
        score(reference, "1")


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("task", ["gcd", "arc_1d", "spiral_matrix", "polynomial_multiplication", "time_intervals"])
def test_the_task_scores_its_own_answer_and_others(task):
    for question in load(f"reasoning-gym:{task}", rows=2, seed=5).questions:
        assert score(question.reference, answer_of(question)) == 1.0
        assert score(question.reference, "no answer at all") < 0.5
        assert score(question.reference, "") < 0.5


@pytest.mark.usefixtures("sandbox")
def test_an_answer_that_is_code_does_nothing_here_and_spoils_no_other_score(tmp_path):
    question = load("reasoning-gym:n_queens", rows=1).questions[0]
    harm = f"__import__('os').system('touch {tmp_path / 'trace'}')"
    for said in (harm, "__import__('os')._exit(0)", "__import__('os').kill(__import__('os').getppid(), 9)", "(" * 5000):
        assert score(question.reference, said) == 0.0
        assert score(question.reference, answer_of(question)) == 1.0
    assert not (tmp_path / "trace").exists()


@pytest.mark.usefixtures("sandbox")
def test_a_reference_that_the_library_refuses_is_an_error_not_a_score():
    reference = {"task": "no_such_task", "config": {}, "entry": {"answer": "1"}}
    with pytest.raises(UsageError, match="no_such_task"):
        score(json.dumps(reference), "1")
