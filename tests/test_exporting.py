"""Exports say the same bytes for the same rows, load in what they are for, and leave nothing out without a word."""

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from datasets import load_dataset
from huggingface_hub import ModelCard

from promptcot import api
from promptcot.errors import UsageError
from promptcot.executors import LocalWorkplace, each
from promptcot.exporting import FORMATS
from promptcot.exporting.cards import license_fields, size_category
from promptcot.exporting.licenses import allowed
from promptcot.recipe import Input
from promptcot.recipes import load
from promptcot.records import Attempt, Pair, Question, Record
from promptcot.rewards.verl import compute_score
from promptcot.seeds import read_attempts, read_labels, read_problems
from promptcot.seeds.released import problem_in
from promptcot.store import Run, StepSpec
from promptcot.templates_solving import BOXED_SUFFIX, solving_prompt
from tests.exports import PAIRS, PROBLEMS, TESTS, ids, read, run
from tests.runs import Shell, jsonl

MATH, CODE, _ = ids()
ASKED = {p["problem"]: solving_prompt(str(p.get("domain", "math")), str(p["problem"])) for p in PROBLEMS}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return run(tmp_path_factory.mktemp("exports"))


@pytest.fixture
def shell(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    return Shell(monkeypatch, capsys)


def rows_of(rows, problem):
    return next(row for row in rows if problem in json.dumps(row))


def test_golden_trl_conversations(finished, tmp_path):
    api.export(finished, "trl-messages", tmp_path / "m.jsonl")
    api.export(finished, "trl-completions", tmp_path / "c.jsonl")
    answer = "<think>\n6 + 1\n</think>\n\n\\boxed{7}"
    user, assistant = {"role": "user", "content": ASKED["Add one to six."]}, {"role": "assistant", "content": answer}
    row = rows_of(read(tmp_path / "m.jsonl"), "Add one")
    origin = {"id": row["id"], "domain": "math", "source": row["source"], "license": "Apache-2.0 AND MIT", "problem": MATH}
    assert row == {"messages": [user, assistant], **origin}
    assert rows_of(read(tmp_path / "c.jsonl"), "Add one") == {"prompt": [user], "completion": [assistant], **origin}
    assert len(read(tmp_path / "m.jsonl")) == 3


def test_golden_prompts_for_grpo(finished, tmp_path):
    done = api.export(finished, "trl-prompts", tmp_path / "p.jsonl")
    math, code = (rows_of(read(tmp_path / "p.jsonl"), text) for text in ("Add one", "print n"))
    assert (math["answer"], math["tests"], code["answer"]) == ("7", None, None)
    assert json.loads(code["tests"]) == TESTS
    assert math["prompt"] == [{"role": "user", "content": ASKED["Add one to six."]}]
    assert done.unlabeled == 1, "a problem without a label cannot be rewarded"


def test_golden_pairs_of_a_file(tmp_path):
    done = api.export(jsonl(tmp_path / "pairs.jsonl", PAIRS), "trl-preference", tmp_path / "out.jsonl")
    [row] = read(tmp_path / "out.jsonl")
    assert list(row)[:3] == ["prompt", "chosen", "rejected"]
    assert row["prompt"] == [{"role": "user", "content": "Add one to six."}]
    assert row["rejected"] == [{"role": "assistant", "content": r"\boxed{8}"}]
    assert done.rows == {"pairs": 1}


def test_golden_batch_requests(finished, tmp_path):
    api.export(finished, "openai-batch", tmp_path / "b.jsonl", model="big", sample={"max_tokens": 9, "temperature": 0.5})
    row = rows_of(read(tmp_path / "b.jsonl"), "Add one")
    body = {"model": "big", "messages": [{"role": "user", "content": ASKED["Add one to six."]}], "max_completion_tokens": 9}
    assert row == {"custom_id": MATH, "method": "POST", "url": "/v1/chat/completions", "body": {**body, "temperature": 0.5, "top_p": 1.0}}
    assert len({r["custom_id"] for r in read(tmp_path / "b.jsonl")}) == 3


def test_golden_verl_rows_load_and_are_rewarded(finished, tmp_path):
    api.export(finished, "verl", tmp_path / "train.parquet")
    loaded = load_dataset("parquet", data_files=str(tmp_path / "train.parquet"), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.column_names == ["data_source", "prompt", "ability", "reward_model", "extra_info"]
    math = rows_of(list(loaded), "Add one")
    assert (math["data_source"], math["ability"]) == ("promptcot/math", "math")
    assert math["reward_model"] == {"style": "rule", "ground_truth": "7"}
    assert math["extra_info"]["id"] == MATH
    assert compute_score(math["data_source"], r"\boxed{7}", math["reward_model"]["ground_truth"])["score"] == 1.0
    code = rows_of(list(loaded), "print n")
    assert json.loads(code["reward_model"]["ground_truth"]) == {"inputs": ["4\n"], "outputs": ["4\n"]}


def test_a_folder_for_the_hub_loads_and_tells_where_it_comes_from(finished, tmp_path):
    done = api.export(finished, "dataset", tmp_path / "hub")
    problems = load_dataset(str(tmp_path / "hub"), "problems", split="train", cache_dir=str(tmp_path / "cache"))
    traces = load_dataset(str(tmp_path / "hub"), "traces", split="train", cache_dir=str(tmp_path / "cache"))
    assert done.rows == {"problems": problems.num_rows, "traces": traces.num_rows} == {"problems": 3, "traces": 3}
    assert {row["license"] for row in problems} == {"MIT", "Apache-2.0", "CC-BY-4.0"}
    card = (tmp_path / "hub" / "README.md").read_text(encoding="utf-8")
    head = yaml.safe_load(card.split("---\n")[1])
    assert head["license"] == ["apache-2.0", "cc-by-4.0", "mit"]
    assert [config["config_name"] for config in head["configs"]] == ["problems", "traces"]
    assert head["size_categories"] == ["n<1K"]
    with pytest.raises(UsageError, match="not empty"):
        api.export(finished, "dataset", tmp_path / "hub")
    for told in ("| teacher |", "abc", "distill/traces | 3 | 3", "## Limits", "seed 0"):
        assert told in card


@pytest.mark.parametrize("to", [name for name in FORMATS if name != "trl-preference"])
def test_the_same_rows_give_the_same_bytes(finished, tmp_path, to):
    for name in ("a", "b"):
        api.export(finished, to, tmp_path / name)
    first, second = (
        {
            str(path.relative_to(tmp_path / name)): path.read_bytes()
            for path in [tmp_path / name, *(tmp_path / name).rglob("*")]
            if path.is_file()
        }
        for name in ("a", "b")
    )
    assert first == second
    assert first


def test_only_allowed_licenses_leave_and_the_others_are_counted(finished, tmp_path, shell):
    """A trace is of a problem and of the teacher: both must be allowed. A problem goes with a label that is not."""
    done = api.export(finished, "dataset", tmp_path / "hub", allow=["MIT", "apache-2.0"])
    assert done.rows == {"problems": 2, "traces": 2}
    assert done.left_out == {"Apache-2.0 AND CC-BY-4.0": 1, "CC-BY-4.0": 1}
    assert "1 rows left out" in (tmp_path / "hub" / "README.md").read_text(encoding="utf-8")
    told = shell("export", finished, "--to", "trl-messages", "--out", tmp_path / "t.jsonl", "--allow", "MIT", code=2).err
    assert "--allow" in told, "nothing is left, since the teacher's license is another one"
    err = shell("export", finished, "--to", "openai-batch", "--out", tmp_path / "t.jsonl", "--allow", "MIT").err
    assert "1 rows of license CC-BY-4.0" in err


@pytest.mark.parametrize(
    ("license", "allow", "leaves"),
    [
        ("MIT", (), True),
        ("", (), True),
        ("", ("MIT",), False),
        ("", ("none",), True),
        ("MIT AND X", ("mit", "x"), True),
        ("MIT AND X", ("mit",), False),
    ],
)
def test_every_part_of_a_license_must_be_allowed(license, allow, leaves):
    assert allowed(license, allow) is leaves


def test_the_releases_own_files_come_back_as_they_went(finished, tmp_path):
    api.export(finished, "promptcot", tmp_path / "released")
    assert sorted(path.name for path in (tmp_path / "released").iterdir()) == ["problems.jsonl", "self_play.jsonl", "sft.jsonl"]
    [math, code] = read(tmp_path / "released" / "self_play.jsonl")
    if math["source"] != "PromptCoT-Math":
        math, code = code, math
    assert math == {"source": "PromptCoT-Math", "prompt": "Add one to six." + BOXED_SUFFIX, "answer": "7"}
    assert code["test_cases"] == TESTS
    given = [Input(path=str(tmp_path / "released" / "self_play.jsonl"))]
    assert {p.id for p in read_problems(given, domain="math", seed=0).rows} == {MATH, CODE}
    labels = {label.problem: label for label in read_labels(given, domain="math", seed=0).rows}
    assert (labels[MATH].answer, json.loads(labels[CODE].tests or "")) == ("7", TESTS)
    texts = read_attempts([Input(path=str(tmp_path / "released" / "sft.jsonl"))], domain="math", seed=0).rows
    assert {a.problem for a in texts} == set(ids())
    written = read_problems([Input(path=str(tmp_path / "released" / "problems.jsonl"))], domain="math", seed=0).rows
    assert [p.rationale for p in written if p.problem == "Add one to six."] == ["One step."]


@pytest.mark.parametrize(
    ("prompt", "problem", "program"),
    [
        ("Find n." + BOXED_SUFFIX, "Find n.", False),
        ("<|im_start|>user\nFind n.<|im_end|>\n<|im_start|>assistant", "Find n.", False),
        (solving_prompt("code", "Print n."), "Print n.", True),
        (
            "You will be given a question (problem specification) and so on.\n\nPrint n.\n\nRead the inputs from stdin solve the problem",
            "Print n.",
            True,
        ),
        ("Find n.", "Find n.", False),
    ],
)
def test_the_words_around_a_problem_are_taken_off(prompt, problem, program):
    assert problem_in(prompt) == (problem, program)


def test_a_file_of_problems_brings_its_own_labels(tmp_path):
    source = jsonl(tmp_path / "own.jsonl", [{"problem": "Add one to six.", "answer": 7}, {"problem": "And now?"}])
    done = api.export(source, "trl-prompts", tmp_path / "out.jsonl")
    assert [row["answer"] for row in read(tmp_path / "out.jsonl")] == ["7"]
    assert done.unlabeled == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--to", "trl-preference"], "pairs"),
        (["--to", "gguf"], "trl-messages"),
        (["--to", "model"], "fitted no model"),
    ],
)
def test_what_cannot_be_exported_is_said(shell, finished, tmp_path, arguments, told):
    assert told in shell("export", finished, *arguments, "--out", tmp_path / "out", code=2).err
    assert not (tmp_path / "out").exists()


