"""What a server can do, found out by asking: a few requests of a handful of tokens each, before any row is sent."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from promptcot.engines.openai import bodies, replies
from promptcot.engines.openai.bodies import CHAT_DIALECTS, DIALECTS, ChatDialect, Dialect
from promptcot.engines.openai.failures import Rejected, Unusable
from promptcot.engines.openai.replies import Reply
from promptcot.engines.protocol import Ids, Message, Sampling, Tokenizer
from promptcot.engines.tokenizing import FEW_WORDS, few_ids
from promptcot.errors import MissingHere
from promptcot.recipe import EngineSpec

COMPLETIONS, CHAT = "/completions", "/chat/completions"
SAME_NATS = 0.02
NOT_UNDERSTOOD = (400, 415, 422, 501)

T = TypeVar("T")
Ask = Callable[[str, dict[str, Any], Callable[[Reply], Reply]], Coroutine[Any, Any, Reply]]


@dataclass(frozen=True, slots=True)
class Scoring:
    """A way to score given text: the body that asks, and the log-probabilities of all ids but the first in the reply."""

    body: Callable[[str, Sequence[int]], dict[str, Any]]
    read: Callable[[Reply, Sequence[int]], list[float]]


SCORINGS = {
    "prompt_logprobs": Scoring(bodies.prompt_scores, replies.prompt_nats),
    "echo": Scoring(bodies.echo_scores, replies.echoed_nats),
}


def whole(reply: Reply) -> Reply:
    """A reply that holds a choice."""
    replies.only_choice(reply)
    return reply


async def dialect(ask: Ask, model: str, tokenizer: Tokenizer | None) -> Dialect:
    """The richest dialect that a server understands, prompts as ids first. Raises `Rejected` when it takes none."""
    refusal: Rejected | None = None
    ids = few_ids(tokenizer) if tokenizer else ()
    for candidate in DIALECTS:
        if candidate.ids and tokenizer is None:
            continue
        prompt = ids if candidate.ids else tokenizer.decode(ids) if tokenizer else FEW_WORDS
        try:
            reply = await ask(COMPLETIONS, bodies.completion(model, prompt, Sampling(max_tokens=1), 1, candidate), whole)
        except Rejected as error:
            if error.status not in NOT_UNDERSTOOD:
                raise
            refusal = error
            continue
        if not candidate.ids or understood(reply, ids):
            return candidate
    assert refusal is not None
    raise refusal


def understood(reply: Reply, ids: Ids) -> bool:
    """Whether a server read ids as ids: it repeats them, or counts as many."""
    choice = replies.only_choice(reply)
    repeated = choice.get("prompt_token_ids") or reply.get("prompt_token_ids")
    return list(ids) == repeated if isinstance(repeated, list) else replies.tokens_in(reply, -1) == len(ids)


async def chat_dialect(ask: Ask, model: str) -> ChatDialect:
    """The richest dialect that a chat server understands. Raises `Rejected` when it takes none."""
    refusal: Rejected | None = None
    for candidate in CHAT_DIALECTS:
        try:
            await ask(CHAT, bodies.chat(model, [Message("user", FEW_WORDS)], Sampling(max_tokens=16), 1, candidate), whole)
        except Rejected as error:
            if error.status not in NOT_UNDERSTOOD:
                raise
            refusal = refusal or error
        else:
            return candidate
    assert refusal is not None
    raise refusal


async def scoring(ask: Ask, model: str, takes: Dialect, tokenizer: Tokenizer, spec: EngineSpec) -> Scoring:
    """How a server scores given ids. Raises `MissingHere` when it cannot: a reply without scores may be an accident, one after so many
    retries is none."""
    wanted = spec.scoring
    ids = (*few_ids(tokenizer), tokenizer.eos)
    if takes.ids:
        for name, way in SCORINGS.items():
            if wanted in ("auto", name) and await _scores(ask, way, model, ids, 1 + spec.retries):
                return way
    reason = "it offers neither `prompt_logprobs` nor `echo` with `logprobs`" if takes.ids else "it does not take prompts as token ids"
    raise MissingHere(
        f"the server cannot score given text: {reason}" if wanted != "none" else "the engine has `scoring: none`",
        where=", ".join(spec.urls),
        remedy="serve the model with vLLM, or run it by an engine of kind `vllm` or `transformers`",
    )


async def _scores(ask: Ask, way: Scoring, model: str, ids: Ids, times: int) -> bool:
    for _ in range(times):
        try:
            way.read(await ask(COMPLETIONS, way.body(model, ids), whole), ids)
        except Unusable:
            continue
        except Rejected as error:
            if error.status not in NOT_UNDERSTOOD:
                raise
            return False
        return True
    return False


async def tempered(ask: Ask, model: str, takes: Dialect, tokenizer: Tokenizer) -> bool:
    """Whether the log-probabilities of draws are those of the tempered distribution (SGLang) and not the model's own (vLLM, llama.cpp):
    then the likeliest token's changes with the temperature. A server that does not say is not trusted."""
    ids = few_ids(tokenizer)
    best = []
    for temperature in (1.0, 0.5):
        body = bodies.completion(model, ids if takes.ids else tokenizer.decode(ids), Sampling(temperature, max_tokens=1), 1, takes)
        best.append(_best(await ask(COMPLETIONS, body, whole)))
    return not abs(best[0] - best[1]) < SAME_NATS


def _best(reply: Reply) -> float:
    """The largest log-probability that a reply tells of its first token; NaN if none."""
    log_probs = replies.only_choice(reply).get("logprobs") or {}
    first = (log_probs.get("top_logprobs") or log_probs.get("content") or [None])[0] or {}
    entries = first.get("top_logprobs")
    values = [entry.get("logprob") for entry in entries] if isinstance(entries, list) else list(first.values())
    return max((float(v) for v in values if isinstance(v, int | float)), default=math.nan)
