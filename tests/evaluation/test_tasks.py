"""Benchmarks written for other tools: what is in the folder, what is refused, and that prompts and verdicts are those of `evaluate`.

The tools themselves read such folders in tests/consumers."""

import ast
import importlib.util
import json

import pytest
import yaml

from promptcot import api
from promptcot.attempts import of_question
from promptcot.errors import UsageError
from promptcot.evaluation.benchmarks import load
from promptcot.evaluation.tasks import lm_eval, stored
from promptcot.grading import grade_texts
from promptcot.records import Grade
from promptcot.tables import from_table
from tests.evaluation.samples import doubling, sums, write
from tests.runs import Shell, script

TOOLS = ["lm-eval", "inspect-ai"]
PROGRAMS = [
    {"id": "double", "problem": "Print twice the number read.", "tests": [{"input": "2\n", "output": "4\n"}]},
    {"id": "add", "problem": "Add.", "function": "add", "starter": "def add(a, b):", "tests": [{"input": [1, 2], "output": 3}]},
]
POLICY = {"fallback": "marked", "cpu_s": 10.0, "memory_mb": 1024, "runner": None}


@pytest.fixture
def shell(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROMPTCOT_DATA", raising=False)
    return Shell(monkeypatch, capsys)


def rows_of(folder):
    return [json.loads(line) for line in (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()]


def config_of(folder, name):
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda loader, node: str(node.value))
    return yaml.load((folder / f"{name}.yaml").read_text(encoding="utf-8"), Loader)


def module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.mark.parametrize("to", TOOLS)
def test_the_questions_are_stored_whole_and_in_order(shell, tmp_path, to):
    write(tmp_path / "mixed.jsonl", [*sums(3), *PROGRAMS])
    told = json.loads(shell("export-benchmark", "--benchmark", "mixed.jsonl", "--to", to, "--out", "out", "--json").out)
    assert (told["task"], told["questions"]) == ("promptcot_mixed", 5)
    questions = load("mixed.jsonl").questions
    found = stored.opened(tmp_path / "out", POLICY).asked
    assert [one.question for one in found.values()] == list(questions)
    assert [(row["id"], row["prompt"]) for row in rows_of(tmp_path / "out")] == [(q.id, of_question(q)) for q in questions]


def test_a_folder_for_lm_eval_has_a_task_with_its_sampler_and_metrics(shell, tmp_path):
    write(tmp_path / "sums.jsonl", sums(9))
    options = ["--benchmark", "sums.jsonl", "--to", "lm-eval", "--samples", 4, "--max-tokens", 100]
    shell("export-benchmark", *options, "--rows", 2, "--out", "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"questions.jsonl", "promptcot_sums.yaml", "utils.py"}
    config = config_of(tmp_path / "out", "promptcot_sums")
    assert (config["task"], config["repeats"], config["doc_to_text"]) == ("promptcot_sums", 4, "prompt")
    assert config["generation_kwargs"] == {"until": [], "max_gen_toks": 100, "do_sample": True, "temperature": 0.6, "top_p": 0.95}
    assert [(m["metric"], m["aggregation"]) for m in config["metric_list"]] == [(n, "mean") for n in ("acc", "format", "verifier_error")]
    assert config["metadata"]["digest"] == load("sums.jsonl").digest
    assert len(rows_of(tmp_path / "out")) == 2
    shell("export-benchmark", *options, "--temperature", 0, "--out", "greedy")
    greedy = config_of(tmp_path / "greedy", "promptcot_sums")["generation_kwargs"]
    assert greedy == {"until": [], "max_gen_toks": 100, "do_sample": False}


def test_a_folder_for_inspect_has_a_task_with_its_sampler_and_epochs(shell, tmp_path):
    write(tmp_path / "sums.jsonl", sums(2))
    shell("export-benchmark", "--benchmark", "sums.jsonl", "--to", "inspect-ai", "--samples", 4, "--max-tokens", 100, "--out", "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"questions.jsonl", "task.py"}
    text = (tmp_path / "out" / "task.py").read_text(encoding="utf-8")
    assert [node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)] == ["promptcot_sums"]
    assert "epochs=4," in text
    assert "GenerateConfig(temperature=0.6, top_p=0.95, max_tokens=100)" in text


@pytest.mark.parametrize("name", ['it\'s {a} "name" \\ with: #all', "数学"])
def test_a_file_may_have_any_name(shell, tmp_path, name):
    write(tmp_path / f"{name}.jsonl", sums(1))
    for to in TOOLS:
        shell("export-benchmark", "--benchmark", f"{name}.jsonl", "--to", to, "--out", to)
    task = next((tmp_path / "lm-eval").glob("*.yaml")).stem
    assert task.isidentifier()
    assert config_of(tmp_path / "lm-eval", task)["metadata"]["source"] == f"{name}.jsonl"
    tree = ast.parse((tmp_path / "inspect-ai" / "task.py").read_text(encoding="utf-8"))
    about = next(n.value for n in tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "ABOUT")
    assert ast.literal_eval(about)["source"] == f"{name}.jsonl"


def test_evaluate_sends_the_prompts_and_gives_the_verdicts_of_the_folder(shell, tmp_path, sandbox):
    """A scripted model knows the folder's prompts, word for word; the replies go to the folder's `utils.py` too."""
    write(tmp_path / "mixed.jsonl", [*sums(4), *PROGRAMS])
    shell("export-benchmark", "--benchmark", "mixed.jsonl", "--to", "lm-eval", "--out", "out")
    rows = rows_of(tmp_path / "out")
    texts = [r"\boxed{0}", "Final answer: 2", r"\boxed{5}", "six", "```python\nprint(2 * int(input()))\n```"]
    replies = dict(zip([row["id"] for row in rows], [*texts, "```python\ndef add(a, b):\n    return a - b\n```"], strict=True))
    script(tmp_path / "model", *((row["prompt"], replies[row["id"]]) for row in rows), default="another prompt")
    shell("evaluate", "--benchmark", "mixed.jsonl", "--model", "model", "--run", "run")
    graded = {grade.question: grade.verdict for grade in from_table(api.open("run")["evaluate/mixed/solver/grades"], Grade)}
    assert list(graded.values()) == ["correct", "correct", "wrong", "no_answer", "correct", "wrong"]
    (tmp_path / "out").rename(tmp_path / "moved")
    utils = module(tmp_path / "moved" / "utils.py")
    docs = list(utils.documents(pretrained="any")["test"])
    assert [doc["prompt"] for doc in docs] == [row["prompt"] for row in rows]
    assert utils.verdicts([[replies[doc["id"]]] for doc in docs], docs) == [[graded[doc["id"]]] for doc in docs]


def test_a_question_counts_by_the_share_of_its_attempts_and_not_at_all_where_the_verifier_failed():
    doc = {"id": "q"}
    found = lm_eval.results(doc, [["correct", "wrong", "no_answer", "verifier_error"]])
    assert found == {"acc": pytest.approx(1 / 3), "format": pytest.approx(2 / 3), "verifier_error": 0.25}
    assert lm_eval.results(doc, [["verifier_error"]]) == {"verifier_error": 1.0}


def test_grading_follows_the_recipe(shell, tmp_path):
    write(tmp_path / "sums.jsonl", sums(2))
    shell("export-benchmark", "--benchmark", "sums.jsonl", "--to", "lm-eval", "--out", "out", "--set", "evaluate.fallback=none")
    utils = module(tmp_path / "out" / "utils.py")
    docs = list(utils.documents()["test"])
    assert utils.verdicts([["Final answer: 0", r"\boxed{0}"], [r"\boxed{2}", ""]], docs) == [
        ["no_answer", "correct"],
        ["correct", "no_answer"],
    ]


def test_an_attempt_that_was_cut_is_truncated_whatever_it_says(shell, tmp_path):
    write(tmp_path / "sums.jsonl", sums(1))
    api.export_benchmark("sums.jsonl", "lm-eval", tmp_path / "out")
    found = stored.opened(tmp_path / "out", POLICY)
    (id_, one), *_ = found.asked.items()
    assert found.grade(id_, r"\boxed{0}", truncated=True).verdict == "truncated"
    grades = grade_texts(found.grader, one.question, [r"\boxed{0}", r"\boxed{1}"])
    assert [(g.verdict, g.draw, g.question) for g in grades] == [("correct", 0, id_), ("wrong", 1, id_)]


@pytest.mark.slow
def test_a_procedural_task_brings_its_own_scorer(shell, tmp_path, sandbox):
    pytest.importorskip("reasoning_gym")
    shell("export-benchmark", "--benchmark", "reasoning-gym:gcd?max_numbers=2", "--rows", 2, "--to", "lm-eval", "--out", "out")
    utils = module(tmp_path / "out" / "utils.py")
    docs = list(utils.documents()["test"])
    answers = [json.loads(row["reference"])["entry"]["answer"] for row in rows_of(tmp_path / "out")]
    assert utils.verdicts([[rf"\boxed{{{a}}}", r"\boxed{-1}"] for a in answers], docs) == [["correct", "wrong"]] * 2


def test_tests_stay_in_the_folder(tmp_path, shell):
    """They may be megabytes, and tools log every document; its target says only which they are."""
    write(tmp_path / "programs.jsonl", [PROGRAMS[0]])
    api.export_benchmark("programs.jsonl", "inspect-ai", tmp_path / "out")
    (one,) = stored.opened(tmp_path / "out", POLICY).asked.values()
    assert one.target.startswith("tests ")
    assert len(one.target) == len("tests ") + 16


def test_statements_without_tests_are_refused(shell, tmp_path):
    rows = [{k: v for k, v in doubling(i, "2025-02-03").items() if not k.endswith("test_cases")} for i in range(131)]
    write(tmp_path / "lcb_v6_statements.jsonl", rows)
    for to in TOOLS:
        ran = shell("export-benchmark", "--benchmark", "lcb-v6", "--data", tmp_path, "--to", to, "--out", "out", code=2)
        assert "statements only" in ran.err
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_written_is_refused_and_nothing_is_touched(shell, tmp_path):
    write(tmp_path / "sums.jsonl", sums(1))
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine.txt").write_text("mine", encoding="utf-8")
    given = ["export-benchmark", "--benchmark", "sums.jsonl", "--out"]
    assert "helm" in shell(*given, "new", "--to", "helm", code=2).err
    assert "empty folder" in shell(*given, "used", "--to", "lm-eval", code=2).err
    assert "fallbak" in shell(*given, "new", "--to", "lm-eval", "--set", "evaluate.fallbak=none", code=2).err
    assert "no benchmark" in shell("export-benchmark", "--benchmark", "nothing", "--to", "lm-eval", "--out", "new", code=2).err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sums.jsonl", "used"]
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["mine.txt"]


def test_a_damaged_folder_is_named_with_its_question(tmp_path, shell):
    write(tmp_path / "sums.jsonl", sums(1))
    api.export_benchmark("sums.jsonl", "lm-eval", tmp_path / "out")
    (row,) = rows_of(tmp_path / "out")
    write(tmp_path / "out" / "questions.jsonl", [row | {"grading": "none"}])
    with pytest.raises(UsageError, match="s-0"):
        stored.opened(tmp_path / "out", POLICY)
