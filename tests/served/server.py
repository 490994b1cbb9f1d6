"""A server that speaks the OpenAI API over real sockets, faithful down to what vLLM, llama.cpp and hosted services do differently, with
faults to order."""

import json
import math
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from tests.served.laws import Law, ScriptedLaw, law_of

EXTRAS = frozenset(
    {
        *("top_k", "min_p", "repetition_penalty", "return_token_ids", "return_tokens_as_token_ids"),
        *("skip_special_tokens", "add_special_tokens", "prompt_logprobs"),
    }
)
"""What only self-hosted servers know."""
FAULTS = ("429", "429_after", "500", "502", "503_after", "reset", "empty", "truncated", "not_json", "nan", "null", "error", "slow", "hang")

Plan = Callable[[int, Mapping[str, Any]], str | None]


@dataclass(frozen=True)
class Habits:
    """What a server does its own way."""

    ids: Literal["yes", "refused", "misread"] = "yes"
    scoring: Literal["prompt_logprobs", "echo", "none"] = "prompt_logprobs"
    tells_ids: Literal["token_ids", "names", "content", "no"] = "token_ids"
    strict: bool = False
    """Refuses `EXTRAS`, as hosted services do."""
    tempered: bool = False
    """Its log-probabilities are those of the tempered distribution."""
    key: str | None = None
    thinks: bool = False
    chat_limit: str = "max_tokens"
    usage: bool = True
    room: int | None = None
    """429 beyond so many requests at once."""


@dataclass
class Entry:
    """One POST: its path, body, the fault it met, whether it was answered well, and the tokens (read, written) that its reply billed."""

    path: str
    body: dict[str, Any]
    fault: str | None
    answered: bool = False
    billed: tuple[int, int] = (0, 0)
    at: float = field(default_factory=time.monotonic)

    @property
    def key(self) -> str:
        """What tells one draw or score from another."""
        return json.dumps([self.path, self.body.get("prompt") or self.body.get("messages"), self.body.get("seed")])


@dataclass
class Served:
    """A running server of the models in `folders` by name; any other name is taken as a folder when `by_path`."""

    folders: Mapping[str, Path]
    habits: Habits = Habits()
    plan: Plan = lambda number, body: None
    by_path: bool = False
    port: int = 0
    log: list[Entry] = field(default_factory=list)
    most: int = 0
    """The most requests that were in work at once."""

    def __post_init__(self) -> None:
        self.laws: dict[str, Law] = {}
        self.connections: set[socket.socket] = set()
        self.lock, self.stopping = threading.Lock(), threading.Event()
        self.in_work = 0
        served = self

        class Bound(_Handler):
            owner = served

        self.http = _Server(("127.0.0.1", self.port), Bound)
        self.port = self.http.server_address[1]
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def law(self, name: str) -> Law | None:
        with self.lock:
            if name not in self.laws:
                folder = self.folders.get(name) or (Path(name) if self.by_path else None)
                if folder is None or not folder.is_dir():
                    return None
                self.laws[name] = law_of(folder)
            return self.laws[name]

    def entries(self, *, answered: bool | None = None) -> list[Entry]:
        with self.lock:
            return [e for e in self.log if answered is None or e.answered == answered]

    def answers(self) -> Counter[str]:
        """How often each draw or score was answered well."""
        return Counter(e.key for e in self.entries(answered=True))

    def billed(self) -> tuple[int, int]:
        """Tokens (read, written) of all replies that came whole."""
        bills = [e.billed for e in self.entries()]
        return sum(read for read, _ in bills), sum(written for _, written in bills)

    def stop(self) -> None:
        """Die like a process: nobody listens, and open connections break."""
        self.stopping.set()
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


def mix(seed: int, share: float, faults: Sequence[str]) -> Plan:
    """Each request meets one of `faults` with probability `share`."""
    stream = random.Random(seed)
    return lambda number, body: stream.choice(faults) if stream.random() < share else None


