"""Cards: every fact of a data set's README is from its run, the hub's own classes read it, and what others wrote stays text."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import DatasetCard
from hypothesis import given
from hypothesis import strategies as st

from promptcot import api
from promptcot.exporting.facts import Facts, of_run
from promptcot.exporting.markdown import fenced, plain, table
from promptcot.exporting.sections import SERVER, contamination_text, health_table, labels_text, recipe_text
from promptcot.recipes import load, validate
from promptcot.records import Label
from promptcot.store import Run
from tests.runs import jsonl, script

GOLDEN = Path(__file__).parent / "data" / "cards" / "dataset.md"
LEAKED = "A farmer has twelve sheep and nine cows and sells four of them to the miller before noon, how many are left to him?"
PROBLEMS = [
    {"problem": "How many boats are on lake Abel if it has seven?", "license": "MIT"},
    {"problem": "How many boats are on lake Bede if it has seven?", "license": "CC-BY-4.0"},
    {"problem": "Of hill Cady nobody knows the height, so how high is it?", "license": "MIT"},
    {"problem": LEAKED, "license": "MIT"},
]
REPLIES = [
    ("Abel", r"<think>Draw {draw}.</think>\boxed{7}"),
    ("Bede", r"\boxed{7}"),
    ("Cady", r"\boxed{{draw}}"),  # no two agree
]


def recipe(folder: Path, **sections: Any) -> Path:
    """Given problems, screened against an evaluation set, voted on, and attempted."""
    content = {
        "schema": 1,
        "name": "lakes",
        "seed": 3,
        "engines": {"default": {"kind": "scripted"}},
        "models": {"solver": {"path": str(script(folder / "solver", *REPLIES)), "license": "Apache-2.0", "revision": "abc"}},
        "inputs": {"problems": [str(jsonl(folder / "problems.jsonl", PROBLEMS))]},
        "screen": {"against": [str(jsonl(folder / "sheep.jsonl", [{"problem": LEAKED}]))], "near_duplicate": 1.0},
        "label": {"votes": 3, "agree": 2, "sample": {"max_tokens": 100}},
        "self_play": {"method": "none", "attempts": 4, "wave": 2, "sample": {"max_tokens": 100}},
        **sections,
    }
    (folder / "lakes.yaml").write_text(json.dumps(content), encoding="utf-8")
    return folder / "lakes.yaml"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("cards")
    api.run(recipe(made), folder=made / "run")
    return made


def card(folder: Path, out: Path, **options: Any) -> str:
    api.export(folder / "run", "dataset", out, **options)
    return (out / "README.md").read_text(encoding="utf-8")


def steady(text: str, folder: Path) -> str:
    """Without what differs from machine to machine: folders, and hours."""
    return re.sub(r"\d+\.\d\d \| 0\.00 \| 0\.00 \|", "HOURS | 0.00 | 0.00 |", text.replace(str(folder), "FOLDER"))


def test_golden_card_of_a_scripted_run(folder, tmp_path):
    """Where this fails and the change is meant, the new text is to be read, and written in its place."""
    found = steady(card(folder, tmp_path / "hub"), folder)
    assert found == GOLDEN.read_text(encoding="utf-8")


def test_the_hub_reads_the_header(folder, tmp_path):
    card(folder, tmp_path / "hub")
    read = DatasetCard.load(tmp_path / "hub" / "README.md")
    assert read.data.license == ["apache-2.0", "cc-by-4.0", "mit"]
    assert [config["config_name"] for config in read.data.to_dict()["configs"]] == ["problems"]
    assert read.data.pretty_name == "lakes"
    assert set(read.data.tags) == {"synthetic", "math", "reasoning", "promptcot"}


def test_the_recipe_of_a_card_is_the_one_that_was_run(folder, tmp_path):
    """It can be saved and run."""
    text = re.search(r"```yaml\n(.*?)```", card(folder, tmp_path / "hub"), re.DOTALL)
    assert text
    (tmp_path / "recipe.yaml").write_text(text[1], encoding="utf-8")
    assert load(str(tmp_path / "recipe.yaml")) == load(str(folder / "lakes.yaml"))


@pytest.mark.parametrize("name", ["demo", "node-8xh100", "paper-math", "paper-code"])
def test_every_shipped_recipe_comes_back_from_its_card(name):
    given = load(name)
    found = validate(yaml.safe_load(recipe_text(given)), name)
    hidden = {
        key: engine.model_copy(update={"urls": [SERVER] * bool(engine.urls), "key_env": None, "python": None})
        for key, engine in given.engines.items()
    }
    assert found == given.model_copy(update={"engines": hidden})


def test_no_address_and_no_name_of_a_key_is_in_a_card(tmp_path):
    engine = {"kind": "openai", "urls": ["http://inside.example:8000/v1"], "key_env": "MY_KEY"}
    path = tmp_path / "r.yaml"
    path.write_text(json.dumps({"schema": 1, "name": "r", "inputs": {}, "engines": {"default": engine}}), encoding="utf-8")
    text = recipe_text(load(str(path)))
    assert "inside.example" not in text
    assert "MY_KEY" not in text
    assert SERVER in text


def test_rows_left_out_for_their_license_are_counted_in_the_card(folder, tmp_path):
    text = card(folder, tmp_path / "hub", allow=["MIT", "Apache-2.0"])
    assert "| left out | CC-BY-4.0 | 1 rows left out |" in text
    assert "1 of 2 problems here have a label" in text


def test_a_run_that_was_compared_with_nothing_says_so():
    assert "Not known" in contamination_text(Facts("f"))
    bare = validate({"schema": 1, "name": "r", "inputs": {}, "screen": {}}, "r")
    assert "compared with no evaluation set" in contamination_text(Facts("r", bare))


def test_a_round_of_em_is_told_with_its_interval(tmp_path):
    from promptcot.running import open_recipe, run_recipe
    from tests.test_pipeline import tabular

    recipe_, opened = open_recipe(str(tabular(tmp_path)), tmp_path / "run", (), None)
    session = run_recipe(recipe_, opened, until="em")
    health = session.em.rounds[0].health
    told = health_table(of_run(Run.open(opened.path)))
    assert f"{health.gain[0]:+.3f} [{health.gain[1]:+.3f}, {health.gain[2]:+.3f}] (n={health.dev})" in told
    assert "not better" in told


# hostile texts


HOSTILE = "x](javascript:alert(1)) <script>alert(1)</script> | ` ``` \n# Fake heading\n\u2028---\n"


@given(st.text(max_size=60) | st.text(alphabet="`|\n<>[]()&\\*-# x", max_size=40))
def test_a_text_of_others_makes_no_line_cell_tag_link_or_fence(text):
    line = plain(text)
    assert not re.search(r"[<>\n\r\x00-\x1f\u2028\u2029]|(?<!\\)\]\((?!\\)", line)
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 0
    assert table(("a", "b"), [(text, "c")]).count("\n") == 3
    lines = fenced(text).split("\n")
    fence = lines[0]
    assert lines[-2] == fence
    assert not any(fence in inner for inner in lines[1:-2])


def test_hostile_names_and_licenses_stay_in_their_places(tmp_path):
    rows = [{"problem": "How many boats are on lake Abel?", "license": HOSTILE, "answer": "7", "source": HOSTILE}]
    api.export(jsonl(tmp_path / "<b>own.jsonl", rows), "dataset", tmp_path / "hub")
    text = (tmp_path / "hub" / "README.md").read_text(encoding="utf-8")
    body = text.split("---\n", 2)[2]
    assert "<script>" not in body
    assert "<b>" not in body
    assert not re.search(r"^# Fake", body, re.MULTILINE)
    head = DatasetCard.load(tmp_path / "hub" / "README.md").data
    assert head.license == "other"
    assert re.fullmatch(r"[a-z0-9.-]+", head.to_dict()["license_name"])


@pytest.mark.parametrize("evidence", ["[", "[1]", '{"agree": "<b>", "draws": []}', '{"quality": [1]}', '{"quality": {"kept": "x"}}'])
def test_evidence_of_any_shape_does_not_break_a_card(evidence):
    label = Label(id="l", problem="p", kind="vote", answer="1", evidence=evidence)
    told = labels_text(Facts("f"), [label], 1)
    assert "1 of 1 problems" in told
    assert "<b>" not in told
