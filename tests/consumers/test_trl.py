"""TRL's own GRPO trainer with our reward function, for a step on a tiny model."""

import pytest

pytest.importorskip("trl")

from datasets import Dataset
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import GRPOConfig, GRPOTrainer

from promptcot.rewards.trl import answer_reward

pytestmark = [pytest.mark.consumers, pytest.mark.filterwarnings("ignore")]  # their warnings are not ours

WORDS = ["<pad>", "<eos>", "\\boxed{2}", "\\boxed{3}", "what", "is"]


def test_a_step_of_grpo_is_rewarded_by_the_verifier(tmp_path):
    words = Tokenizer(WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="is"))
    words.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="<eos>", unk_token="is")
    model = LlamaForCausalLM(LlamaConfig(vocab_size=6, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2))
    seen: list[float | None] = []

    def reward(completions, answer, **rest):
        found = answer_reward(completions, answer, **rest)
        seen.extend(found)
        return found

    settings = GRPOConfig(
        output_dir=str(tmp_path), max_steps=1, per_device_train_batch_size=8, num_generations=8, max_completion_length=3, report_to=[],
        use_cpu=True, bf16=False, save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    rows = Dataset.from_list([{"prompt": "what is", "answer": "2"}] * 8)
    GRPOTrainer(model=model, reward_funcs=reward, args=settings, train_dataset=rows, processing_class=tokenizer).train()
    assert len(seen) == 8
    assert set(seen) <= {0.0, 1.0}


def test_conversations_are_read_like_texts():
    said = [[{"role": "assistant", "content": r"\boxed{0.5}"}], [{"role": "assistant", "content": r"\boxed{2}"}]]
    assert answer_reward(said, [r"\frac12", "3"]) == [1.0, 0.0]
