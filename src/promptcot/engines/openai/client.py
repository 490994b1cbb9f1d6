"""The side of the engine that lives on the event loop: single draws and scores, each asked for until it is good."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from promptcot.engines.openai import bodies, probing, replies
from promptcot.engines.openai.failures import Passing, Secret
from promptcot.engines.openai.probing import CHAT, COMPLETIONS
from promptcot.engines.openai.replies import Reply
from promptcot.engines.openai.servers import REPEAT, Mend, Patience, Pool
from promptcot.engines.protocol import Completion, Message, Sampled, SampleRequest, Sampling, Scored, ScoreRequest, Tokenizer
from promptcot.errors import Incomplete, UsageError
from promptcot.outcomes import Finish
from promptcot.recipe import EngineSpec
from promptcot.usage import Usage

T = TypeVar("T")
MILLION = 1_000_000


class Once(Generic[T]):
    """The result of a coroutine that runs at the first call only."""

    def __init__(self, find: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._find = find
        self._task: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """The result, found now or before."""
        self._task = self._task or asyncio.create_task(self._find())
        return await asyncio.shield(self._task)


class Client:
    """Asks the servers of one model. `tokenizer` is None where the model has no folder here."""

    def __init__(
        self, path: Path, spec: EngineSpec, secret: Secret, patience: Patience, tokenizer: Tokenizer | None, mend: Mend | None = None
    ) -> None:
        self.path, self.spec, self.tokenizer = path, spec, tokenizer
        self.pool = Pool(spec, secret, patience, mend)
        self.usage = Usage()
        self.model = Once(self._model)
        self.dialect = Once(self._dialect)
        self.chat_dialect = Once(self._chat_dialect)
        self.scoring = Once(self._scoring)
        self.tempered = Once(self._tempered)

    async def sample(self, request: SampleRequest, sampling: Sampling, seed: int) -> Sampled:
        """All draws of a request, each a request of its own, so that a draw is the same whatever others are asked for beside it."""
        return Sampled(request.id, tuple(await asyncio.gather(*(self._draw(request, draw, sampling, seed) for draw in request.draws))))

    async def _draw(self, request: SampleRequest, draw: int, sampling: Sampling, seed: int) -> Completion:
        ask = self._say if request.messages else self._continue
        try:
            return await ask(request, draw, sampling, bodies.draw_seed(seed, request.id, draw))
        except Passing as error:
            return Completion(draw, (), "", math.nan, 0, Finish.ERROR, error=f"draw {draw}: {error}")

    async def _continue(self, request: SampleRequest, draw: int, sampling: Sampling, seed: int) -> Completion:
        assert self.tokenizer is not None
        takes = await self.dialect()
        prompt: bodies.Prompt = request.prefix if takes.ids else self.tokenizer.decode(request.prefix)
        body = bodies.completion(await self.model(), prompt, sampling, seed, takes)
        known = takes.log_probs and (sampling.exact or not await self.tempered())
        read = partial(replies.completion, draw=draw, tokenizer=self.tokenizer, log_probs=known)
        return await self._ask(COMPLETIONS, body, read, len(request.prefix))

    async def _say(self, request: SampleRequest, draw: int, sampling: Sampling, seed: int) -> Completion:
        body = bodies.chat(await self.model(), request.messages, sampling, seed, await self.chat_dialect())
        return await self._ask(CHAT, body, partial(replies.chat, draw=draw, tokenizer=self.tokenizer), self._count(request.messages))

    def _count(self, messages: Sequence[Message]) -> int:
        return sum(len(self.tokenizer.encode(m.content)) for m in messages) if self.tokenizer else 0

    async def score(self, request: ScoreRequest) -> Scored:
        """log p of each segment. What fails for good has NaN and says why."""
        if not request.tokens.prefix:
            raise UsageError("a request needs a prefix of at least one token", where=f"request {request.id}")
        ids = (*request.tokens.prefix, *(token for segment in request.tokens.segments for token in segment))
        way = await self.scoring()
        body = way.body(await self.model(), ids)
        try:
            nats = await self._ask(COMPLETIONS, body, lambda reply: way.read(reply, ids), len(ids))
        except Passing as error:
            return Scored(request.id, (math.nan,) * len(request.tokens.segments), str(error))
        return Scored(request.id, _segment_sums(nats, request))

    async def _ask(self, path: str, body: dict[str, Any], read: Callable[[Reply], T], own: int = 0) -> T:
        """`Pool.ask`, with every reply counted, the useless ones too: they are paid for."""

        def counted(reply: Reply) -> T:
            read_, written = replies.tokens_in(reply, own), replies.tokens_out(reply)
            usd = (read_ * self.spec.usd_per_million_in + written * self.spec.usd_per_million_out) / MILLION
            self.usage += Usage(read_, written, usd=usd)
            return read(reply)

        return await self.pool.ask(path, body, counted)

    async def _probe(self, path: str, body: dict[str, Any], read: Callable[[Reply], Reply]) -> Reply:
        try:
            return await self._ask(path, body, read, len(body["prompt"]) if isinstance(body.get("prompt"), list) else 0)
        except Passing as error:
            raise Incomplete(f"a first small request gets no usable answer: {error}", remedy=REPEAT) from None

    async def _model(self) -> str:
        if self.spec.model is not None:
            return self.spec.model.replace("{path}", str(self.path.resolve()))
        return (await self.pool.models())[0] if self.path.is_dir() else str(self.path)

    async def _dialect(self) -> bodies.Dialect:
        return await probing.dialect(self._probe, await self.model(), self.tokenizer)

    async def _chat_dialect(self) -> bodies.ChatDialect:
        return await probing.chat_dialect(self._probe, await self.model())

    async def _scoring(self) -> probing.Scoring:
        assert self.tokenizer is not None
        return await probing.scoring(self._probe, await self.model(), await self.dialect(), self.tokenizer, self.spec)

    async def _tempered(self) -> bool:
        assert self.tokenizer is not None
        return await probing.tempered(self._probe, await self.model(), await self.dialect(), self.tokenizer)


def _segment_sums(nats: Sequence[float], request: ScoreRequest) -> tuple[float, ...]:
    """Sums by segment; `nats` begins with the second token of the whole."""
    at, sums = len(request.tokens.prefix) - 1, list[float]()
    for segment in request.tokens.segments:
        sums.append(math.fsum(nats[at : at + len(segment)]))
        at += len(segment)
    return tuple(sums)
