"""TRL's own GRPO trainer with our reward function, for a step on a tiny model."""

from collections.abc import Mapping

import pytest

pytest.importorskip("trl")

from datasets import Dataset
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import GRPOConfig, GRPOTrainer

from promptcot.rewards.trl import answer_reward
from promptcot.rewards.trl import tests_reward as program_reward

pytestmark = [pytest.mark.consumers, pytest.mark.filterwarnings("ignore")]  # their warnings are not ours

WORDS = ["<pad>", "<eos>", "\\boxed{2}", "\\boxed{3}", "what", "is"]


def rewarded(folder, reward_func, words: list[str], row: Mapping[str, object]) -> list[tuple[str, float | None]]:
    """Completions and rewards of a step of GRPO on a tiny model with these words."""
    vocabulary = Tokenizer(WordLevel({word: n for n, word in enumerate(words)}, unk_token="is"))
    vocabulary.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=vocabulary, pad_token="<pad>", eos_token="<eos>", unk_token="is")
    shape = LlamaConfig(vocab_size=len(words), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    seen: list[tuple[str, float | None]] = []

    def reward(**given):
        found = reward_func(**given)
        seen.extend(zip(given["completions"], found, strict=True))
        return found

    settings = GRPOConfig(
        output_dir=str(folder), max_steps=1, per_device_train_batch_size=8, num_generations=8, max_completion_length=3, report_to=[],
        use_cpu=True, bf16=False, save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    rows = Dataset.from_list([row] * 8)
    trainer = GRPOTrainer(model=LlamaForCausalLM(shape), reward_funcs=reward, args=settings, train_dataset=rows, processing_class=tokenizer)
    trainer.train()
    return seen


def test_a_step_of_grpo_is_rewarded_by_the_verifier(tmp_path):
    seen = rewarded(tmp_path, answer_reward, WORDS, {"prompt": "what is", "answer": "2"})
    assert len(seen) == 8
    assert {reward for _, reward in seen} <= {0.0, 1.0}


@pytest.mark.usefixtures("sandbox")
def test_a_step_of_grpo_is_rewarded_for_programs(tmp_path):
    """The model's words are whole code blocks, so that it writes programs by chance; the last one counts."""
    words = ["<pad>", "<eos>", "what", "is", *(f"x\n```python\nprint({n})\n```\n" for n in (2, 3))]
    row = {"prompt": "what is", "tests": [{"input": "", "output": "2"}]}
    seen = rewarded(tmp_path, program_reward, words, row)
    assert len(seen) == 8
    assert [reward for _, reward in seen] == [float(text.rfind("print(2)") > text.rfind("print(3)")) for text, _ in seen]


def test_conversations_are_read_like_texts():
    said = [[{"role": "assistant", "content": r"\boxed{0.5}"}], [{"role": "assistant", "content": r"\boxed{2}"}]]
    assert answer_reward(said, [r"\frac12", "3"]) == [1.0, 0.0]
