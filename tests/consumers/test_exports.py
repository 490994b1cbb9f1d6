"""Exports in TRL's own hands: its checks of a data set's form, and a tokenizer's chat template over every row."""

import pytest

pytest.importorskip("trl")

from pathlib import Path

import trl
from datasets import load_dataset
from transformers import AutoTokenizer
from trl.data_utils import apply_chat_template, is_conversational

from promptcot import api
from promptcot.engines.hf_tokenizer import HfTokenizer
from promptcot.rewards.trl import answer_reward
from tests.exports import PAIRS, run
from tests.runs import jsonl
from tests.test_distill import PLAIN, student

pytestmark = [pytest.mark.consumers, pytest.mark.filterwarnings("ignore")]  # their warnings are not ours


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return run(tmp_path_factory.mktemp("exports"))


@pytest.mark.parametrize(
    ("to", "keys"),
    [
        ("trl-messages", {"text"}),
        ("trl-completions", {"prompt", "completion"}),
        ("trl-preference", {"prompt", "chosen", "rejected"}),
        ("trl-prompts", {"prompt"}),
    ],
)
def test_trl_takes_every_row_for_a_conversation(finished, tmp_path, to, keys):
    source = jsonl(tmp_path / "pairs.jsonl", PAIRS) if to == "trl-preference" else finished
    api.export(source, to, tmp_path / "rows.jsonl")
    rows = load_dataset("json", data_files=str(tmp_path / "rows.jsonl"), split="train", cache_dir=str(tmp_path / "cache"))
    tokenizer = AutoTokenizer.from_pretrained(student(tmp_path / "model", PLAIN))
    assert rows.num_rows
    for row in rows:
        assert is_conversational(row)
        rendered = apply_chat_template(row, tokenizer)
        assert keys <= set(rendered)
        assert all(rendered[key] for key in keys)


def test_exported_answers_are_what_the_reward_expects(finished, tmp_path):
    api.export(finished, "trl-prompts", tmp_path / "rows.jsonl")
    rows = load_dataset("json", data_files=str(tmp_path / "rows.jsonl"), split="train", cache_dir=str(tmp_path / "cache"))
    said = [[{"role": "assistant", "content": r"\boxed{7}"}]] * rows.num_rows
    assert sorted(map(str, answer_reward(said, rows["answer"]))) == ["1.0", "None"]


@pytest.mark.parametrize(
    ("template", "turn"),
    [
        ("qwen2_5", "<think>\nr\n</think>\n\na"),
        ("qwen3", "<think>\nr\n</think>\n\na"),
        ("qwen3_5_think", "r\n</think>\n\na"),
        ("deepseek_r1_distill", "r\n</think>\n\na"),
        ("glm4moe", "\n<think>r</think>\na"),
        ("gptoss", "<|channel|>analysis<|message|>r<|end|><|start|>assistant<|channel|>final<|message|>a"),
        ("llama3", "<think>\nr\n</think>\n\na"),
    ],
)
def test_reasoning_goes_where_the_templates_of_known_models_have_it(tmp_path, template, turn):
    known = Path(str(trl.__file__)).parent / "chat_templates" / f"{template}.jinja"
    tokenizer = HfTokenizer.open(student(tmp_path / "model", known.read_text(encoding="utf-8")))
    assert tokenizer.chat_reply([{"role": "user", "content": "q"}], "r", "a") == turn
