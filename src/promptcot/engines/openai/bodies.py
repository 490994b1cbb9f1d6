"""What is asked: the JSON of a request, in the dialect that a server understands.

Servers take sampling defaults from the model's `generation_config` (vLLM) or have their own (llama.cpp keeps the 40 likeliest tokens), so
a draw from the model's own distribution has to say that nothing else is wanted. Hosted services refuse the same words as unknown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from promptcot.engines.protocol import Message, Sampling

PLAIN_SAMPLING = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
"""No filter and no penalty, in the words of vLLM, SGLang and llama.cpp."""
TOKEN_IDS = {"return_token_ids": True, "return_tokens_as_token_ids": True, "skip_special_tokens": False}
"""Ids beside the text (vLLM), and no token left out of it."""

Prompt = str | Sequence[int]


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a server's `/completions` understands: prompts as token `ids`, the words above (`extras`), and `log_probs`."""

    ids: bool = True
    extras: bool = True
    log_probs: bool = True


DIALECTS = (
    Dialect(),
    Dialect(extras=False),
    Dialect(ids=False),
    Dialect(ids=False, extras=False),
    Dialect(ids=False, extras=False, log_probs=False),
)
"""From the richest on; the first that a server understands is used."""


@dataclass(frozen=True, slots=True)
class ChatDialect:
    """What a server's `/chat/completions` understands; the name of its token limit differs."""

    extras: bool = True
    seed: bool = True
    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"


CHAT_DIALECTS = (
    ChatDialect(),
    ChatDialect(extras=False),
    ChatDialect(extras=False, limit="max_completion_tokens"),
    ChatDialect(extras=False, seed=False),
    ChatDialect(extras=False, seed=False, limit="max_completion_tokens"),
)
"""From the richest on."""


def draw_seed(seed: int, request: str, draw: int) -> int:
    """The seed of one draw, a function of (run seed, request id, draw); 31 bits, the least that all servers take."""
    digest = hashlib.blake2b(f"{seed}\0{draw}\0{request}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) >> 1


def completion(model: str, prompt: Prompt, sampling: Sampling, seed: int, dialect: Dialect) -> dict[str, Any]:
    """The body that asks for one continuation."""
    body: dict[str, Any] = {"model": model, "prompt": prompt if isinstance(prompt, str) else list(prompt), "seed": seed}
    body |= {"max_tokens": sampling.max_tokens, "temperature": sampling.temperature, "top_p": sampling.top_p}
    if dialect.log_probs:
        body |= {"logprobs": 1}
    if dialect.extras:
        body |= PLAIN_SAMPLING | TOKEN_IDS | {"add_special_tokens": False}
    return body


def chat(model: str, messages: Sequence[Message], sampling: Sampling, seed: int, dialect: ChatDialect) -> dict[str, Any]:
    """The body that asks for one turn of a conversation."""
    body: dict[str, Any] = {"model": model, "messages": [{"role": m.role, "content": m.content} for m in messages]}
    body |= {"temperature": sampling.temperature, "top_p": sampling.top_p, dialect.limit: sampling.max_tokens}
    if dialect.seed:
        body |= {"seed": seed}
    if dialect.extras:
        body |= PLAIN_SAMPLING | {"return_token_ids": True}
    return body


def prompt_scores(model: str, ids: Sequence[int]) -> dict[str, Any]:
    """The body that asks for the log-probability of every token of a text, vLLM's way. One token has to be written, and is not read."""
    return {"model": model, "prompt": list(ids), "max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 0}


def echo_scores(model: str, ids: Sequence[int]) -> dict[str, Any]:
    """The same by the original API: the prompt comes back as if it had been written."""
    return {"model": model, "prompt": list(ids), "max_tokens": 1, "temperature": 0.0, "echo": True, "logprobs": 1}
