"""The stage that analyzes, as people run it: scripted solvers whose verdicts are known, and an embedder of one's own."""

import json
import math

import pytest

from promptcot import api
from promptcot.analysis.difficulty import BANDS, answered, band, disagreement
from promptcot.analysis.validity import well_posed
from promptcot.outcomes import Grading
from promptcot.records import Attempt, CorpusFigure, MapPoint, ProblemDifficulty, Question
from promptcot.tables import from_table
from tests.runs import Shell, jsonl, recipe, script

HARD = [{"problem": f"How many boats are on lake {name}?", "answer": "7"} for name in ("Abel", "Bede", "Cady", "Dunn", "Eder", "Fahy")]
EASY = [{"problem": f"What is {i} plus {i + 1}, in boats?", "answer": str(2 * i + 1)} for i in range(1, 7)]
WEAK = (("Abel", r"\boxed{7}"), *((f" {i} plus", rf"\boxed{{{2 * i + 1}}}") for i in range(1, 5)))
STRONG = (("lake Eder", r"\boxed{{draw}}"), ("lake", r"so \boxed{7}."), *((f" {i} plus", rf"\boxed{{{2 * i + 1}}}") for i in range(1, 7)))


@pytest.fixture
def shell(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROMPTCOT_DATA", raising=False)
    return Shell(monkeypatch, capsys)


def written(folder, **analyze):
    models = {
        "weak": str(script(folder / "weak", *WEAK, default="no idea")),
        "strong": str(script(folder / "strong", *STRONG, default="no idea")),
    }
    corpora = [str(jsonl(folder / f"{name}.jsonl", rows)) for name, rows in (("hard", HARD), ("easy", EASY))]
    ladder = {"solvers": ["weak", "strong"], "samples": 2}
    section = {"corpora": corpora, "halves": 20, "difficulty": ladder} | analyze
    return recipe(folder, models=models, inputs={}, synthesize=None, screen=None, analyze=section)


def figures(run, step="analyze/figures"):
    rows = from_table(api.open(run)[step], CorpusFigure)
    return {(row.corpus.rpartition("/")[2].removesuffix(".jsonl"), row.metric, row.model): row for row in rows}


def test_known_verdicts_give_the_papers_table(shell, tmp_path):
    """Weak: Abel alone of the hard ones, four of the easy ones. Strong: all, but of Eder's two draws neither (they say 0 and 1)."""
    shell("run", written(tmp_path), "--run", tmp_path / "run")
    found = figures(tmp_path / "run")
    rates = {key[:1] + key[2:]: row.value for key, row in found.items() if key[1] == "accuracy"}
    assert rates == {
        ("hard", "weak"): pytest.approx(1 / 6),
        ("hard", "strong"): pytest.approx(5 / 6),
        ("easy", "weak"): pytest.approx(4 / 6),
        ("easy", "strong"): 1.0,
    }
    assert all(row.n == 6 and row.low < row.high for key, row in found.items() if key[1] == "accuracy")
    assert found["hard", "first", "weak"].value == pytest.approx(1 / 6)
    assert found["hard", "first", "strong"].value == pytest.approx(4 / 6)
    assert found["hard", "first", ""].value == pytest.approx(1 / 6), "Eder"
    assert found["hard", "disagreement", "strong"].value == pytest.approx(1 / 6)
    assert found["easy", "always", "strong"].value == 1
    assert found["hard", "tokens", "strong"].n == 6
    assert found["easy", "well_posed", ""].value == 1


def test_every_problem_has_its_band(shell, tmp_path):
    shell("run", written(tmp_path), "--run", tmp_path / "run")
    rows = from_table(api.open(tmp_path / "run")["analyze/difficulty/problems"], ProblemDifficulty)
    assert len(rows) == 2 * 12
    assert all((row.band == "always") == (row.rate == 1) for row in rows)
    assert {row.counted for row in rows} == {2}


def test_a_reference_decides_what_is_right_for_every_corpus(shell, tmp_path):
    """Against the strong solver's first answers the weak one is right where they agree; the reference's tokens stand beside it."""
    ladder = {"solvers": ["weak"], "reference": "strong"}
    shell("run", written(tmp_path, difficulty=ladder), "--run", tmp_path / "run")
    found = figures(tmp_path / "run")
    assert found["hard", "accuracy", "weak"].value == pytest.approx(1 / 6)
    assert found["hard", "accuracy", "weak"].against == "strong"
    assert found["hard", "tokens", "reference"].n == 6


def test_a_text_without_an_answer_is_no_failure(shell, tmp_path):
    bare = jsonl(tmp_path / "bare.jsonl", [{"problem": row["problem"]} for row in HARD[:5]] + HARD[5:])
    shell("run", written(tmp_path, corpora=[str(bare)]), "--run", tmp_path / "run")
    found = figures(tmp_path / "run")
    assert found["bare", "accuracy", "strong"].n == 1
    assert found["bare", "tokens", "strong"].n == 6, "all were attempted"


def test_the_verb_analyzes_named_corpora_and_says_so_in_json(shell, tmp_path):
    names = [jsonl(tmp_path / f"{name}.jsonl", rows) for name, rows in (("hard", HARD), ("easy", EASY))]
    options = ["--corpus", names[0], "--corpus", names[1], "--embedder", "", "--set", "analyze.halves=10", "--run", tmp_path / "run"]
    found = json.loads(shell("analyze", *options, "--json").out)["figures"]
    assert {row["metric"] for row in found} == {"well_posed", "distinct"}
    assert "no map" in shell("analyze", *options).err
    assert "--corpus" in shell("analyze", code=2).err


@pytest.mark.parametrize("wrong", [{"corpora": ["absent.jsonl"]}, {"corpora": []}, {"difficulty": {"solvers": ["nobody"]}}])
def test_wrong_settings_say_where(shell, tmp_path, wrong):
    assert "analyze" in (told := shell("run", written(tmp_path, **wrong), code=2).err) or "nobody" in told or "absent" in told


@pytest.mark.slow
def test_the_map_of_real_texts_is_not_moved_by_a_template(shell, tmp_path):
    """Two halves of one corpus, one with a boxed-answer suffix: with templates left in they are far apart, else no further than chance."""
    texts = [f"{name} sails {n} {kind} to the harbor in {n % 5 + 2} hours, what speed is that" for n, (name, kind) in enumerate(NAMES)]
    plain = jsonl(tmp_path / "plain.jsonl", [{"problem": text, "answer": "1"} for text in texts[::2]])
    boxed = jsonl(tmp_path / "boxed.jsonl", [{"problem": f"{t} {SUFFIX}", "answer": "1"} for t in texts[1::2]])
    found = {}
    for strip in ("true", "false"):
        options = ["--corpus", plain, "--corpus", boxed, "--set", f"analyze.strip={strip}", "--run", tmp_path / strip]
        shell("analyze", *options)
        found[strip] = figures(tmp_path / strip, "analyze/distances")[("plain", "corrected", "")]
    assert found["true"].value < found["false"].value / 4
    points = from_table(api.open(tmp_path / "true")["analyze/map"], MapPoint)
    assert {p.half for p in points} == set(range(21))


SUFFIX = "Please reason step by step, and put your final answer within \\boxed{}."
PEOPLE = ("Ada", "Ben", "Cleo", "Dov", "Eve", "Finn", "Gil", "Hana", "Ida", "Jon")
NAMES = [(name, kind) for name in PEOPLE for kind in ("ropes", "crates", "bells")]


# pieces


def test_bands_meet_at_their_ends():
    assert [band(rate) for rate in (0, 0.01, 0.25, 0.75, 0.9, 1)] == [BANDS[0], BANDS[1], BANDS[2], BANDS[2], BANDS[3], BANDS[4]]


def test_disagreement_is_the_chance_that_two_attempts_differ():
    """Of three attempts of which two agree, one pair of three does; an attempt without an answer agrees with none, not even its like."""
    assert disagreement([0, 0, 1]) == pytest.approx(2 / 3)
    assert disagreement([0, 0, 0]) == 0
    assert disagreement([-1, -1]) == 1
    assert math.isnan(disagreement([0]))


def test_a_reference_that_gave_no_answer_leaves_nothing_to_grade_by():
    def asked(name, domain="math"):
        return Question(id=name, domain=domain, benchmark="b", name=name, problem=name, grading=Grading.ANSWER, reference="own")

    said = [
        Attempt(id=n, problem=n, draw=0, text=text, verdict=None) for n, text in (("x", r"\boxed{5}"), ("y", "hm"), ("z", r"\boxed{1}"))
    ]
    found = answered([asked("x"), asked("y"), asked("z", "code"), asked("w")], said, "none")
    assert [(q.grading, q.reference) for q in found] == [("answer", "5"), ("none", ""), ("none", ""), ("none", "")]


def test_validity_is_a_share_with_its_interval():
    found = well_posed(["How many boats are there?", "It is a fine day.", "Prove that 2 + 2 = 4.", "How many of the"])
    assert (found.value, found.n) == (0.25, 4)
    assert 0 < found.low < 0.25 < found.high < 1


def test_a_run_is_held_against_its_seeds_with_its_validity_beside(shell, tmp_path):
    """Given problems beside human seeds: novelty, concepts, and the share that is valid by the screens' rules."""
    rows = {
        "problems": [{**row, "concepts": ["boats", "lakes"], "level": "-", "rationale": "r"} for row in HARD],
        "seeds": [{**row, "concepts": ["boats", "sums"], "level": "-"} for row in EASY],
    }
    inputs = {name: [str(jsonl(tmp_path / f"{name}.jsonl", own))] for name, own in rows.items()}
    path = recipe(tmp_path, inputs=inputs, synthesize=None, analyze={"halves": 20, "novelty": 3, "strip": False})
    shell("run", path, "--run", tmp_path / "run")
    found = figures(tmp_path / "run")
    assert found["problems", "valid", ""].against == "rules"
    assert found["problems", "novelty", ""].value == 1
    assert found["problems", "concepts", ""].value == 0.5, "boats, not sums"
    assert found["problems", "new_pairs", ""].value == 1
    assert ("seeds", "novelty", "") not in found
    page = (tmp_path / "run/report/index.html").read_text(encoding="utf-8")
    assert "The corpora" in page
    assert "Well-posed" in page
