"""What an engine can do, one protocol per ability, and the messages that go in and out.

Engines stream: `sample` and `score` take an iterator of requests and yield answers as they are ready, in any order, pulling only a
bounded window of requests ahead. Requests carry a `group` (the shard they belong to): an engine whose numbers depend on how a
batch is composed closes its batch when the group changes, so a resumed run forms the same batches.

Token ids are the currency: what was sampled is scored and trained on as it is. Log-probabilities are sums in nats.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from promptcot.outcomes import Finish
from promptcot.usage import Usage as Usage

Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text as token ids: an unscored `prefix`, then `segments`, each tokenized apart. The last one ends with end-of-sequence."""

    prefix: Ids
    segments: tuple[Ids, ...]

    def __len__(self) -> int:
        return len(self.prefix) + sum(map(len, self.segments))


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample. `temperature` 0 is greedy. Only T=1, top_p=1 samples from the model's own distribution (`exact`)."""

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 256

    @property
    def exact(self) -> bool:
        """Whether `Completion.log_p` is the log-density of the draw, as importance weights need."""
        return self.temperature == 1.0 and self.top_p == 1.0


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `role` is `system`, `user` or `assistant`."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """Continue `prefix` once per entry of `draws`. The randomness of a draw depends on (run seed, id, draw) alone.

    For an engine that `takes_messages`, `messages` may stand in place of the prefix: the server knows the chat template then."""

    id: str
    prefix: Ids
    draws: tuple[int, ...] = (0,)
    group: int = 0
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """One continuation. `ids` leaves out the end of sequence; `log_p` sums the model's own log-probabilities (T=1) over `ids` and,
    where `finish` is `stop`, the end of sequence, in nats (NaN where the engine cannot know it); `tokens` is how many were summed.

    `reasoning` is what a chat model thought before it answered, where the server keeps that apart: it is no part of `text`. `error`
    says why there is no completion at all (`finish` is `error` then, and the rest is empty)."""

    draw: int
    ids: Ids
    text: str
    log_p: float
    tokens: int
    finish: Finish
    reasoning: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Sampled:
    """All continuations of one request, in the order of its `draws`."""

    id: str
    completions: tuple[Completion, ...]


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """Score every segment of `tokens`."""

    id: str
    tokens: Tokens
    group: int = 0


@dataclass(frozen=True, slots=True)
class Scored:
    """log p of each segment given all before it, in nats, aligned with `ScoreRequest.tokens.segments`. `error` says why they could not
    be had: all are NaN then."""

    id: str
    log_p: tuple[float, ...]
    error: str = ""


class Tokenizer(Protocol):
    """Text to ids and back. `encode` adds no special token of its own."""

    @property
    def eos(self) -> int:
        """The id that ends a sequence."""
        ...

    def encode(self, text: str) -> Ids:
        """The ids of the text."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids, special tokens included."""
        ...


@runtime_checkable
class Sampler(Protocol):
    """Writes continuations. `independent`: a draw does not depend on what shares its batch (so a journal may cut a shard)."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Text to ids and back."""
        ...

    @property
    def independent(self) -> bool:
        """See above."""
        ...

    def sample(self, requests: Iterable[SampleRequest], sampling: Sampling, seed: int) -> Iterator[Sampled]:
        """Yield each request's continuations once all of them are done."""
        ...


@runtime_checkable
class Scorer(Protocol):
    """Scores given continuations."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Text to ids and back."""
        ...

    def score(self, requests: Iterable[ScoreRequest]) -> Iterator[Scored]:
        """Yield the log-probabilities of each request's segments."""
        ...


@runtime_checkable
class Metered(Protocol):
    """An engine that counts what it uses."""

    @property
    def usage(self) -> Usage:
        """What it has used since it was opened; also after it was closed."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """Maps texts to vectors."""

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors, float32 [len(texts), dimension]."""
        ...


@dataclass(frozen=True, slots=True)
class FitExample:
    """One weighted training text. Loss: weight times the sum of token nats over its segments; the prefix is never counted."""

    id: str
    tokens: Tokens
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class PairExample:
    """Two continuations of one prompt, of which `chosen` is to become more likely than `rejected`, for direct preference optimization.

    `reference` holds log p(chosen) and log p(rejected) under the model that is the reference, in nats, summed over all segments."""

    id: str
    chosen: Tokens
    rejected: Tokens
    reference: tuple[float, float]
    weight: float = 1.0


@runtime_checkable
class ChatSampler(Sampler, Protocol):
    """A sampler whose model was trained on conversations."""

    def chat_prefix(self, messages: Sequence[Mapping[str, str]]) -> Ids:
        """The ids of a conversation (`role`, `content`) up to where the assistant speaks. Raises `UsageError` without a chat template."""
        ...


@runtime_checkable
class MessageSampler(Protocol):
    """A sampler behind a server that renders conversations itself: `SampleRequest.messages` may go to it as they are."""

    @property
    def takes_messages(self) -> bool:
        """Whether it does."""
        ...


@runtime_checkable
class ChatTokenizer(Tokenizer, Protocol):
    """The tokenizer of a model that was trained on conversations."""

    def chat_prefix(self, messages: Sequence[Mapping[str, str]]) -> Ids:
        """See `ChatSampler.chat_prefix`."""
        ...

    def chat_reply(self, messages: Sequence[Mapping[str, str]], reasoning: str, answer: str) -> str:
        """The assistant's turn as the model would write it after `chat_prefix`, reasoning included, without the end of the turn."""
        ...