def test_a_bad_row_is_named_by_file_line_and_key(shell, tmp_path):
    bad = jsonl(tmp_path / "bad.jsonl", [PAIRS[0], {"prompt": "a", "chosen": "b"}])
    told = shell("export", "--in", bad, "--to", "trl-preference", "--out", tmp_path / "out.jsonl", code=2).err
    for part in ("bad.jsonl", "line 2", "rejected"):
        assert part in told


def test_the_hub_knows_its_licenses_by_name():
    assert license_fields("Apache-2.0") == {"license": "apache-2.0"}
    assert license_fields("none") == {"license": "unknown"}
    assert license_fields("Own AND none") == {"license": "other", "license_name": "own-and-none"}, "the hub takes such names alone"
    assert license_fields("MIT AND Apache-2.0", several=True) == {"license": ["mit", "apache-2.0"]}
    assert license_fields("MIT AND Apache-2.0")["license"] == "other", "a model has one"
    assert [size_category(n) for n in (0, 1_000, 10_000_000)] == ["n<1K", "1K<n<10K", "n>10M"]


def test_weights_leave_with_a_card(shell, tmp_path):
    from tests.test_distill import PLAIN, student

    student(tmp_path / "base", PLAIN)
    sums = jsonl(tmp_path / "sums.jsonl", [{"id": "s", "problem": "a b", "answer": "1"}])
    models = {"teacher": str(tmp_path / "teacher"), "student": {"path": str(tmp_path / "base"), "engine": "small", "license": "Apache-2.0"}}
    done = run(
        tmp_path,
        models=models,
        engines={"default": {"kind": "scripted"}, "small": {"device": "cpu", "dtype": "fp32"}},
        training={"dtype": "fp32"},
        distill={"epochs": 1},
        evaluate={"benchmarks": [str(sums)], "models": ["student", "distilled"], "sample": {"max_tokens": 2}},
    )
    shell("export", done, "--to", "model", "--out", tmp_path / "out")
    assert (tmp_path / "out" / "model.safetensors").is_file()
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    head = yaml.safe_load(card.split("---\n")[1])
    assert head["license"] == "apache-2.0"
    assert "base_model" not in head, "a folder of this machine is no name on the hub"
    assert ModelCard.load(tmp_path / "out" / "README.md").data.pipeline_tag == "text-generation"
    for told in ("distill/student", "avg@1", "3 texts", str(tmp_path / "base"), "`student` what it was fitted from"):
        assert told in card
    assert "not empty" in shell("export", done, "--to", "model", "--out", tmp_path / "out", code=2).err
    assert "student" in shell("export", done, "--to", "model", "--role", "solver", "--out", tmp_path / "x", code=2).err


