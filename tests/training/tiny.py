"""Models small enough to be trained in a test: a random Llama, and a neural form of the finite toy model.

`ToyLM` is a causal language model over c0 c1 c2 | z0 z1 | x0 .. x3 | eos whose next token depends on the previous one and, where `sees_c`,
on the first one too. So x cannot see c unless it is allowed to, and any p(z|c), p(x|z) or p(x|z,c) can be represented exactly.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

CONCEPTS, RATIONALES, PROBLEMS, EOS, SYMBOLS = (0, 1, 2), (3, 4), (5, 6, 7, 8), 9, 10
IMPOSSIBLE = -30.0
"""A logit whose probability (1e-13) cannot be seen in a log-likelihood."""


class ToyConfig(PreTrainedConfig):
    model_type = "promptcot-toy"

    def __init__(self, sees_c: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sees_c = sees_c


class ToyLM(PreTrainedModel):
    config_class = ToyConfig
    config: ToyConfig

    def __init__(self, config: ToyConfig) -> None:
        super().__init__(config)
        contexts = SYMBOLS * SYMBOLS if config.sees_c else SYMBOLS
        self.context = torch.nn.Embedding(contexts, SYMBOLS)
        self.lm_head = torch.nn.Linear(SYMBOLS, SYMBOLS, bias=False)
        self.post_init()

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.context

    def get_output_embeddings(self) -> Any:
        return self.lm_head

    def forward(self, input_ids: torch.Tensor, use_cache: bool = False, **kwargs: Any) -> CausalLMOutput:
        index = input_ids[:, :1] * SYMBOLS + input_ids if self.config.sees_c else input_ids
        return CausalLMOutput(logits=self.lm_head(self.context(index)))


AutoConfig.register(ToyConfig.model_type, ToyConfig)
AutoModelForCausalLM.register(ToyConfig, ToyLM)


def save_toy(folder: Path, z_given_c: np.ndarray, x_given_z: np.ndarray, *, sees_c: bool) -> None:
    """Write a `ToyLM` that is exactly p(z|c) p(x|z); with `sees_c` it starts at the same law."""
    after = torch.full((SYMBOLS, SYMBOLS), IMPOSSIBLE)
    after[np.ix_(CONCEPTS, RATIONALES)] = torch.tensor(np.log(z_given_c), dtype=torch.float32)
    after[np.ix_(RATIONALES, PROBLEMS)] = torch.tensor(np.log(x_given_z), dtype=torch.float32)
    after[PROBLEMS, EOS] = 0.0
    model = ToyLM(ToyConfig(sees_c=sees_c))
    with torch.no_grad():
        model.context.weight.copy_(after.repeat(SYMBOLS, 1) if sees_c else after)
        model.lm_head.weight.copy_(torch.eye(SYMBOLS))
    model.save_pretrained(folder)


def save_llama(folder: Path, *, seed: int = 0, dtype: torch.dtype = torch.float32) -> None:
    """Write a random Llama: 2 layers, 32 dimensions, 50 tokens, tied embeddings."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=50,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.2,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config)
    torch.nn.Module.to(model, dtype).save_pretrained(folder)
