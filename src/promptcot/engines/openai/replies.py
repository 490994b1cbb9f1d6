"""What was said: a server's JSON as a `Completion` or as log-probabilities.

Replies are read with suspicion: anything missing, not finite or of another length than it should be raises `Unusable`, so that the
request is sent again; a number that is not known to be the model's own log-probability of just these ids is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from promptcot.engines.openai.failures import Unusable
from promptcot.engines.protocol import Completion, Ids, Tokenizer
from promptcot.outcomes import Finish

FLOOR = -9999.0
"""What servers write for log 0, which JSON lacks."""
FINISHES = {"stop": Finish.STOP, "length": Finish.LENGTH}

Reply = dict[str, Any]


def completion(reply: Reply, draw: int, tokenizer: Tokenizer, log_probs: bool) -> Completion:
    """The continuation in a reply of `/completions`. Without ids from the server, the text's own ids stand in, and log p is NaN; so it is
    without `log_probs`, where those of the server are not the model's own."""
    choice = only_choice(reply)
    finish, nats = finish_of(choice), written_nats(choice) if log_probs else None
    ids = written_ids(choice)
    if ids is None:
        text = _text(choice.get("text"))
        own = tokenizer.encode(text)
        return Completion(draw, own, text, math.nan, tokens_out(reply, len(own)), finish)
    ended = finish is Finish.STOP and ids[-1:] == (tokenizer.eos,)
    count = len(ids)
    if finish is Finish.STOP and (ended or (ids and choice.get("stop_reason") == ids[-1])):
        ids = ids[:-1]
    whole = nats is not None and len(nats) == count and (ended or finish is Finish.LENGTH)
    log_p = math.fsum(nats) if nats is not None and whole else math.nan
    return Completion(draw, ids, tokenizer.decode(ids), log_p, len(ids) + (finish is Finish.STOP), finish)


def chat(reply: Reply, draw: int, tokenizer: Tokenizer | None) -> Completion:
    """The answer in a reply of `/chat/completions`, what the model thought before apart. Its log p is NaN: a draw among thoughts that are
    not shown has none that could be told."""
    choice = only_choice(reply)
    message = choice.get("message")
    if not isinstance(message, dict):
        raise Unusable("a choice without a message")
    text = _text(message.get("content"))
    thought = _text(message.get("reasoning_content") or message.get("reasoning"))
    ids = tokenizer.encode(text) if tokenizer else ()
    return Completion(draw, ids, text, math.nan, tokens_out(reply, len(ids)), finish_of(choice), reasoning=thought)


def only_choice(reply: Reply) -> dict[str, Any]:
    """The one choice of a reply."""
    choices = _choices(reply)
    if not choices:
        raise Unusable("a reply without choices")
    return choices[0]


def finish_of(choice: Reply) -> Finish:
    """How a choice ended; what neither the model nor the limit ended (a filter, a crash) is no answer."""
    reason = choice.get("finish_reason")
    if reason not in FINISHES:
        raise Unusable(f"finish_reason {reason!r}")
    return FINISHES[reason]


def written_ids(choice: Reply) -> Ids | None:
    """The ids of the continuation, as vLLM (two ways) or llama.cpp tell them; None where a server keeps them to itself."""
    if isinstance(ids := choice.get("token_ids"), list) and all(type(i) is int for i in ids):
        return tuple(ids)
    log_probs = _map(choice.get("logprobs"))
    names = log_probs.get("tokens")
    if isinstance(names, list) and all(str(name).startswith("token_id:") for name in names) and names:
        return tuple(int(str(name).removeprefix("token_id:")) for name in names)
    content = log_probs.get("content")
    if isinstance(content, list) and content and all(isinstance(entry, dict) and type(entry.get("id")) is int for entry in content):
        return tuple(entry["id"] for entry in content)
    return None


def written_nats(choice: Reply) -> list[float] | None:
    """The log-probabilities of the continuation's tokens; None where there are none. Raises `Unusable` for one that is no number."""
    log_probs = _map(choice.get("logprobs"))
    if isinstance(values := log_probs.get("token_logprobs"), list):
        return [nats_of(value) for value in values]
    if isinstance(content := log_probs.get("content"), list):
        return [nats_of(entry.get("logprob") if isinstance(entry, dict) else None) for entry in content]
    return None


def nats_of(value: Any) -> float:
    """A log-probability: a number that is not NaN and not positive (beyond rounding)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value) or value > 1e-3:
        raise Unusable(f"a log-probability of {value!r}")
    return -math.inf if value <= FLOOR else float(value)


def prompt_nats(reply: Reply, ids: Sequence[int]) -> list[float]:
    """log p of every id but the first given those before it, from `prompt_logprobs`."""
    entries = only_choice(reply).get("prompt_logprobs")
    if not isinstance(entries, list) or len(entries) != len(ids):
        raise Unusable("a reply without prompt_logprobs for each token")
    return [_of_id(entry, token) for entry, token in zip(entries[1:], ids[1:], strict=True)]


def _of_id(entry: Any, token: int) -> float:
    found = entry.get(str(token)) if isinstance(entry, dict) else None
    return nats_of(found.get("logprob") if isinstance(found, dict) else None)


def echoed_nats(reply: Reply, ids: Sequence[int]) -> list[float]:
    """The same from an echo, whose last entry is of the token that was written after the text."""
    log_probs = _map(only_choice(reply).get("logprobs"))
    values = log_probs.get("token_logprobs")
    if not isinstance(values, list) or not len(ids) <= len(values) <= len(ids) + 1:
        raise Unusable("a reply that does not echo each token")
    return [nats_of(value) for value in values[1 : len(ids)]]


def tokens_in(reply: Reply, own: int) -> int:
    """The prompt's tokens as the server counts them, else our own count."""
    return _count(reply, "prompt_tokens", own)


def tokens_out(reply: Reply, own: int | None = None) -> int:
    """The same of what was written; our own count is that of the ids that the server tells."""
    return _count(reply, "completion_tokens", own if own is not None else sum(len(written_ids(c) or ()) for c in _choices(reply)))


def _choices(reply: Reply) -> list[Reply]:
    choices = reply.get("choices")
    return [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []


def _count(reply: Reply, name: str, own: int) -> int:
    usage = reply.get("usage")
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if type(value) is int else own


def _map(value: Any) -> Reply:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise Unusable(f"a text of type {type(value).__name__}")
    return value or ""
