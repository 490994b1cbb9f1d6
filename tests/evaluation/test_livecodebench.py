"""LiveCodeBench's rows as questions, and hidden tests that mean harm."""

import base64
import contextlib
import datetime
import json
import os
import pickle
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcot.errors import MissingHere, UsageError
from promptcot.evaluation.benchmarks import load
from promptcot.evaluation.benchmarks.private_tests import json_text
from promptcot.outcomes import Grading
from promptcot.sandbox.limits import Limits
from promptcot.sandbox.programs import Language, Program
from promptcot.seeds.rows import BadRow
from promptcot.verify.programs import Judgement, Test, judge
from tests.evaluation.samples import doubling, method, packed, write


def loaded(folder: Path, row: dict[str, Any]) -> Any:
    return load(str(write(folder / "mine.jsonl", [row]))).questions[0]


def cases(question: Any) -> list[Test]:
    return [Test(test["input"], test["output"]) for test in json.loads(question.reference)]


# rows


def test_public_and_hidden_tests_are_joined(tmp_path):
    question = loaded(tmp_path, doubling(1))
    assert [test.output for test in cases(question)] == ["0\n", "2\n", "4\n"]
    assert (question.name, question.contest, question.date) == ("abc900_1", "abc900", "2024-08-03")
    assert (question.grading, question.function, question.starter, question.domain) == (Grading.LIVECODEBENCH, "", "", "code")


def test_a_method_is_named_and_its_class_is_the_start(tmp_path):
    question = loaded(tmp_path, method())
    assert question.function == "total"
    assert question.starter.startswith("class Solution:")
    assert cases(question)[0] == Test("[1, 2]\n3", "6")


def test_how_hidden_tests_are_packed_makes_no_difference(tmp_path):
    hidden = json.dumps([{"input": "5\n", "output": "10\n", "testtype": "stdin"}])
    plain = loaded(tmp_path, doubling(1, private_test_cases=hidden))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert loaded(tmp_path, doubling(1, private_test_cases=packed(hidden, protocol))) == plain


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"metadata": "{}"}, "metadata"),
        ({"metadata": '{"func_name": "os.system"}'}, "metadata"),
        ({"public_test_cases": "[{"}, "public_test_cases"),
        ({"public_test_cases": "{}"}, "public_test_cases"),
        ({"public_test_cases": '[{"input": "1", "output": "1", "testtype": "stdin"}]'}, "public_test_cases"),
        ({"private_test_cases": '[{"input": 1, "output": "1", "testtype": "functional"}]'}, "private_test_cases"),
        ({"private_test_cases": "not packed"}, "private_test_cases"),
        ({"private_test_cases": None}, "private_test_cases"),
    ],
)
def test_a_row_that_is_not_as_published_is_named_by_field(tmp_path, change, field):
    with pytest.raises(UsageError, match=f"`{field}`"):
        loaded(tmp_path, method(**change))


@pytest.mark.usefixtures("sandbox")
def test_tests_of_both_kinds_judge_programs(tmp_path):
    limits = Limits(cpu_s=5, wall_s=60)
    stdin, called = loaded(tmp_path, doubling(1)), loaded(tmp_path, method())
    right = Program("print(2 * int(input()))", Language.PYTHON)
    assert judge(right, cases(stdin), limits).verdict is Judgement.ACCEPTED
    for body, verdict in (("sum(xs) + y", Judgement.ACCEPTED), ("sum(xs)", Judgement.WRONG_ANSWER)):
        program = Program(called.starter + f"return {body}\n", Language.PYTHON, called.function)
        assert judge(program, cases(called), limits).verdict is verdict


# windows and files


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("PROMPTCOT_DATA", str(tmp_path))
    return tmp_path


def test_a_release_file_is_cut_to_the_window_and_counted(data):
    outside = [doubling(1000 + i, "2025-01-31T23:00:00", private_test_cases="never looked at") for i in range(3)]
    write(data / "test6.jsonl", [*outside, *(doubling(i, "2025-02-01T00:00:00") for i in range(131))])
    found = load("lcb-v6", rows=5)
    assert (found.source, len(found.questions), found.gradable) == ("test6.jsonl", 5, True)
    assert "2025-02-01" in found.note
    write(data / "test6.jsonl", [doubling(i, "2025-02-01T00:00:00") for i in range(130)])
    with pytest.raises(UsageError, match="130 questions, where 131"):
        load("lcb-v6")


def test_a_window_of_ones_own_is_not_counted(data):
    write(data / "test6.jsonl", [doubling(i, f"2025-0{i}-01T00:00:00") for i in range(2, 5)])
    assert [q.date for q in load("lcb-v6", window=("2025-03-01", "2025-05-01")).questions] == ["2025-03-01", "2025-04-01"]


def test_a_window_that_reaches_into_a_file_that_is_not_there_is_refused(data):
    write(data / "test5.jsonl", [doubling(i) for i in range(3)])
    with pytest.raises(MissingHere, match=r"test3\.jsonl, test4\.jsonl"):
        load("lcb-v5")
    write(data / "test5.jsonl", [doubling(i, "2024-12-05T00:00:00") for i in range(3)])
    assert len(load("lcb-v5", window=("2024-12-01", "2025-01-01")).questions) == 3
    with pytest.raises(UsageError, match="no question"):
        load("lcb-v5", window=("2025-01-01", "2025-01-02"))