def test_a_round_of_em_leaves_only_if_it_was_the_best(tmp_path, monkeypatch):
    """The toy's training problems are other ones than its held-out ones, so its round is worse than the start."""
    from promptcot.exporting import weights
    from promptcot.running import open_recipe, run_recipe
    from tests.test_pipeline import tabular

    recipe, opened = open_recipe(str(tabular(tmp_path)), tmp_path / "run", (), None)
    session = run_recipe(recipe, opened, until="em")
    assert session.em.best_round == 0
    with pytest.raises(UsageError, match="no better than the start"):
        api.export(opened.path, "model", tmp_path / "out", role="generator")
    monkeypatch.setattr(weights, "_best_round", lambda run: 1)
    api.export(opened.path, "model", tmp_path / "out", role="generator")
    fitted = session.em.rounds[0].pair.generator.path
    assert (tmp_path / "out" / "tabular.json").read_bytes() == (fitted / "tabular.json").read_bytes()
    assert "em/1/generator" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("row", "key"),
    [
        ({"license": 5}, "license"),
        ({"license": ["MIT"]}, "license"),
        ({"weight": "much"}, "weight"),
        ({"chosen_ids": ["a"]}, "chosen_ids"),
        ({"parents": "p"}, "parents"),
        ({"domain": "physics"}, "domain"),
        ({"chosen": "half \ud800"}, "chosen"),
    ],
)
@pytest.mark.parametrize("to", ["trl-preference", "dataset"])
def test_a_value_of_the_wrong_kind_is_named_by_file_line_and_key(shell, tmp_path, row, key, to):
    path = tmp_path / "bad.jsonl"
    path.write_text(f"{json.dumps(PAIRS[0])}\n\n{json.dumps(PAIRS[0] | row)}\n", encoding="utf-8")
    told = shell("export", "--in", path, "--to", to, "--out", tmp_path / "out", code=2).err
    for part in ("bad.jsonl", "line 3", key):
        assert part in told
    assert not (tmp_path / "out").exists()


