"""Asking a sampler in the form of a conversation, whether it renders that itself or its server does."""

from __future__ import annotations

from collections.abc import Sequence

from promptcot.engines.protocol import ChatSampler, Message, MessageSampler, Sampler, SampleRequest
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
    return SampleRequest(id, sampler.tokenizer.encode(f"{prompt}\n\nReply:\n"), draws, group)
