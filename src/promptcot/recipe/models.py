"""Models and the engines that run them."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from promptcot.recipe.section import Strict

_URL = re.compile(r"https?://[^\s/?#@]+(/[^\s?#@]*)?")


class ModelSpec(Strict):
    """A model: exactly one of `path`, `role`."""

    path: str | None = None
    """A folder, a Hugging Face hub id, or an alias that `promptcot models` lists."""
    role: str | None = None
    """Take the model of another role."""
    revision: str | None = None
    """A hub revision; pin it for a result that can be repeated."""
    license: str = ""
    """Travels with every row the model writes."""
    engine: str = "default"
    """Which entry of `engines` runs it."""
    template: Literal["tagged", "plain"] = "tagged"
    """The words around c, z and x."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_origin(self) -> ModelSpec:
        if (self.path is None) == (self.role is None):
            raise ValueError("give exactly one of `path` and `role`")
        return self


class EngineSpec(Strict):
    """How a model is run."""

    kind: Literal["transformers", "tabular", "scripted", "openai", "vllm"] = "transformers"
    """Which engine: a language model in the hub's format, exact tables (`tabular.json`), canned replies (`script.json`), or a model behind
    the OpenAI API: `openai` at `urls`, `vllm` on servers that are started for it."""
    dtype: Literal["auto", "bf16", "fp32"] = "auto"
    """Number format of weights and activations; `auto` is bf16 on every device that computes in it."""
    device: str = "auto"
    """A torch device; `auto` takes an accelerator when there is one."""
    batch_tokens: int = Field(4096, gt=0)
    """Tokens in flight per forward pass when scoring, padding included."""
    batch_rows: int = Field(64, gt=0)
    """Sequences sampled side by side."""
    shard_rows: int | None = Field(None, gt=0)
    """Completions of `synthesize` that are committed together, and so what a kill can cost; batches form inside a shard. Default: 64 for
    `transformers`, a minute or two of a laptop and too few for a fast accelerator, and 2048 for the engines that cost nothing."""

    urls: list[str] = []
    """`openai`: where the servers of the model listen, up to and with `/v1`. Several are a pool: work goes to the least loaded."""
    model: str | None = None
    """`openai`: the served name. Default: the model's `path` where that is no folder, else the first name that the server lists. `{path}`
    stands for the folder of the weights, for a server that loads models by path: only such a one can take part in what is fitted here."""
    key_env: str | None = Field(None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """`openai`: the environment variable that holds the API key. The key itself has no place in a recipe."""
    concurrency: int = Field(64, gt=0)
    """`openai`, `vllm`: requests in flight at each server, at most. The number in use halves when a server refuses or does not answer in
    time, and grows again while it answers."""
    requests_per_minute: float | None = Field(None, gt=0)
    """`openai`: how often the service may be asked, all `urls` together."""
    timeout_s: float = Field(600.0, gt=0)
    """`openai`, `vllm`: seconds until an unanswered request counts as failed."""
    retries: int = Field(6, ge=0)
    """`openai`, `vllm`: how often a request that failed for a passing reason is sent again, after ever longer waits."""
    endpoint: Literal["auto", "completions", "chat"] = "auto"
    """`openai`: `auto` sends conversations to `/chat/completions`, all else to `/completions`; `completions` renders conversations here,
    with the chat template of the model's folder; `chat` refuses what is no conversation."""
    scoring: Literal["auto", "prompt_logprobs", "echo", "none"] = "auto"
    """`openai`: how given text is scored: by `prompt_logprobs` (vLLM), by `echo` with `logprobs`, or not at all; `auto` tries both."""
    usd_per_million_in: float = Field(0.0, ge=0)
    """`openai`: price of a million prompt tokens in US dollars, so that a run can count its cost."""
    usd_per_million_out: float = Field(0.0, ge=0)
    """`openai`: price of a million completion tokens."""
    python: str | None = None
    """`vllm`: the interpreter of the environment that vLLM is installed in. Default: `PROMPTCOT_VLLM_PYTHON`, else the one that `make vllm`
    builds."""
    gpus: int = Field(1, gt=0)
    """`vllm`: accelerators that a server uses; without one it runs on the CPU."""
    tensor_parallel: int = Field(1, gt=0)
    """`vllm`: accelerators that share one copy of the weights, for a model that does not fit one; `gpus` over this is how many copies work
    side by side (data parallel)."""
    max_len: int | None = Field(None, gt=1)
    """`vllm`: the most tokens a sequence may have, prefix and continuation together. Default: the model's own context."""
    gpu_memory: float | None = Field(None, gt=0, le=1)
    """`vllm`: share of the accelerator's memory that a server takes, of main memory on a CPU. Default: vLLM's own; on a CPU, the weights
    and 4 GiB. Servers whose shares add up to at most 1 stay side by side; without it there is one at a time."""
    start_timeout_s: float = Field(900.0, gt=0)
    """`vllm`: seconds that a server may take until it answers."""
    extra_args: list[str] = []
    """`vllm`: further arguments of the server, as on its command line."""

    @field_validator("urls")
    @classmethod
    def _plain_urls(cls, urls: list[str]) -> list[str]:
        if not all(_URL.fullmatch(url) for url in urls):
            raise ValueError("a url is http(s)://HOST[:PORT]/v1, without user, password, query or key: a key goes through `key_env`")
        return [url.rstrip("/") for url in urls]

    @model_validator(mode="after")
    def _has_urls(self) -> EngineSpec:
        if self.kind == "openai" and not self.urls:
            raise ValueError("an engine of kind `openai` needs `urls`")
        return self

    @model_validator(mode="after")
    def _whole_copies(self) -> EngineSpec:
        if self.gpus % self.tensor_parallel:
            raise ValueError("`gpus` must be a multiple of `tensor_parallel`: so many share one copy of the weights")
        return self

    @property
    def served(self) -> bool:
        """Whether the model runs behind a server, so that an answer is paid for and kept one by one."""
        return self.kind in ("openai", "vllm")

    @property
    def width(self) -> int:
        """How many requests all servers together may have in flight."""
        return self.concurrency * max(1, len(self.urls))

    @property
    def committed_rows(self) -> int:
        """`shard_rows`, or its default."""
        return self.shard_rows or (64 if self.kind == "transformers" else 2048)
