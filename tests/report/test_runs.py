"""What a run's report is made of: the rows behind its funnel, what is known of each problem's solutions, the sections of its stages, and a
page that compares two runs. Real runs, with scripted models."""

import json
import re

import pytest

from promptcot.recipe import Input
from promptcot.recipes import validate
from promptcot.records import PassRate
from promptcot.reporting.blocks import Figure, Grid, Passages
from promptcot.reporting.data import Estimate
from promptcot.reporting.flow_rows import parts
from promptcot.reporting.run_tables import RunTables
from promptcot.reporting.sections import made, post_training, screening
from promptcot.reporting.solving import LONGEST, solving
from promptcot.running import FUNNEL, report_beside
from promptcot.seeds import read_problems
from promptcot.store import Run
from tests.runs import NO_REPLY, Shell, jsonl, recipe, script

REPLIES = [
    ("Abel", r"Draw {draw}. \boxed{{draw}}"),  # right in draw 7 alone
    ("Bede", r"Easy. \boxed{7}"),
    ("Cady", "x" * LONGEST + r" \boxed{8}"),
]


@pytest.fixture
def shell(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROMPTCOT_DATA", raising=False)
    return Shell(monkeypatch, capsys)


@pytest.fixture
def played(shell, tmp_path):
    """Runs of a solver on three labeled problems and a benchmark, with these replies."""
    problems = jsonl(tmp_path / "problems.jsonl", [{"problem": f"How many boats are on lake {n}?"} for n in ("Abel", "Bede", "Cady")])
    rows = read_problems([Input(path=str(problems))], domain="math", seed=0).rows
    labels = jsonl(tmp_path / "labels.jsonl", [{"problem": row.id, "kind": "vote", "answer": "7"} for row in rows])
    bench = jsonl(tmp_path / "bench.jsonl", [{"id": f"b{n}", "problem": f"What is {n} times one?", "answer": str(n)} for n in range(12)])

    def run(name, replies, more=None):
        content = {
            "schema": 1,
            "name": name,
            "engines": {"default": {"kind": "scripted"}},
            "models": {"solver": str(script(tmp_path / f"model-{name}", *replies, default="no idea"))} | (more or {}),
            "inputs": {"problems": [str(problems)], "labels": [str(labels)]},
            "self_play": {"method": "none", "sample": {"max_tokens": 5000}},
            "evaluate": {"benchmarks": [{"name": str(bench)}], "models": ["solver", *(more or {})], "sample": {"max_tokens": 100}},
        }
        path = tmp_path / f"{name}.yaml"
        path.write_text(json.dumps(content), encoding="utf-8")
        shell("run", path, "--run", tmp_path / name)
        return RunTables(Run.open(tmp_path / name), validate(content, "test"))

    return run, {row.problem.split()[-1].rstrip("?"): row.id for row in rows}


def test_each_problem_has_its_label_its_attempts_and_its_pass_rate(played):
    run, ids = played
    found = solving(run("one", REPLIES))
    rates = {name: found[key].pass_rate for name, key in ids.items()}
    assert {name: (rate.value, rate.n) for name, rate in rates.items() if rate} == {"Abel": (1 / 8, 8), "Bede": (1.0, 4), "Cady": (0.0, 8)}
    bede = found[ids["Bede"]]
    assert bede.label is not None
    assert (bede.label.kind, bede.label.answer) == ("vote", "7")
    assert bede.made == 4  # then it could no longer be in the band
    assert {one.verdict for one in bede.attempts} == {"correct"}
    long = found[ids["Cady"]].attempts[0]
    assert (len(long.text), long.cut, long.verdict) == (LONGEST, len(r" \boxed{8}"), "wrong")


def test_the_section_of_post_training_says_what_the_tables_hold(played):
    run, _ = played
    tables = run("one", REPLIES)
    section = post_training.section(tables)
    assert section is not None
    rounds, figure = next(b for b in section.blocks if isinstance(b, Grid)), next(b for b in section.blocks if isinstance(b, Figure))
    [row] = rounds.rows
    rates = tables.rows("self_play/1/pass_rates", PassRate)
    mean, band = row[2], row[3]
    assert isinstance(mean, Estimate)
    assert isinstance(band, Estimate)
    assert row[:2] == ("Round 1", 3)
    assert mean.value == pytest.approx(sum(rate.rate for rate in rates) / 3)
    pairs = tables.manifest("self_play/1/pairs")
    assert pairs is not None
    assert band.value == pytest.approx(1 / 3)
    assert row[5] == pairs.rows_out == 1
    assert "none: 1" in figure.svg
    assert "all: 1" in figure.svg
    assert 'aria-labelledby="post-training"' in (tables.run.path / "report/index.html").read_text(encoding="utf-8")


def test_a_section_without_data_is_absent(shell, tmp_path):
    shell("run", recipe(tmp_path), "--run", tmp_path / "run")
    tables = RunTables(Run.open(tmp_path / "run"), validate(Run.open(tmp_path / "run").recipe, "test"))
    assert [section.name for section in made(tables)] == ["evidence"]  # of its screen; it has no analysis, post-training or trial
    assert tables.steps("self_play") == []
    assert tables.rows("self_play/1/pass_rates", PassRate) == []


def test_the_parts_of_the_funnel_hold_the_rows_that_went_that_way(shell, tmp_path):
    model = script(tmp_path / "model", ("concept 3\n", NO_REPLY))
    shell("run", recipe(tmp_path, models={"generator": str(model)}), "--run", tmp_path / "run")
    run = Run.open(tmp_path / "run")
    tables = RunTables(run, validate(run.recipe, "test"))
    found = {(part.stage, part.reason): part for part in parts(tables, FUNNEL)}
    assert list(found) == [
        ("synthesize/concept_sets", ""),
        ("synthesize/problems", ""),
        ("synthesize/problems", "unparsable"),
        ("screen", ""),
    ]
    [lost] = found["synthesize/problems", "unparsable"].rows
    assert lost.text == NO_REPLY
    assert len(found["screen", ""].rows) == 11
    assert found["screen", ""].left_out == 0
    assert "concept 0, equal groups" in [row.text for row in found["synthesize/concept_sets", ""].rows]
    for part in found.values():
        words = part.command.split()
        shell("rows", tmp_path / words[2], *words[3:])


def test_two_runs_are_compared_on_one_page(shell, played, tmp_path):
    run, _ = played
    run("one", [*REPLIES, ("times one", "no idea")])
    run("two", [*REPLIES, *((f"What is {n} times", rf"\boxed{{{n}}}") for n in range(12))])
    told = shell("report", tmp_path / "one", tmp_path / "two").out.strip()
    assert told == str(tmp_path / "two/report/beside-one.html")
    html = (tmp_path / "two/report/beside-one.html").read_text(encoding="utf-8")
    text = re.sub("<[^>]+>", " ", html)
    assert "B is better than A on" in text
    assert "12 better, 0 worse, 0 equal" in text
    assert "models.solver.path" in text
    assert "Kept problems by level" in text
    assert (tmp_path / "two/report/index.html").is_file()


def test_models_of_one_name_are_compared_each_with_its_own(shell, played, tmp_path):
    run, _ = played
    for name, right in (("one", ()), ("two", range(12))):
        twin = {
            "twin": str(script(tmp_path / f"twin-{name}", *((f"What is {n} times", rf"\boxed{{{n}}}") for n in right), default="no idea"))
        }
        run(name, REPLIES, twin)
    shell("report", tmp_path / "one", tmp_path / "two", "--out", tmp_path / "page.html")
    text = re.sub("<[^>]+>", " ", (tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "A is solver, B is solver." in text
    assert "A is twin, B is twin." in text
    assert "0 better, 0 worse, 12 equal" in text
    assert "12 better, 0 worse, 0 equal" in text


def test_runs_without_a_common_benchmark_are_compared_all_the_same(shell, tmp_path):
    shell("run", recipe(tmp_path / "a"), "--run", tmp_path / "first")
    shell("run", recipe(tmp_path / "b", screen=None), "--run", tmp_path / "second")
    page = report_beside(tmp_path / "first", tmp_path / "second", out=tmp_path / "out/page.html")
    assert page == tmp_path / "out/page.html"
    html = page.read_text(encoding="utf-8")
    assert "no evaluation of both can be paired" in html
    assert "12 problems</b> stand" in html or "12 problems stand in both" in html
    assert "screen.near_duplicate" in html or ">screen<" in html


def test_a_comparison_says_where_there_is_no_run(shell, tmp_path):
    shell("run", recipe(tmp_path), "--run", tmp_path / "run")
    assert "no run here" in shell("report", tmp_path / "run", tmp_path / "nothing", code=2).err


def test_the_evidence_of_contamination_stands_side_by_side_with_what_is_shared(shell, tmp_path):
    known = (
        "Nine shepherds drive their forty sheep across three bridges before noon, and each bridge holds five sheep at a time; count them."
    )
    others = [f"How many of the {n} lanterns on quay {n} burn until dawn, if every {n}th goes out?" for n in range(12, 18)]
    problems = jsonl(tmp_path / "problems.jsonl", [{"problem": text} for text in [f"<b>{known.upper()}</b>", *others]])
    bench = jsonl(tmp_path / "sheep.jsonl", [{"id": "s", "problem": known, "answer": "4"}])
    content = {
        "schema": 1,
        "name": "leak",
        "models": {},
        "inputs": {"problems": [str(problems)]},
        "screen": {"near_duplicate": 1.0, "against": [str(bench)]},
    }
    path = tmp_path / "leak.yaml"
    path.write_text(json.dumps(content), encoding="utf-8")
    shell("run", path, "--run", tmp_path / "leak")
    section = screening.section(RunTables(Run.open(tmp_path / "leak"), validate(content, "test")))
    assert section is not None
    (pair,) = [block for block in section.blocks if isinstance(block, Passages)]
    (ours, theirs) = pair.parts
    assert "nine shepherds drive" in ours.text[ours.marks[0][0] : ours.marks[-1][1]].lower()
    assert "Nine shepherds drive" in theirs.text[theirs.marks[0][0] : theirs.marks[-1][1]]
    page = (tmp_path / "leak" / "report" / "index.html").read_text(encoding="utf-8")
    assert "the problem goes" in page
    assert "<b>NINE" not in page  # model text is escaped
