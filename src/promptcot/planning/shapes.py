"""The shape of a model: parameters, layers, heads. From its config.json here, or from the published one of the models the paper names.

    shape_of(ModelSpec(path="Qwen/Qwen2.5-32B")).kv_bytes        # 262144 bytes a token: 2 x 64 layers x 8 heads x 128 x 2 bytes

Parameters are counted from the headers of the safetensors files where they are here, else from the config.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptcot import models
from promptcot.errors import UsageError
from promptcot.recipe import ModelSpec

BF16 = 2


@dataclass(frozen=True, slots=True)
class ModelShape:
    """`parameters` in all and `active` for one token (they differ for a mixture of experts). `context`: the most tokens it reads, None if
    unknown. `weight_bytes`: bf16 as it is served, but for models published in fewer bits. `source` says where this is from."""

    name: str
    parameters: int
    active: int
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    context: int | None
    weight_bytes: float
    source: str

    @property
    def kv_bytes(self) -> int:
        """Bytes of keys and values a token, in bf16."""
        return 2 * self.layers * self.kv_heads * self.head_dim * BF16

    @property
    def is_moe(self) -> bool:
        """Whether a token meets only some of the parameters."""
        return self.active < self.parameters


def from_config(name: str, config: Mapping[str, Any], source: str, *, parameters: int | None = None) -> ModelShape:
    """The shape that a config.json of a causal language model describes. Raises `UsageError` for one that lacks what is needed."""
    c = {**config, **config.get("text_config", {})}
    lacking = [key for key in ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size") if key not in c]
    if lacking:
        raise UsageError(f"the config of `{name}` lacks {', '.join(lacking)}", where=source, remedy="a causal language model is needed")
    heads = c["num_attention_heads"]
    counted, inactive = _count(c)
    total = parameters or counted
    return ModelShape(
        name=name,
        parameters=total,
        active=total - inactive,
        layers=c["num_hidden_layers"],
        hidden=c["hidden_size"],
        heads=heads,
        kv_heads=c.get("num_key_value_heads") or heads,
        head_dim=c.get("head_dim") or c["hidden_size"] // heads,
        vocabulary=c["vocab_size"],
        context=c.get("max_position_embeddings"),
        weight_bytes=c.get("weight_bytes") or BF16 * total,
        source=source,
    )


def _count(c: Mapping[str, Any]) -> tuple[int, int]:
    """Parameters of a decoder with gated MLPs, and how many of them one token does not meet. Biases and norms are left out."""
    hidden, layers, heads = c["hidden_size"], c["num_hidden_layers"], c["num_attention_heads"]
    dim = c.get("head_dim") or hidden // heads
    attention = 2 * hidden * dim * (heads + (c.get("num_key_value_heads") or heads))
    experts = c.get("num_experts") or c.get("num_local_experts") or 0
    chosen = c.get("num_experts_per_tok") or 0
    one = 3 * hidden * (c.get("moe_intermediate_size") or c.get("intermediate_size") or 4 * hidden)
    mlp = experts * (one + hidden) if experts else one
    embedding = hidden * c["vocab_size"] * (1 if c.get("tie_word_embeddings") else 2)
    return layers * (attention + mlp) + embedding, layers * (experts - chosen) * one if experts else 0


def from_folder(folder: Path, name: str) -> ModelShape | None:
    """The shape of the model in a folder; None for tables and scripts, which have none."""
    path = folder / "config.json"
    if not path.is_file():
        return None
    found = [_header(file) for file in sorted(folder.glob("*.safetensors"))]
    config = json.loads(path.read_text(encoding="utf-8"))
    return from_config(name, config, str(path), parameters=sum(found) or None)


def _header(file: Path) -> int:
    """Parameters in a safetensors file, by its header: 8 bytes of length, then JSON."""
    with file.open("rb") as opened:
        header = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
    count = 0
    for name, tensor in header.items():
        if name != "__metadata__":
            size = 1
            for dimension in tensor["shape"]:
                size *= dimension
            count += size
    return count


def shape_of(spec: ModelSpec) -> ModelShape | None:
    """The shape of a recipe's model without a download; None for tables and scripts. Raises `UsageError` with a remedy."""
    assert spec.path is not None
    folder = models.at_hand(spec.path, spec.revision)
    if folder is not None:
        return from_folder(folder, spec.path)
    known = PUBLISHED.get(spec.path.rsplit("/", 1)[-1].lower())
    if known is None:
        raise UsageError(
            f"the shape of `{spec.path}` is not known here",
            where=f"models: {spec.path}",
            remedy="give a folder with its config.json (a plan needs no weights), or download the model; known without: "
            + ", ".join(shape.name for shape in PUBLISHED.values()),
        )
    return known


_KEYS = (
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim"),
    *("intermediate_size", "vocab_size", "max_position_embeddings"),
)
_TIED = {"tie_word_embeddings": True}
_CONFIGS: tuple[tuple[str, tuple[int, ...], Mapping[str, Any]], ...] = (
    ("Qwen/Qwen2.5-7B-Instruct", (3_584, 28, 28, 4, 128, 18_944, 152_064, 32_768), {}),
    ("Qwen/Qwen2.5-32B", (5_120, 64, 40, 8, 128, 27_648, 152_064, 131_072), {}),
    ("Qwen/Qwen2.5-32B-Instruct", (5_120, 64, 40, 8, 128, 27_648, 152_064, 32_768), {}),
    ("Qwen/Qwen2.5-72B-Instruct", (8_192, 80, 64, 8, 128, 29_568, 152_064, 32_768), {}),
    ("Qwen/Qwen3-4B-Base", (2_560, 36, 32, 8, 128, 9_728, 151_936, 32_768), _TIED),
    ("Qwen/Qwen3-4B-Thinking-2507", (2_560, 36, 32, 8, 128, 9_728, 151_936, 262_144), _TIED),
    ("Qwen/Qwen3-8B-Base", (4_096, 36, 32, 8, 128, 12_288, 151_936, 32_768), {}),
    ("Qwen/Qwen3-32B", (5_120, 64, 64, 8, 128, 25_600, 151_936, 40_960), {}),
    (
        "Qwen/Qwen3-30B-A3B-Thinking-2507",
        (2_048, 48, 32, 4, 128, 6_144, 151_936, 262_144),
        {"moe_intermediate_size": 768, "num_experts": 128, "num_experts_per_tok": 8},
    ),
    ("meta-llama/Llama-3.1-70B-Instruct", (8_192, 80, 64, 8, 128, 28_672, 128_256, 131_072), {}),
    ("microsoft/phi-4", (5_120, 40, 40, 10, 128, 17_920, 100_352, 16_384), {}),
    (
        "openai/gpt-oss-120b",  # its experts are published in 4 bits
        (2_880, 36, 64, 8, 64, 2_880, 201_088, 131_072),
        {"num_local_experts": 128, "num_experts_per_tok": 4, "weight_bytes": 65.3e9},
    ),
    ("smollm2-135m-instruct", (576, 30, 9, 3, 64, 1_536, 49_152, 8_192), _TIED),
)

PUBLISHED = {
    name.rsplit("/", 1)[-1].lower(): from_config(
        name, {**dict(zip(_KEYS, sizes, strict=True)), **more}, f"config.json as published with {name}"
    )
    for name, sizes, more in _CONFIGS
}
"""By the last part of the hub id, in lower case; a fine-tuned copy under another owner has the same shape."""
