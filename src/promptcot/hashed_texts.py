"""Evaluation texts as hashes, which can be shared where the texts cannot: a table for each rule of `contamination`, and one for phrases.

Hashes are 64 bits (`shingles`): with ten million of them stored, a foreign gram is taken for one of them once in 10^12. They hide a text
from people who read them, not from one who guesses it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from promptcot.errors import UsageError
from promptcot.shingles import NUMBER, Grams, Hashes, Places, Shingles, Worded, spread, text_key

SHORTEST_RUN = 8
"""Words from which a whole evaluation text counts as a run inside a longer text; a shorter one only matches a text equal to it."""
SHORT_TEXT = 50
"""Words below which a text is short: runs of `SHORTEST_RUN` words are then reported."""
PHRASE_WORDS = 5
"""Words of the runs from which phrases are made up."""
FORMAT = 1
"""Of files of hashes; raised when a hash would come out otherwise."""


class Rule(StrEnum):
    """How two texts touch, the strongest first."""

    WHOLE = "whole"
    NGRAM = "ngram"
    NEAR = "near"
    RENUMBERED = "renumbered"
    SHORT = "short"
    PHRASE = "phrase"  # no rule: word 5-grams with numbers masked, by which phrases are learned


@dataclass(frozen=True, slots=True)
class Hashed:
    """Hashes under one rule, ascending, with the number of the text that each is of."""

    hashes: Hashes
    texts: Places

    @classmethod
    def of(cls, hashes: Hashes, texts: Places) -> Hashed:
        """Sorted by hash, then text, without repeats."""
        order = np.lexsort((texts, hashes))
        hashes, texts = hashes[order], texts[order]
        new = np.ones(len(hashes), bool)
        new[1:] = (hashes[1:] != hashes[:-1]) | (texts[1:] != texts[:-1])
        return cls(hashes[new], texts[new])

    def without(self, chosen: Hashes) -> Hashed:
        """All but the chosen hashes."""
        keep = ~np.isin(self.hashes, chosen)
        return Hashed(self.hashes[keep], self.texts[keep])

    def meets(self, grams: Grams) -> Iterator[tuple[int, int, int]]:
        """(text of `grams`, word where the run begins, text here) for each gram that is here."""
        low, high = (np.searchsorted(self.hashes, grams.hashes, side=side) for side in ("left", "right"))
        hit = np.flatnonzero(high > low)
        sizes = (high - low)[hit]
        ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        theirs = self.texts[spread(low[hit], sizes, ends)]
        ours = np.repeat(hit, sizes)
        return zip(grams.owners[ours].tolist(), grams.starts[ours].tolist(), theirs.tolist(), strict=True)


@dataclass(frozen=True, slots=True)
class HashedTexts:
    """An evaluation set as hashes: `count` texts, `short` of which are below `SHORT_TEXT` words; `lengths` of the runs of rule `ngram`."""

    name: str
    n: int
    count: int
    lengths: tuple[int, ...]
    short: tuple[int, ...]
    tables: Mapping[Rule, Hashed]

    @classmethod
    def of(cls, name: str, texts: Sequence[str], n: int = 13) -> HashedTexts:
        """Hash texts."""
        worded = Worded.of(texts)
        lengths = worded.lengths
        runs = {n: worded.grams(n)} | {k: _of_length(worded, k) for k in range(SHORTEST_RUN, n) if (lengths == k).any()}
        found = {length: grams for length, grams in runs.items() if len(grams.hashes)}
        tables = {
            Rule.WHOLE: Hashed.of(np.array([text_key(text) for text in texts], np.uint64), np.arange(len(texts))),
            Rule.NGRAM: joined([Hashed.of(g.hashes, g.owners) for g in found.values()]),
            Rule.NEAR: _of_sets(worded.sets(5)),
            Rule.RENUMBERED: _of_runs(renumbered(worded, n)),
            Rule.SHORT: _of_runs(worded.grams(SHORTEST_RUN)),
            Rule.PHRASE: _of_runs(worded.masked().grams(PHRASE_WORDS)),
        }
        return cls(name, n, len(texts), tuple(found), tuple(np.flatnonzero(lengths < SHORT_TEXT).tolist()), tables)


def renumbered(worded: Worded, n: int) -> Grams:
    """The runs of n words with numbers masked: those with a number, and at least 8 of 13 words that are none."""
    masked = worded.masked()
    grams, is_number = masked.grams(n), np.cumsum(np.append(0, masked.each == np.uint64(NUMBER)))
    at = worded.first[grams.owners] + grams.starts
    numbers = is_number[at + n] - is_number[at]
    return grams.chosen((numbers > 0) & (13 * (n - numbers) >= 8 * n))


def _of_length(worded: Worded, length: int) -> Grams:
    """The texts of exactly so many words, as one run each."""
    grams = worded.grams(length)
    return grams.chosen(worded.lengths[grams.owners] == length)


def _of_runs(grams: Grams) -> Hashed:
    return Hashed.of(grams.hashes, grams.owners)


def _of_sets(sets: Shingles) -> Hashed:
    return Hashed.of(sets.hashes, np.repeat(np.arange(len(sets)), sets.sizes))


def joined(parts: Sequence[Hashed]) -> Hashed:
    """All hashes of the parts."""
    hashes = [np.empty(0, np.uint64), *(part.hashes for part in parts)]
    return Hashed.of(np.concatenate(hashes), np.concatenate([np.empty(0, np.int64), *(part.texts for part in parts)]))


def write(path: Path, sets: Sequence[HashedTexts]) -> None:
    """Write hashed sets as one parquet file: a row `set, rule, hash, text` for every hash, the rest in its metadata."""
    columns: dict[str, list[pa.Array]] = {"set": [], "rule": [], "hash": [], "text": []}
    for hashed in sets:
        for rule, table in hashed.tables.items():
            size = len(table.hashes)
            for key, value in (("set", hashed.name), ("rule", str(rule))):
                columns[key].append(pa.DictionaryArray.from_arrays(pa.array([0] * size, pa.int32()), pa.array([value])).cast(pa.string()))
            columns["hash"].append(pa.array(table.hashes))
            columns["text"].append(pa.array(table.texts.astype(np.int32)))
    about = [{"name": s.name, "n": s.n, "count": s.count, "lengths": s.lengths, "short": s.short} for s in sets]
    kept = {"promptcot": json.dumps({"format": FORMAT, "sets": about})}
    pq.write_table(pa.table({key: pa.chunked_array(parts) for key, parts in columns.items()}, metadata=kept), path, compression="zstd")


def read(path: Path) -> list[HashedTexts]:
    """The sets of a file that `write` made. Raises `UsageError` for another file, or one of another format."""
    try:
        table = pq.read_table(path)
        about = json.loads((table.schema.metadata or {})[b"promptcot"])
        if about["format"] != FORMAT:
            raise UsageError(f"hashes of format {about['format']}", where=str(path), remedy="make them anew: promptcot hash-texts")
        return [_set_of(entry, table) for entry in about["sets"]]
    except (pa.ArrowException, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"no hashed evaluation sets: {error}", where=str(path), remedy="promptcot hash-texts NAME --out FILE") from error


def _set_of(entry: dict[str, Any], table: pa.Table) -> HashedTexts:
    own = table.filter(pc.field("set") == entry["name"])
    tables = {}
    for rule in Rule:
        rows = own.filter(pc.field("rule") == str(rule))
        tables[rule] = Hashed.of(rows["hash"].to_numpy().astype(np.uint64), rows["text"].to_numpy().astype(np.int64))
    return HashedTexts(entry["name"], entry["n"], entry["count"], tuple(entry["lengths"]), tuple(entry["short"]), tables)
