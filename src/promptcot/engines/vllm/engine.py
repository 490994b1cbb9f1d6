"""The engine of kind `vllm`: the client of served models, on a server that the fleet starts when the first request comes."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from promptcot.engines.openai.engine import OpenAIEngine
from promptcot.engines.protocol import Ids, Sampled, SampleRequest, Sampling, Scored, ScoreRequest, Tokenizer
from promptcot.engines.tally import Tally
from promptcot.engines.vllm import environment
from promptcot.engines.vllm.fleet import FLEET, Fleet
from promptcot.engines.vllm.server import Server
from promptcot.recipe import EngineSpec
from promptcot.usage import Usage


class VllmEngine:
    """A `Sampler` and `Scorer` over the weights in a folder. Opening it costs nothing: the server comes with the first request, and stays
    for the next engine on the same weights. One that dies is started again, and what it was working on is asked for again.

    Open it in a `with` block, or `close` it; several threads may use it at once."""

    independent = True

    def __init__(self, path: Path, spec: EngineSpec, fleet: Fleet = FLEET) -> None:
        self.path, self.spec, self._fleet = path, spec, fleet
        self._client = OpenAIEngine(path, spec)  # until there is a server, for all that needs none
        self._server: Server | None = None
        self._held = Tally()
        self._given_up, self._lock = threading.Event(), threading.Lock()

    @classmethod
    def open(cls, path: Path, spec: EngineSpec) -> Self:
        """The engine over the folder `path`."""
        return cls(path, spec)

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer in the folder."""
        return self._client.tokenizer

    @property
    def takes_messages(self) -> bool:
        """Whether conversations go to the server as they are."""
        return self._client.takes_messages

    @property
    def width(self) -> int:
        """Requests that the server may have in flight."""
        return self._client.width

    @property
    def usage(self) -> Usage:
        """What has been used so far; accelerators from the server's start, or this engine's, to `close`."""
        return self._client.usage + self._held.usage

    def chat_prefix(self, messages: Sequence[Mapping[str, str]]) -> Ids:
        """See `OpenAIEngine.chat_prefix`."""
        return self._client.chat_prefix(messages)

    def sample(self, requests: Iterable[SampleRequest], sampling: Sampling, seed: int) -> Iterator[Sampled]:
        """See `OpenAIEngine.sample`. Raises `MissingHere` when the server does not come up, `Incomplete` when it dies too often."""
        yield from self._served().sample(requests, sampling, seed)

    def score(self, requests: Iterable[ScoreRequest]) -> Iterator[Scored]:
        """See `OpenAIEngine.score`. Raises like `sample`."""
        yield from self._served().score(requests)

    def require_scorer(self) -> None:
        """Do nothing: vLLM scores."""

    def _served(self) -> OpenAIEngine:
        with self._lock:
            if self._server is None:
                self._held = Tally(0 if environment.find(self.spec.python).on_cpu else self.spec.gpus)
                server = self._server = self._fleet.take(self.path, self.spec, self._given_up)
                there = self.spec.model_copy(update={"kind": "openai", "urls": [server.url], "model": server.name})
                self._client = OpenAIEngine(self.path, there, mend=lambda: server.ensure(self._given_up))
            return self._client

    def close(self) -> None:
        """Give up what is in flight and leave the server to the next user."""
        self._given_up.set()
        with self._lock:
            self._client.close()
            if self._server is not None:
                self._fleet.put_back(self._server)
                self._server = None
            self._held.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
