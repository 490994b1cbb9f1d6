"""verifiers' own scoring of our taskset."""

import asyncio
import json

import pytest

pytest.importorskip("verifiers.v1")

import verifiers.v1 as vf

from promptcot.rewards.verifiers import AnswerConfig, AnswerTask, AnswerTaskset, ProgramConfig, ProgramTask, ProgramTaskset

pytestmark = [pytest.mark.consumers, pytest.mark.filterwarnings("ignore")]  # their warnings are not ours


def tasks(folder) -> list[AnswerTask]:
    path = folder / "problems.jsonl"
    path.write_text("".join(json.dumps({"problem": f"1+{n}?", "answer": str(1 + n)}) + "\n" for n in range(3)), encoding="utf-8")
    return list(AnswerTaskset(AnswerConfig(path=path)))


def scored(task, reply: str) -> dict[str, float]:
    """The rewards that their scoring gives a reply."""
    trace = vf.Trace.model_construct(
        root_reply=reply, rewards={}, metrics={}, errors=[], nodes=[], calls=[], info={}, stop_condition=None, is_timeout=False
    )
    asyncio.run(task.score(trace))
    return {name: given.score for name, given in trace.rewards.items()}


@pytest.mark.parametrize(("reply", "reward"), [(r"so \boxed{\frac{4}{2}}", 1.0), (r"\boxed{3}", 0.0), ("2", 0.0)])
def test_a_reply_is_rewarded_for_the_right_answer(tmp_path, reply, reward):
    assert scored(tasks(tmp_path)[1], reply) == {"correct": reward}


def test_the_taskset_yields_its_rows_and_validates_them(tmp_path):
    found = tasks(tmp_path)
    assert [task.data.answer for task in found] == ["1", "2", "3"]
    assert "1+2?" in found[2].data.prompt_text
    assert asyncio.run(found[0].validate(None)) is True


DOUBLES = [{"input": "3", "output": "6"}, {"input": "4", "output": "8"}]
RIGHT, FUNCTION = "print(int(input()) * 2)", "def double(x):\n    return 2 * x"
ROWS = [
    {"problem": "Double it.", "tests": DOUBLES, "program": RIGHT},
    {"problem": "Double it.", "tests": [{"input": [3], "output": 6}], "function": "double"},
    {"problem": "Double it.", "tests": DOUBLES, "program": "print(6)"},
    {"problem": "Double it.", "tests": []},
]


def programs(folder) -> list[ProgramTask]:
    path = folder / "programs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return list(ProgramTaskset(ProgramConfig(path=path)))


@pytest.mark.usefixtures("sandbox")
def test_a_reply_is_rewarded_for_a_program_that_passes(tmp_path):
    plain, called, *_ = programs(tmp_path)
    assert scored(plain, f"```python\n{RIGHT}\n```") == {"passes": 1.0}
    assert scored(plain, "```python\nprint(6)\n```") == {"passes": 0.0}
    assert scored(called, f"```python\n{FUNCTION}\n```") == {"passes": 1.0}
    assert "function `double`" in called.data.prompt_text


@pytest.mark.usefixtures("sandbox")
def test_programs_that_are_known_must_pass_and_tests_be_readable(tmp_path):
    assert [asyncio.run(task.validate(None)) for task in programs(tmp_path)] == [True, True, False, False]