def test_what_is_null_is_absent_and_a_domain_may_be_said_for_the_whole_file(tmp_path):
    path = jsonl(tmp_path / "pairs.jsonl", [PAIRS[0] | {"license": None, "weight": None, "domain": None}])
    api.export(path, "trl-preference", tmp_path / "out.jsonl", domain="code")
    [row] = read(tmp_path / "out.jsonl")
    assert (row["license"], row["weight"], row["domain"]) == ("", 1.0, "code")


def test_a_file_that_is_no_parquet_is_named(shell, tmp_path):
    (tmp_path / "junk.parquet").write_bytes(b"PAR1 is not all it takes")
    assert "junk.parquet" in shell("export", "--in", tmp_path / "junk.parquet", "--out", tmp_path / "out", code=2).err


@pytest.mark.parametrize(
    "arguments",
    [["--to", "verl", "--role", "solver"], ["--to", "dataset", "--model", "big"], ["--to", "model", "--allow", "MIT"]],
)
def test_an_option_that_means_nothing_for_a_format_is_refused(shell, finished, tmp_path, arguments):
    assert arguments[2] in shell("export", finished, *arguments, "--out", tmp_path / "out", code=2).err


def test_an_expression_may_be_allowed_as_it_is_printed(finished, tmp_path):
    done = api.export(finished, "trl-messages", tmp_path / "t.jsonl", allow=["Apache-2.0 AND CC-BY-4.0"])
    assert done.rows == {"traces": 2}, "those of Apache-2.0, and of both"


