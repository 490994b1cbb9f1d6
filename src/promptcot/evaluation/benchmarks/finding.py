"""Where a benchmark of the catalog is: a file below the data folder, several that belong together, statements alone, or the hub."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from promptcot.errors import MissingHere, PromptcotError, UsageError
from promptcot.evaluation.benchmarks.catalog import Entry, Part
from promptcot.outside import locate
from promptcot.seeds.files import read_path
from promptcot.seeds.rows import Raw
from promptcot.seeds.sources import hub_rows

SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")
FOLDERS = ("", "code_generation_lite/", "livecodebench/")
"""Below the data folder, for files that belong together."""


@dataclass(frozen=True, slots=True)
class Found:
    """Rows, and where they are from: `source` for reports, `where` for messages. `statements`: rows without tests are expected."""

    rows: Iterator[Raw]
    source: str
    where: str
    statements: bool = False


def find(entry: Entry, window: tuple[str, str] | None) -> Found:
    """The rows of a benchmark, all parts that `window` reaches into. Raises `MissingHere` where it is nowhere, or a part is missing."""
    parts = [part for part in entry.parts if window is None or part.before > window[0]]
    whole = _first(entry.files)
    if whole:
        return Found(read_path(whole), whole.name, str(whole))
    paths = [_part(part) for part in parts]
    there = [path for path in paths if path]
    if parts and len(there) == len(parts):
        return _joined(there)
    texts = _first(entry.statements)
    if texts:
        return Found(read_path(texts), texts.name, str(texts), statements=True)
    if there:
        lacking = [part.file for part, path in zip(parts, paths, strict=True) if not path]
        raise MissingHere(
            f"{entry.name} is in {len(parts)} files, of which {', '.join(lacking)} is not there",
            where=", ".join(map(str, there)),
            remedy=f"get them from {entry.hub}, or name a later `window`",
        )
    return Found(_from_hub(entry, parts), str(entry.hub), str(entry.hub))


def _joined(paths: Sequence[Path]) -> Found:
    names = ", ".join(path.name for path in paths)
    return Found(chain.from_iterable(map(read_path, paths)), names, ", ".join(map(str, paths)))


def _first(stems: Sequence[str]) -> Path | None:
    candidates = (locate(stem + suffix) for stem in stems for suffix in SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def _part(part: Part) -> Path | None:
    candidates = (locate(folder + part.file) for folder in FOLDERS)
    return next((path for path in candidates if path.is_file()), None)


def _from_hub(entry: Entry, parts: Sequence[Part]) -> Iterator[Raw]:
    hub = entry.hub
    try:
        yield from hub_rows(hub.name, hub.split, hub.revision, [part.file for part in parts])
    except (UsageError, MissingHere) as error:
        raise _nowhere(entry, parts, error) from error


def _nowhere(entry: Entry, parts: Sequence[Part], why: PromptcotError) -> MissingHere:
    files = f"`{entry.files[0]}.jsonl`" + (f" (or {', '.join(part.file for part in parts)})" if parts else "")
    return MissingHere(
        f"{entry.name} is neither in a file nor on the hub: {why.what}",
        where=str(entry.hub),
        remedy=f"put {files} below --data DIR, from https://huggingface.co/datasets/{entry.hub.name.partition(':')[0]}; "
        f"{entry.size} rows with {entry.fields}",
    )
