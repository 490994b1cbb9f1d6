"""The engine of real models: any causal language model that transformers loads from safetensors.

Numbers depend, by rounding, on what shares a batch, so `independent` is False; batches form inside a group, from its requests
sorted by length, and a shard done again gives the same bits on the same kind of machine.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging as loading

from promptcot.engines.batching import pack, windows
from promptcot.engines.hf_tokenizer import HfTokenizer
from promptcot.engines.host_memory import keep_freed_memory, release_freed_memory
from promptcot.engines.protocol import Completion, Ids, Sampled, SampleRequest, Sampling, Scored, ScoreRequest
from promptcot.engines.sampling import Drawn, Row, decode
from promptcot.engines.scoring import head_is_linear, score_batch, score_rows
from promptcot.engines.tally import Tally
from promptcot.errors import UsageError
from promptcot.recipe import EngineSpec
from promptcot.usage import Usage

PREFILL = 8
"""Prompt tokens read at once when sampling, in units of `batch_tokens`."""


class TransformersEngine:
    """A `Sampler` and `Scorer` over one model in memory. Open it in a `with` block, or `close` it."""

    independent = False

    def __init__(self, model: PreTrainedModel, tokenizer: HfTokenizer, spec: EngineSpec, tally: Tally | None = None) -> None:
        self.model, self.tokenizer, self.spec = model, tokenizer, spec
        self._tally = tally or Tally(accelerators(model.device))
        self._score = score_batch if head_is_linear(model) else score_rows

    @classmethod
    def open(cls, folder: Path, spec: EngineSpec) -> Self:
        """Load the model in `folder` (safetensors; code that comes with a model is never run). Raises `UsageError`."""
        if not any(folder.glob("*.safetensors")):
            raise UsageError(
                "no safetensors weights in the model's folder", where=str(folder), remedy="convert the model with `save_pretrained`"
            )
        device = pick_device(spec.device)
        tally, dtype = Tally(accelerators(device)), pick_dtype(spec.dtype, device)
        if device.type == "cpu":
            keep_freed_memory()
        with quiet_loading():
            model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
                folder, dtype=dtype, use_safetensors=True, trust_remote_code=False, local_files_only=True
            )
        torch.nn.Module.eval(torch.nn.Module.to(model, device))
        return cls(model, HfTokenizer.open(folder), spec, tally)

    def close(self) -> None:
        """Free the model's memory; the engine is of no use afterwards."""
        self.__dict__.pop("model", None)
        free_memory()
        self._tally.stop()

    @property
    def usage(self) -> Usage:
        """Tokens without padding; a prompt that several draws of a batch share was read once."""
        return self._tally.usage

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def chat_prefix(self, messages: Sequence[Mapping[str, str]]) -> Ids:
        """See `HfTokenizer.chat_prefix`."""
        return self.tokenizer.chat_prefix(messages)

    def sample(self, requests: Iterable[SampleRequest], sampling: Sampling, seed: int) -> Iterator[Sampled]:
        """Yield each request's completions once all are drawn. Raises `UsageError` for one that does not fit the context."""
        for window in windows(requests):
            for request in window:
                self._check(request.id, len(request.prefix), sampling.max_tokens)
            yield from self._sample_window(sorted(window, key=lambda r: (-len(r.prefix), r.id)), sampling, seed)

    def _sample_window(self, window: Sequence[SampleRequest], sampling: Sampling, seed: int) -> Iterator[Sampled]:
        rows = [Row(request, draw) for request in window for draw in request.draws]
        done: dict[str, list[Drawn]] = {}
        limit = PREFILL * self.spec.batch_tokens
        for batch in pack(rows, lambda row: len(row.request.prefix), max_tokens=limit, max_rows=self.spec.batch_rows):
            made = decode(self.model, batch, sampling, seed=seed, eos=self.tokenizer.eos)
            self._tally.tokens_in += sum(len(request.prefix) for request in {row.request for row in batch})
            self._tally.tokens_out += sum(drawn.tokens for drawn in made)
            for drawn in made:
                mine = done.setdefault(drawn.row.request.id, [])
                mine.append(drawn)
                if len(mine) == len(drawn.row.request.draws):
                    yield Sampled(drawn.row.request.id, tuple(self._completion(d) for d in done.pop(drawn.row.request.id)))

    def _completion(self, drawn: Drawn) -> Completion:
        return Completion(drawn.row.draw, drawn.ids, self.tokenizer.decode(drawn.ids), drawn.log_p, drawn.tokens, drawn.finish)

    def score(self, requests: Iterable[ScoreRequest]) -> Iterator[Scored]:
        """Yield each request's segment log-probabilities. Raises `UsageError` for one that does not fit the context."""
        for window in windows(requests):
            for request in window:
                self._check(request.id, len(request.tokens.prefix), sum(map(len, request.tokens.segments)))
            ordered = sorted(window, key=lambda r: (-len(r.tokens), r.id))
            for batch in pack(ordered, lambda r: len(r.tokens), max_tokens=self.spec.batch_tokens):
                scores = self._score(self.model, batch)
                self._tally.tokens_in += sum(len(request.tokens) for request in batch)
                for request, log_p in zip(batch, scores, strict=True):
                    yield Scored(request.id, log_p)

    @property
    def context(self) -> int | None:
        """The most tokens a sequence may have, prefix and continuation together; None if the model does not say."""
        context: int | None = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return context

    def _check(self, request: str, prefix: int, rest: int) -> None:
        if prefix == 0:
            raise UsageError("a request needs a prefix of at least one token", where=f"request {request}")
        if self.context is not None and prefix + rest > self.context:
            raise UsageError(
                f"{prefix} + {rest} tokens do not fit the model's context of {self.context}",
                where=f"request {request}",
                remedy="lower `max_tokens`, drop the row, or use a model with a longer context",
            )


def pick_device(name: str) -> torch.device:
    """The torch device of a recipe's `device`; `auto` takes CUDA or XPU when there is one. Raises `UsageError` for one that cannot serve.

    Log-probabilities are summed and draws inverted in fp64, which MPS lacks."""
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return accelerator if accelerator is not None and accelerator.type != "mps" else torch.device("cpu")
    try:
        return torch.zeros(1, dtype=torch.float64, device=name).device
    except (RuntimeError, AssertionError, TypeError) as error:
        raise UsageError(f"the device `{name}` cannot serve: {error}", where="engines: device", remedy="auto, cpu or cuda") from None


def accelerators(device: torch.device) -> int:
    """How many accelerators a model on one device holds."""
    return int(device.type != "cpu")


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """The number format of a recipe's `dtype`; `auto` is bf16 where the device computes in it."""
    if name != "auto":
        return {"bf16": torch.bfloat16, "fp32": torch.float32}[name]
    if device.type == "cpu":
        return torch.bfloat16 if torch.ops.mkldnn._is_mkldnn_bf16_supported() else torch.float32
    return torch.bfloat16 if device.type != "cuda" or torch.cuda.is_bf16_supported() else torch.float32


def free_memory() -> None:
    """Give back what nothing holds any more, on the host and on the accelerator. A Trainer refers to itself, hence the collection."""
    gc.collect()
    release_freed_memory()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Without transformers' progress bars, which would run through a program's own."""
    shown = loading.is_progress_bar_enabled()
    loading.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            loading.enable_progress_bar()  # type: ignore[no-untyped-call]
