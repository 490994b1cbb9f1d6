"""A sentence embedder of the all-MiniLM kind: mean of the last hidden states, on the unit sphere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from promptcot.engines.batching import pack
from promptcot.engines.transformers import quiet_loading

MAX_TOKENS = 256
"""What the model was trained on; the rest of a longer text is not seen."""
BATCH_TOKENS = 8192
"""Tokens per forward pass, padding included."""


class MiniLMEmbedder:
    """An `Embedder` over a BERT-like encoder."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.model, self.tokenizer = model, tokenizer

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Load the encoder in `folder`, in fp32 on the CPU: it is small, and equal everywhere."""
        safe = {"use_safetensors": True, "trust_remote_code": False, "local_files_only": True}
        with quiet_loading():
            model = AutoModel.from_pretrained(folder, dtype=torch.float32, **safe)
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        return cls(model.eval(), tokenizer)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors, float32 [len(texts), dimension], in the order of `texts`."""
        vectors = np.zeros((len(texts), self.model.config.hidden_size), dtype=np.float32)
        ids = [self.tokenizer.encode(text, truncation=True, max_length=MAX_TOKENS) for text in texts]
        order = sorted(range(len(texts)), key=lambda n: -len(ids[n]))
        for batch in pack(order, lambda n: len(ids[n]), max_tokens=BATCH_TOKENS):
            vectors[batch] = self._embed([ids[n] for n in batch])
        return vectors

    @torch.inference_mode()
    def _embed(self, rows: Sequence[Sequence[int]]) -> np.ndarray:
        width = len(rows[0])
        ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
        hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        mean = (hidden * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        vectors: np.ndarray = torch.nn.functional.normalize(mean, dim=-1).numpy()
        return vectors
