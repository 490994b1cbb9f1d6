"""verifiers' own scoring of our taskset."""

import asyncio
import json

import pytest

pytest.importorskip("verifiers.v1")

import verifiers.v1 as vf

from promptcot.rewards.verifiers import AnswerConfig, AnswerTask, AnswerTaskset

pytestmark = [pytest.mark.consumers, pytest.mark.filterwarnings("ignore")]  # their warnings are not ours


def tasks(folder) -> list[AnswerTask]:
    path = folder / "problems.jsonl"
    path.write_text("".join(json.dumps({"problem": f"1+{n}?", "answer": str(1 + n)}) + "\n" for n in range(3)), encoding="utf-8")
    return list(AnswerTaskset(AnswerConfig(path=path)))


@pytest.mark.parametrize(("reply", "reward"), [(r"so \boxed{\frac{4}{2}}", 1.0), (r"\boxed{3}", 0.0), ("2", 0.0)])
def test_a_reply_is_rewarded_for_the_right_answer(tmp_path, reply, reward):
    task = tasks(tmp_path)[1]
    trace = vf.Trace.model_construct(
        root_reply=reply, rewards={}, metrics={}, errors=[], nodes=[], calls=[], info={}, stop_condition=None, is_timeout=False
    )
    asyncio.run(task.score(trace))
    assert {name: given.score for name, given in trace.rewards.items()} == {"correct": reward}


def test_the_taskset_yields_its_rows_and_validates_them(tmp_path):
    found = tasks(tmp_path)
    assert [task.data.answer for task in found] == ["1", "2", "3"]
    assert "1+2?" in found[2].data.prompt_text
    assert asyncio.run(found[0].validate(None)) is True
