"""The engine of served models: a `Sampler` and `Scorer` over HTTP.

Draws go out one by one, each with its own seed, so `independent` is True: what was answered can be kept row by row. How far a draw can be
repeated is the server's affair: its arithmetic depends on what shares a batch, so a resumed run is `statistical`, not `exact`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from promptcot.engines.openai.background import Background
from promptcot.engines.openai.breaker import Breaker
from promptcot.engines.openai.client import Client
from promptcot.engines.openai.failures import Secret
from promptcot.engines.openai.servers import Mend, Patience
from promptcot.engines.protocol import Ids, Sampled, SampleRequest, Sampling, Scored, ScoreRequest, Tokenizer
from promptcot.engines.tokenizing import open_tokenizer
from promptcot.errors import MissingHere, UsageError
from promptcot.recipe import EngineSpec
from promptcot.usage import Usage

PATIENCE = Patience()
MOST_IN_FLIGHT = 1024


class OpenAIEngine:
    """The model at `path` (a folder with its tokenizer, or a name that the server knows) behind the servers of `spec.urls`.

    Nothing is sent before the first request. Open it in a `with` block, or `close` it; several threads may use it at once. `mend` is asked
    to bring back servers that went silent (see `Pool`)."""

    independent = True

    def __init__(self, path: Path, spec: EngineSpec, patience: Patience = PATIENCE, *, mend: Mend | None = None) -> None:
        self.path, self.spec, self._patience, self._mend = path, spec, patience, mend
        self._breaker, self._lock = Breaker(), threading.Lock()
        self._client: Client | None = None
        self._background: Background | None = None

    @classmethod
    def open(cls, path: Path, spec: EngineSpec) -> Self:
        """The engine; `path` need not exist."""
        return cls(path, spec)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer in the model's folder. Raises `UsageError` for a model without one."""
        if not self.path.is_dir():
            raise UsageError(
                f"the tokens of the served model `{self.path}` are not known here",
                where="models",
                remedy="put its tokenizer files into a folder, give that as `path`, and the served name as the engine's `model`",
            )
        return open_tokenizer(self.path)

    @property
    def takes_messages(self) -> bool:
        """Whether conversations go to the server as they are."""
        return self.spec.endpoint != "completions"

    @property
    def width(self) -> int:
        """Requests that all servers together may have in flight."""
        return min(MOST_IN_FLIGHT, self.spec.width)

    @property
    def usage(self) -> Usage:
        """What the servers say they have read and written, useless replies included; their accelerators are not known here."""
        return replace(self._client.usage, requests=self._client.pool.requests) if self._client else Usage()

    def chat_prefix(self, messages: Sequence[Mapping[str, str]]) -> Ids:
        """The ids of a conversation by the chat template in the model's folder. Raises `UsageError` without one."""
        render: Any = getattr(self.tokenizer, "chat_prefix", None)
        if render is None:
            raise UsageError("the model has no chat template", where=str(self.path), remedy="`endpoint: auto`, so that the server renders")
        ids: Ids = render(messages)
        return ids

    def sample(self, requests: Iterable[SampleRequest], sampling: Sampling, seed: int) -> Iterator[Sampled]:
        """Yield each request's continuations once all are there, with at most twice `width` draws on the way. A draw that fails for good is
        a completion with `finish` `error`.

        Raises `UsageError` for what the servers call wrong, `MissingHere` without the key, `Incomplete` when the servers are gone and
        `Stopped` when they answer nothing usable."""
        client, background = self._started()
        work = ((len(request.draws), client.sample(self._checked(request), sampling, seed)) for request in requests)
        for sampled in background.stream(work, 2 * self.width):
            for completion in sampled.completions:
                self._breaker.note(sampled.id, completion.error)
            yield sampled

    def _checked(self, request: SampleRequest) -> SampleRequest:
        if request.messages and not self.takes_messages:
            prefix = self.chat_prefix([{"role": m.role, "content": m.content} for m in request.messages])
            return replace(request, prefix=prefix, messages=())
        if not request.messages and self.spec.endpoint == "chat":
            raise UsageError(
                "an engine with `endpoint: chat` continues no text",
                where=f"request {request.id}",
                remedy="`endpoint: auto`, or `chat: true`",
            )
        return request

    def score(self, requests: Iterable[ScoreRequest]) -> Iterator[Scored]:
        """Yield the log-probabilities of each request's segments; those of a request that fails for good are NaN. Raises like `sample`, and
        `MissingHere` for servers that cannot score."""
        client, background = self._started()
        for scored in background.stream(((1, client.score(request)) for request in requests), 2 * self.width):
            self._breaker.note(scored.id, scored.error)
            yield scored

    def listed(self) -> list[str]:
        """The names of the models that the servers list. Raises like `sample`."""
        client, background = self._started()
        return background.run(client.pool.models())

    def require_scorer(self) -> None:
        """Raise `MissingHere` unless the servers score given text; asks them with a few tokens."""
        client, background = self._started()
        background.run(client.scoring())

    def _started(self) -> tuple[Client, Background]:
        with self._lock:
            if self._client is None or self._background is None:
                tokenizer = self.tokenizer if self.path.is_dir() else None
                self._client = Client(self.path, self.spec, self._secret(), self._patience, tokenizer, self._mend)
                self._background = Background(self._client.pool.close)
            return self._client, self._background

    def _secret(self) -> Secret:
        name = self.spec.key_env
        if name is None:
            return Secret(None)
        if not os.environ.get(name):
            raise MissingHere(f"the environment variable {name} holds no API key", where="engines: key_env", remedy=f"export {name}=...")
        return Secret(os.environ[name].strip())

    def close(self) -> None:
        """Give up what is in flight and close the connections; `usage` can still be read."""
        if self._background is not None:
            self._background.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
