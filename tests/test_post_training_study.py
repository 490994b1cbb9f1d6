"""The post-training benchmark: its recipes are valid, its oracle is right, and nothing held out is trained on."""

import json
from pathlib import Path

import pytest
from benchmarks.post_training import arms, corpora, paired

from promptcot import recipes
from promptcot.evaluation.comparison import compare
from promptcot.evaluation.marks import Marks
from promptcot.intervals import Estimate
from promptcot.outcomes import Equality, Verdict
from promptcot.verify.answers import Verifier


@pytest.mark.parametrize("make", [arms.rejection, arms.preferences, arms.oracle, corpora.human, corpora.synthetic])
def test_every_arm_has_a_valid_recipe(make, tmp_path):
    made = make(tmp_path, 3)
    recipe = recipes.load(_written(tmp_path, made))
    assert recipe.seed == 3
    assert recipe.name == made["name"]


def _written(folder, made):
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(made), encoding="utf-8")  # JSON is YAML
    return str(path)


def test_what_the_oracle_recites_is_verified_as_right_and_boxed(tmp_path):
    made = arms.oracle(tmp_path, 0)
    script = json.loads((tmp_path / "teacher" / "script.json").read_text())
    rows = [json.loads(line) for line in Path(made["inputs"]["problems"][0]["path"]).read_text().splitlines()]
    by_question = {reply["contains"]: reply["text"] for reply in script["replies"]}
    assert len(rows) > 100
    for row in rows:
        text = by_question[row["prompt"]]
        assert text.endswith(f"\\boxed{{{row['answer']}}}.")
        sides = text.split(" = ")[0]
        assert Verifier().equal(row["answer"], str(_sum(sides))) is Equality.EQUAL


def _sum(sides):
    a, sign, b = sides.split()
    return int(a) + int(b) if sign == "+" else int(a) - int(b)


def test_held_out_problems_are_in_neither_corpus(tmp_path):
    held_out = {json.loads(line)["problem"] for line in corpora.held_out(tmp_path / "held.jsonl").read_text().splitlines()}
    made = corpora.human(tmp_path, 0)
    trained = {json.loads(line)["prompt"] for line in Path(made["inputs"]["problems"][0]["path"]).read_text().splitlines()}
    assert len(held_out) > 40
    assert not held_out & trained


def test_the_gains_of_seeds_are_pooled_as_independent_figures():
    marks = [Marks(f"q{i}", (Verdict.CORRECT, Verdict.WRONG), (0, 1), (1, 1)) for i in range(20)]
    better = [Marks(m.question, (Verdict.CORRECT, Verdict.CORRECT), (0, 0), (1, 1)) for m in marks]
    estimate, found = Estimate(0.5, 0.4, 0.6, 20, 0.95), [compare(better[:n] + marks[n:], marks) for n in (10, 12, 14)]
    line = paired._all([paired.Outcome(seed, "x", estimate, estimate, one, (0.0, 0.0)) for seed, one in enumerate(found)])
    assert "+30.0 [+17.6, +42.4] (3 seeds, 60 questions)" in line  # 30 -+ 4.303 x 5 / sqrt(3)