def test_the_license_of_a_labeled_row_is_that_of_problem_and_label(tmp_path):
    source = run(tmp_path)
    labels = read(tmp_path / "labels.jsonl")
    jsonl(tmp_path / "labels.jsonl", [labels[0] | {"license": "CC0-1.0"}, {k: v for k, v in labels[1].items() if k != "license"}])
    api.run(tmp_path / "exported.yaml", folder=source, redo=["labels"])
    api.export(source, "trl-prompts", tmp_path / "p.jsonl")
    api.export(source, "verl", tmp_path / "v.parquet")
    assert {row["license"] for row in read(tmp_path / "p.jsonl")} == {"CC0-1.0 AND MIT", "Apache-2.0 AND none"}
    told = [row["extra_info"]["license"] for row in pq.read_table(tmp_path / "v.parquet").to_pylist()]
    assert set(told) == {"CC0-1.0 AND MIT", "Apache-2.0 AND none"}
    with pytest.raises(UsageError, match="--allow"):
        api.export(source, "verl", tmp_path / "w.parquet", allow=["Apache-2.0"])


def played(folder, method, rounds) -> Path:
    """A run folder with two rounds of self-play, of which its recipe knows `rounds`."""
    text = {"schema": 1, "name": "played", "inputs": {}, "models": {"solver": "x"}, "self_play": {"method": method, "rounds": rounds}}
    (folder / "played.yaml").write_text(json.dumps(text), encoding="utf-8")
    opened = Run.create(folder / "played", load(str(folder / "played.yaml")).model_dump(mode="json", by_alias=True))
    asked = Question(id="q" * 32, benchmark="human", name="q", problem="Six and one?", grading="answer", reference="7", license="MIT")
    facts: dict[str, Any] = {"license": "MIT AND none", "parents": (asked.id,)}
    right = [Attempt(id=f"{n}" * 32, problem=asked.id, draw=n, text="r</think>7", verdict="correct", **facts) for n in (1, 2)]
    pairs = [Pair(id=f"{n}" * 32, question=asked.id, round=n, prompt="p", chosen="r</think>7", rejected="8", **facts) for n in (1, 2)]
    chosen: list[tuple[str, type[Record], Record]] = (
        [("right", Attempt, a) for a in right] if method == "sft" else [("pairs", Pair, p) for p in pairs]
    )
    with opened.writing():
        place = LocalWorkplace(opened)
        made = [(f"self_play/{n}/{name}", record, row) for n, (name, record, row) in enumerate(chosen, 1)]
        for name, record, row in [("self_play/questions", Question, asked), *made]:
            spec = StepSpec(name, record, 1, {}, {})
            place.rows(spec, [row], partial(each, make=lambda row: [row]), shard_rows=10)
    return opened.path


@pytest.mark.parametrize(
    ("method", "rounds", "to", "column", "told"),
    [
        ("dpo", 2, "trl-preference", "chosen", "<think>\nr</think>7"),
        ("dpo", 1, "trl-preference", "chosen", "<think>\nr</think>7"),
        ("sft", 2, "trl-completions", "completion", "<think>\nr\n</think>\n\n7"),
    ],
)
def test_what_self_play_chose_leaves_by_rounds_and_opens_its_own_thought(tmp_path, method, rounds, to, column, told):
    """Right attempts leave as traces. What an earlier recipe with more rounds made is left alone."""
    api.export(played(tmp_path, method, rounds), to, tmp_path / "out.jsonl")
    rows = read(tmp_path / "out.jsonl")
    assert [row[column][0]["content"] for row in rows] == [told] * rounds
    assert {row["license"] for row in rows} == {"MIT AND none"}


def test_problems_that_the_screens_have_not_seen_do_not_stand_in_for_those_they_keep(tmp_path):
    source = run(tmp_path)
    stored = json.loads((source / "run.json").read_text(encoding="utf-8"))
    again = Run.create(tmp_path / "screened", {**stored["recipe"], "screen": {}})
    with again.writing():
        shutil.copytree(source / "problems", again.path / "problems")
    with pytest.raises(UsageError, match="no problems"):
        api.export(again.path, "openai-batch", tmp_path / "b.jsonl", model="m")
