"""A causal language model small enough to build in a test: two random Llama layers over 24 words."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, TokenizersBackend

from promptcot.engines.protocol import Ids
from promptcot.engines.transformers import TransformersEngine
from promptcot.recipe import EngineSpec

WORDS = ("<unk>", "<s>", "</s>", *"abcdefghijklmnopqrstu")
EOS, VOCABULARY, CONTEXT = 2, len(WORDS), 64


def save_tiny_model(folder: Path) -> Path:
    """Random weights, spread enough that the next-token distribution is far from uniform. Pads with its end of sequence."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        initializer_range=0.25,
        bos_token_id=1,
        eos_token_id=EOS,
        pad_token_id=EOS,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    save_tokenizer(folder)
    return folder


def save_tokenizer(folder: Path) -> None:
    words = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>"}
    whole = TokenizersBackend(tokenizer_object=words, **special)
    whole.save_pretrained(folder)


def transformers_greedy(engine: TransformersEngine, prefix: Ids, tokens: int) -> list[int]:
    """What transformers' own `generate` writes after `prefix`."""
    ids = torch.tensor([prefix])
    whole = engine.model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=tokens)  # type: ignore[operator]
    written: list[int] = whole[0, len(prefix) :].tolist()
    return written


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("tiny-llama"))


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Iterator[TransformersEngine]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more would only wait for one another
    with TransformersEngine.open(tiny_folder, EngineSpec(dtype="fp32", device="cpu", batch_rows=5, batch_tokens=64)) as engine:
        yield engine
    torch.set_num_threads(threads)