def test_several_release_files_are_one_benchmark(data):
    (data / "code_generation_lite").mkdir()
    for part, numbers in (("3", range(11)), ("4", range(11, 112)), ("5", range(112, 279))):
        write(data / "code_generation_lite" / f"test{part}.jsonl", [doubling(i) for i in numbers])
    found = load("lcb-v5")
    assert (found.source, len(found.questions)) == ("test3.jsonl, test4.jsonl, test5.jsonl", 279)


def test_the_hub_is_asked_for_the_files_that_the_window_needs(data, monkeypatch):
    import datasets

    asked = dict[str, Any]()
    rows = [doubling(i) | {"contest_date": datetime.datetime(2025, 2, 1)} for i in range(131)]
    monkeypatch.setattr(datasets, "load_dataset", lambda kind, **options: asked.update(options) or rows)
    found = load("lcb-v6")
    (files,) = asked["data_files"].values()
    assert [file.rpartition("/")[2] for file in files] == ["test6.jsonl"]
    assert files[0].startswith(found.source.replace("hf:", "hf://datasets/"))
    assert {question.date for question in found.questions} == {"2025-02-01"}


def test_statements_alone_can_be_sampled_but_not_graded(data):
    rows = [{"id": f"abc_{i}", "contest_date": "2024-08-03", "problem": f"Double it, {i}."} for i in range(279)]
    write(data / "lcb_v5_statements.jsonl", rows)
    found = load("lcb-v5", rows=3)
    assert not found.gradable
    assert {question.grading for question in found.questions} == {Grading.NONE}
    assert "cannot be graded" in found.note


# harm


class Harmful:
    """Unpickled, it runs a command."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.trace}",)


def test_a_pickle_that_runs_a_command_is_refused_and_runs_nothing(tmp_path):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for value in (Harmful(tmp_path / "trace"), ["[]", Harmful(tmp_path / "trace")], {"[]": Harmful(tmp_path / "trace")}):
            with pytest.raises(UsageError, match="does more than hold a text"):
                loaded(tmp_path, doubling(1, private_test_cases=packed(value, protocol)))
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("value", [b"[]", ["[]"], ("[]",), {"a": 1}, 7, None, True, 1.5, bytearray(b"[]"), json.JSONDecoder, len])
def test_a_pickle_of_anything_but_a_text_is_refused(value):
    with pytest.raises(BadRow):
        json_text(packed(value), "private_test_cases")


@pytest.mark.parametrize(
    "instructions",
    [
        b"cos\nsystem\n.",  # a global
        b"Pnumber\n.",  # a persistent id
        b"\x82\x01.",  # an extension
        b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b".",  # a bytearray of a terabyte
        b"\x80\x04\x8d" + (1 << 40).to_bytes(8, "little") + b"x.",  # a text of a terabyte
        b"\x80\x04\x8c\x02[]\x8c\x02[].",  # two texts
        b"\x80\x04.",  # none
        b"\x80\x04\x8c\x02[]",  # no end
        b"\x80\x04\x8c\x02[].cos\nsystem\n.",  # more after the end
        b"",
    ],
)
def test_hand_made_instructions_are_refused(instructions):
    with pytest.raises(BadRow):
        json_text(base64.b64encode(zlib.compress(instructions)).decode(), "private_test_cases")


def test_a_note_at_an_enormous_place_costs_nothing():
    raw = b"\x80\x04\x8c\x02[]r\xff\xff\xff\x7f."  # an unpickler would make room for two billion
    assert json_text(base64.b64encode(zlib.compress(raw)).decode(), "private_test_cases") == "[]"


def test_what_expands_past_the_limit_is_refused():
    text = "[" + " " * 100_000 + "]"
    assert json_text(packed(text), "k", largest=200_000) == text
    with pytest.raises(BadRow, match="expands"):
        json_text(packed(text), "k", largest=100_000)
    with pytest.raises(BadRow, match="expands"):
        json_text(packed(" " * 50_000_000), "k", largest=1_000)


@given(st.data())
def test_a_cell_that_breaks_off_or_is_changed_is_refused_or_read_never_worse(data):
    whole = packed('[{"input": "1", "output": "2", "testtype": "stdin"}]')
    cut = data.draw(st.integers(1, len(whole) - 1))
    with pytest.raises(BadRow):
        json_text(whole[:cut], "k")
    letter = data.draw(st.sampled_from("AZaz09+/"))
    with contextlib.suppress(BadRow):
        json_text(whole[: cut - 1] + letter + whole[cut:], "k")


@given(st.binary(max_size=60))
def test_any_bytes_for_a_pickle_give_a_text_or_an_error_of_ours(raw):
    with contextlib.suppress(BadRow):
        assert isinstance(json_text(base64.b64encode(zlib.compress(raw)).decode(), "k"), str)
