"""Small Llamas over the synthetic language's own words, and their exact log p_theta(x|c) and q_phi(z|c,x) by enumeration of all z.

The models are ordinary folders: safetensors, a `tokenizer.json` of whole words, a config. They are run by the package's transformers
engine and fitted by its training worker. The prefix of p is the two concepts, that of q the concepts and the problem (template `plain`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from benchmarks.em_study.middle_language import symbols
from promptcot.bounds import log_mean_exp
from promptcot.engines.protocol import ScoreRequest
from promptcot.models import fingerprint
from promptcot.recipe import EngineSpec
from promptcot.records import Triple
from promptcot.roles import Role
from promptcot.templates import PLAIN

END = "<end>"


def save_base(folder: Path, *, seed: int, width: int = 128, layers: int = 4) -> Path:
    """Write a random Llama over `symbols()`, 1.06 M parameters at the defaults."""
    words = (END, *symbols())
    inner = Tokenizer(WordLevel({word: n for n, word in enumerate(words)}, unk_token=END))
    inner.pre_tokenizer = WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=END).save_pretrained(folder)  # type: ignore[no-untyped-call]
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=64,
        bos_token_id=None,
        eos_token_id=0,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def role(name: str, folder: Path, spec: EngineSpec) -> Role:
    """A `generator` or `posterior` over a folder."""
    return Role(name, folder, fingerprint(folder), spec, PLAIN)


def log_p(generator: Role, rows: Sequence[Triple], texts: Sequence[str]) -> np.ndarray:
    """log p_theta(z|c) and log p_theta(x|z,c) in nats, [rows, Z, 2]; their sum over the last axis is the joint."""
    return _enumerated(generator, rows, texts)


def log_q(posterior: Role, rows: Sequence[Triple], texts: Sequence[str]) -> np.ndarray:
    """log q_phi(z|c,x) in nats, [rows, Z]; its mass is 1 less what q gives to texts that are no rationale."""
    return _enumerated(posterior, rows, texts)[..., 0]


def log_marginal(generator: Role, rows: Sequence[Triple]) -> np.ndarray:
    """log p_theta(x|c) of a generator without rationales, [rows]."""
    with generator.open() as engine:
        segmenter = generator.segmenter(engine)
        asked = [ScoreRequest(t.id, segmenter.generator(t, None)) for t in rows]
        found = {reply.id: reply.log_p[0] for reply in engine.score(iter(asked))}
    return np.array([found[t.id] for t in rows])


def _enumerated(which: Role, rows: Sequence[Triple], texts: Sequence[str]) -> np.ndarray:
    with which.open() as engine:
        segmenter = which.segmenter(engine)
        ids = [segmenter.rationale(text) for text in texts]
        render = segmenter.generator if which.name == "generator" else segmenter.posterior
        asked = (ScoreRequest(f"{n}:{k}", render(t, z), n // 32) for n, t in enumerate(rows) for k, z in enumerate(ids))
        found = {reply.id: reply.log_p for reply in engine.score(asked)}
    return np.array([[found[f"{n}:{k}"] for k in range(len(texts))] for n in range(len(rows))])


def log_sum_exp(values: np.ndarray) -> np.ndarray:
    """log of the sum of exp over the last axis."""
    return np.asarray(log_mean_exp(values) + np.log(values.shape[-1]))
