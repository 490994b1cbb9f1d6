"""The tokenizer in a model's folder, whatever kind of model it is, without its weights."""

from __future__ import annotations

from pathlib import Path

from promptcot.engines.protocol import Ids, Tokenizer
from promptcot.engines.scripted import CharacterTokenizer
from promptcot.engines.tabular import FILE as TABLES
from promptcot.engines.tabular import TabularModel
from promptcot.errors import MissingHere

FEW_WORDS = "One, two, three."


def open_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of the model in `folder`. Raises `UsageError` for a damaged one, `MissingHere` without its library."""
    if (folder / TABLES).is_file():
        return TabularModel.load(folder).tokenizer
    if (folder / "script.json").is_file():
        return CharacterTokenizer()
    try:
        from promptcot.engines.hf_tokenizer import HfTokenizer
    except ImportError as error:
        raise MissingHere(
            f"tokenizing needs `{error.name}`, which is not installed", remedy="python -m pip install 'promptcot[models]'"
        ) from None
    return HfTokenizer.open(folder)


def few_ids(tokenizer: Tokenizer) -> Ids:
    """Some ids that the model can read, for a first try; a tokenizer of bare symbols knows no words, but has an id 1."""
    try:
        return tokenizer.encode(FEW_WORDS)
    except ValueError:
        return (1,)
