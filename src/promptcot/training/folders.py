"""Model folders around a fit: what has to be true before it, and what a saved one lacks."""

from __future__ import annotations

import shutil
from pathlib import Path

from transformers import AutoConfig

from promptcot.errors import UsageError

BESIDE_WEIGHTS = (
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.jinja",
    "*.model",
    "LICENSE*",
    "NOTICE*",
)
"""Files of the source folder that `save_pretrained` does not write and every consumer needs."""


def require_free(out: Path) -> None:
    """Raise `UsageError` where a fitted model would be written over something."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError("there is something where the fitted model should go", where=str(out), remedy="name a folder that does not exist")


def context_of(folder: Path) -> int | None:
    """The most tokens the model can read, if it says. Raises `UsageError` where there is no model."""
    if not (folder / "config.json").is_file():
        raise UsageError("no Hugging Face model here (config.json is missing)", where=str(folder), remedy="name a folder with a model")
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    context: int | None = getattr(config.get_text_config(), "max_position_embeddings", None)
    return context


def copy_beside(source: Path, out: Path, *, replace: bool = True) -> None:
    """Copy tokenizer and license; without `replace`, only where `out` has none."""
    for pattern in BESIDE_WEIGHTS:
        for path in source.glob(pattern):
            if replace or not (out / path.name).exists():
                shutil.copyfile(path, out / path.name)
