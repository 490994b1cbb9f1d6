"""Asking a sampler in the form of a conversation, whether it renders that itself or its server does."""

from __future__ import annotations

from collections.abc import Sequence

from promptcot.engines.protocol import ChatSampler, Ids, Message, MessageSampler, Sampler, SampleRequest, Tokenizer
from promptcot.errors import UsageError


def chat_request(sampler: Sampler, id: str, messages: Sequence[Message], draws: tuple[int, ...] = (0,), group: int = 0) -> SampleRequest:
    """The request for the assistant's next turn. Raises `UsageError` for a sampler that knows no conversations."""
    if isinstance(sampler, MessageSampler) and sampler.takes_messages:
        return SampleRequest(id, (), draws, group, tuple(messages))
    if not isinstance(sampler, ChatSampler):
        raise UsageError("the engine knows no chat template", where="models", remedy="`chat: false`, or an instruct model")
    return SampleRequest(id, sampler.chat_prefix([{"role": m.role, "content": m.content} for m in messages]), draws, group)


def prompt_request(
    sampler: Sampler, id: str, prompt: str, draws: tuple[int, ...] = (0,), group: int = 0, *, chat: bool = True
) -> SampleRequest:
    """The request for the reply to one prompt: in a conversation, or (without `chat`) as the text that goes on after it."""
    if chat:
        return chat_request(sampler, id, [Message("user", prompt)], draws, group)
    return SampleRequest(id, prompt_ids(sampler.tokenizer, prompt, chat=False), draws, group)


def prompt_ids(tokenizer: Tokenizer, prompt: str, *, chat: bool) -> Ids:
    """The ids that a model reads for one prompt, by its tokenizer alone. Raises `UsageError` for one that knows no conversations."""
    if not chat:
        return tokenizer.encode(f"{prompt}\n\nReply:\n")
    render = getattr(tokenizer, "chat_prefix", None)
    if render is None:
        raise UsageError("the tokenizer knows no chat template", where="models", remedy="`chat: false`, or an instruct model")
    return tuple(render([{"role": "user", "content": prompt}]))