def at(faults: Mapping[int, str]) -> Plan:
    """The request of a number (from 0) meets a fault."""
    return lambda number, body: faults.get(number)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    owner: Served

    def setup(self) -> None:
        super().setup()
        self.owner.connections.add(self.connection)

    def finish(self) -> None:
        self.owner.connections.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._send(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in self.owner.folders]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        owner = self.owner
        with owner.lock:
            fault = owner.plan(len(owner.log), body)
            entry = Entry(self.path, body, fault)
            owner.log.append(entry)
            owner.in_work += 1
            owner.most = max(owner.most, owner.in_work)
            crowded = owner.habits.room is not None and owner.in_work > owner.habits.room
        try:
            self._answer(entry, "429" if crowded else fault)
        finally:
            with owner.lock:
                owner.in_work -= 1

    def _answer(self, entry: Entry, fault: str | None) -> None:
        if fault in ("429", "429_after"):
            return self._send(429, {"error": {"message": "too many requests"}}, {"Retry-After": "0.1"} if fault == "429_after" else {})
        if fault == "503_after":
            return self._send(503, {"error": {"message": "loading"}}, {"Retry-After": "0.02"})
        if fault in ("500", "502"):
            return self._send(int(fault), {"error": {"message": "internal"}})
        if fault == "reset":
            return self._reset()
        if fault == "hang":
            self.owner.stopping.wait(60)
            return self._reset()
        if fault == "slow":
            time.sleep(0.05)
        status, reply = self._reply(entry.path, entry.body)
        if status != 200:
            return self._send(status, reply)
        if fault == "not_json":
            return self._raw(200, b"<html>gateway</html>")
        if fault == "error":
            return self._send(200, {"error": {"message": "upstream"}})
        if fault == "empty":
            reply["choices"] = []
        if fault in ("nan", "null") and not _spoil(reply, math.nan if fault == "nan" else None):
            return self._send(500, {"error": {"message": "no log-probability to spoil"}})
        raw = json.dumps(reply).encode()
        if fault == "truncated":
            return self._raw(200, raw[: len(raw) // 2], length=len(raw))
        entry.answered = fault in (None, "slow")
        entry.billed = (reply["usage"]["prompt_tokens"], reply["usage"]["completion_tokens"]) if "usage" in reply else (0, 0)
        return self._raw(200, raw)

    def _send(self, status: int, reply: dict[str, Any], headers: Mapping[str, str] | None = None) -> None:
        self._raw(status, json.dumps(reply).encode(), headers)

    def _raw(self, status: int, raw: bytes, headers: Mapping[str, str] | None = None, length: int | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw) if length is None else length))
        self.end_headers()
        self.wfile.write(raw)
        self.wfile.flush()
        self.close_connection = self.close_connection or length is not None

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _reply(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        habits = self.owner.habits
        given = self.headers.get("Authorization", "")
        if habits.key is not None and given != f"Bearer {habits.key}":
            return 401, {"error": {"message": f"Incorrect API key provided: {given.removeprefix('Bearer ')}"}}
        law = self.owner.law(str(body["model"]))
        if law is None:
            return 404, {"error": {"message": f"The model `{body['model']}` does not exist."}}
        if habits.strict and (unknown := EXTRAS & body.keys()):
            return 400, {"error": {"message": f"Unrecognized request arguments: {sorted(unknown)}"}}
        if path == "/v1/chat/completions":
            return self._chat(law, body)
        prompt = body["prompt"]
        if isinstance(prompt, list) and habits.ids == "refused":
            return 400, {"error": {"message": "prompt must be a string"}}
        if isinstance(prompt, list) and habits.ids == "misread":
            prompt = " ".join(map(str, prompt))
        ids = tuple(prompt) if isinstance(prompt, list) else _encode(law, prompt)
        return 200, _completion(law, ids, body, habits)

    def _chat(self, law: Law, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        habits = self.owner.habits
        if habits.chat_limit not in body:
            return 400, {"error": {"message": f"Unsupported parameter: use '{habits.chat_limit}' instead."}}
        assert isinstance(law, ScriptedLaw)
        prompt = "\n".join(m["content"] for m in body["messages"])
        text = law.reply(prompt, int(body.get("seed", 0)))
        limit = int(body[habits.chat_limit])
        message = {"role": "assistant", "content": text[:limit]}
        if habits.thinks:
            message["reasoning_content"] = "Let me think."
        choice = {"index": 0, "message": message, "finish_reason": "length" if len(text) > limit else "stop"}
        usage = {"prompt_tokens": len(prompt), "completion_tokens": min(limit, len(text))}
        return 200, {"choices": [choice], **({"usage": usage} if habits.usage else {})}


def _encode(law: Law, text: str) -> tuple[int, ...]:
    try:
        return law.tokenizer.encode(text)
    except ValueError:
        return (1,) * 50


def _completion(law: Law, prompt: tuple[int, ...], body: Mapping[str, Any], habits: Habits) -> dict[str, Any]:
    stream = np.random.default_rng([int(body.get("seed") or 0), *prompt])
    temperature, top_p = float(body.get("temperature", 1.0)), float(body.get("top_p", 1.0))
    written, nats, best = list[int](), list[float](), list[float]()
    finish = "length"
    for _ in range(int(body["max_tokens"])):
        ids, probabilities = law.after(prompt, tuple(written), int(body.get("seed") or 0))
        tempered = _tempered(probabilities, temperature, top_p)
        place = min(int(np.searchsorted(np.cumsum(tempered), stream.random(), side="right")), len(tempered) - 1)
        told = tempered if habits.tempered else probabilities
        written.append(ids[place])
        with np.errstate(divide="ignore"):
            nats.append(float(np.log(told[place])))
            best.append(float(np.log(told.max())))
        if ids[place] == law.tokenizer.eos:
            finish = "stop"
            break
    choice = _choice(law, written, nats, best, finish, body, habits)
    if habits.scoring == "prompt_logprobs" and body.get("prompt_logprobs") is not None:
        scores = law.nats(prompt)
        choice["prompt_logprobs"] = [None] + [{str(i): {"logprob": _json(v), "rank": 1}} for i, v in zip(prompt[1:], scores, strict=True)]
    if habits.scoring == "echo" and body.get("echo"):
        choice["logprobs"] = {"token_logprobs": [None, *map(_json, law.nats(prompt)), *nats], "tokens": ["?"] * (len(prompt) + len(nats))}
    reply: dict[str, Any] = {"object": "text_completion", "choices": [choice]}
    if habits.usage:
        reply["usage"] = {"prompt_tokens": len(prompt), "completion_tokens": len(written)}
    if habits.tells_ids == "token_ids" and body.get("return_token_ids"):
        choice["prompt_token_ids"] = list(prompt)
    return reply


def _choice(
    law: Law, written: list[int], nats: list[float], best: list[float], finish: str, body: Mapping[str, Any], habits: Habits
) -> dict[str, Any]:
    shown = written[:-1] if finish == "stop" else written
    choice: dict[str, Any] = {"index": 0, "text": law.tokenizer.decode(shown), "finish_reason": finish}
    if habits.tells_ids == "token_ids" and body.get("return_token_ids"):
        choice["token_ids"] = written
    if body.get("logprobs") and habits.tells_ids == "content":
        content = zip(written, nats, best, strict=True)
        choice["logprobs"] = {"content": [{"id": i, "logprob": _json(v), "top_logprobs": [{"logprob": _json(b)}]} for i, v, b in content]}
    elif body.get("logprobs"):
        named = habits.tells_ids in ("names", "token_ids") and body.get("return_tokens_as_token_ids")
        tokens = [f"token_id:{i}" if named else law.tokenizer.decode([i]) for i in written]
        choice["logprobs"] = {"tokens": tokens, "token_logprobs": list(map(_json, nats)), "top_logprobs": [{"?": _json(b)} for b in best]}
    return choice


def _tempered(law: np.ndarray, temperature: float, top_p: float) -> np.ndarray:
    if temperature == 0:
        return np.asarray(np.eye(len(law))[int(law.argmax())])
    weights = law ** (1 / temperature)
    weights = weights / weights.sum()
    order = np.argsort(-weights, kind="stable")
    before = np.cumsum(weights[order]) - weights[order]
    weights[order[before >= top_p]] = 0.0
    return np.asarray(weights / weights.sum())


def _json(nats: float) -> float:
    return max(nats, -9999.0)


def _spoil(reply: dict[str, Any], value: float | None) -> bool:
    """Put `value` in place of the last log-probability of a reply."""
    choice = reply["choices"][0]
    if choice.get("prompt_logprobs"):
        for entry in choice["prompt_logprobs"][-1].values():
            entry["logprob"] = value
        return True
    log_probs = choice.get("logprobs") or {}
    if log_probs.get("token_logprobs"):
        places = log_probs["token_logprobs"]
        places[1 if places[0] is None else -1] = value
        return True
    if log_probs.get("content"):
        log_probs["content"][-1]["logprob"] = value
        return True
    return False
