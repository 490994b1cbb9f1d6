"""The scripted engine: canned replies, for tests, dry runs and measuring everything but a model.

A script is `script.json` in a model's folder: `{"replies": [{"contains": "text of the prompt", "text": "reply"}, ...], "default":
"reply"}`. The first entry whose `contains` occurs in the prompt answers; `{id}` and `{draw}` in a reply are filled in. One character is
one token.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from promptcot.engines.protocol import Completion, Ids, Sampled, SampleRequest, Sampling, Scored, ScoreRequest
from promptcot.engines.tally import Tally
from promptcot.errors import UsageError
from promptcot.outcomes import Finish
from promptcot.recipe import EngineSpec
from promptcot.usage import Usage

NATS_PER_TOKEN = 1.0


class CharacterTokenizer:
    """One token per character; end of sequence is 0."""

    eos = 0

    def encode(self, text: str) -> Ids:
        """Code points."""
        return tuple(map(ord, text))

    def decode(self, ids: Sequence[int]) -> str:
        """The characters."""
        return "".join(map(chr, ids))

    def chat_prefix(self, messages: Sequence[Mapping[str, str]]) -> Ids:
        """The messages' texts on lines of their own."""
        return self.encode("\n".join(m["content"] for m in messages))


class ScriptedEngine:
    """Answers from a script. Implements `Sampler`, `Scorer` and `Embedder`; every score is 1 nat a token."""

    independent = True

    def __init__(self, replies: Sequence[tuple[str, str]], default: str) -> None:
        self.tokenizer, self._tally = CharacterTokenizer(), Tally()
        self.replies, self.default = tuple(replies), default

    @classmethod
    def open(cls, folder: Path, spec: EngineSpec) -> ScriptedEngine:
        """Read `script.json` in the model's folder. Raises `UsageError`."""
        path = folder / "script.json"
        try:
            script = json.loads(path.read_text(encoding="utf-8"))
            return cls([(r["contains"], r["text"]) for r in script["replies"]], script["default"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"not a script: {error!r}", where=str(path), remedy='{"replies": [{"contains", "text"}], "default": text}'
            ) from error

    @property
    def usage(self) -> Usage:
        """Every draw reads its prompt."""
        return self._tally.usage

    def __enter__(self) -> ScriptedEngine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None

    def chat_prefix(self, messages: Sequence[Mapping[str, str]]) -> Ids:
        """The messages' texts on lines of their own."""
        return self.tokenizer.chat_prefix(messages)

    def sample(self, requests: Iterable[SampleRequest], sampling: Sampling, seed: int) -> Iterator[Sampled]:
        """Look every reply up; a reply longer than `max_tokens` is cut."""
        for request in requests:
            prompt = self.tokenizer.decode(request.prefix)
            reply = next((text for part, text in self.replies if part in prompt), self.default)
            written = tuple(self._complete(reply, request.id, draw, sampling.max_tokens) for draw in request.draws)
            self._tally.tokens_in += len(request.prefix) * len(written)
            self._tally.tokens_out += sum(completion.tokens for completion in written)
            yield Sampled(request.id, written)

    def _complete(self, reply: str, row: str, draw: int, limit: int) -> Completion:
        text = reply.replace("{id}", row).replace("{draw}", str(draw))
        cut = len(text) > limit
        text = text[:limit]
        tokens = len(text) + (not cut)
        return Completion(draw, self.tokenizer.encode(text), text, -NATS_PER_TOKEN * tokens, tokens, Finish.LENGTH if cut else Finish.STOP)

    def score(self, requests: Iterable[ScoreRequest]) -> Iterator[Scored]:
        """One nat a token."""
        for request in requests:
            self._tally.tokens_in += len(request.tokens)
            yield Scored(request.id, tuple(-NATS_PER_TOKEN * len(segment) for segment in request.tokens.segments))

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors from a hash of the text, float32 [len(texts), 16]."""
        raw = [np.frombuffer(hashlib.sha512(text.encode()).digest(), dtype=np.uint8)[:16].astype(np.float32) - 127.5 for text in texts]
        vectors = np.stack(raw) if raw else np.zeros((0, 16), np.float32)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)
