"""Texts as sets of word n-grams, kept as sorted 64-bit hashes in two flat arrays: 8 bytes a gram, so a million short texts take 300 MB.

    Shingles.of(["a b c d e f", "a b c d e x"]).sizes  ->  [2, 2], and one hash is in both

The words are those of `words.words`; a text of fewer than n words is compared whole, by its `normal_form` (so `3 + 4` and `3 - 4` differ,
and a short text never resembles a long one). Hashes depend on nothing but the grams, so parts made apart fit together. Of 40 million
distinct grams, two share a hash in one corpus of 20,000.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from promptcot.words import normal_form, words

Hashes = NDArray[np.uint64]
Places = NDArray[np.int64]

N = 5
"""Words of a gram."""
_BATCH = 4096
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Shingles:
    """The gram sets of texts: that of text i is `hashes[starts[i]:starts[i + 1]]`, ascending, without repeats."""

    hashes: Hashes
    starts: Places

    @classmethod
    def of(cls, texts: Sequence[str], n: int = N) -> Shingles:
        """The sets of texts, in their order."""
        known: dict[str, int] = {}
        parts = [_batch(texts[i : i + _BATCH], n, known) for i in range(0, len(texts), _BATCH)]
        return cls.joined(parts)

    @classmethod
    def joined(cls, parts: Sequence[Shingles]) -> Shingles:
        """The texts of all parts, one after the other."""
        sizes = np.concatenate([np.zeros(1, np.int64), *(part.sizes for part in parts)])
        return cls(np.concatenate([np.empty(0, np.uint64), *(part.hashes for part in parts)]), np.cumsum(sizes))

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def sizes(self) -> Places:
        """How many grams each text has, one at least."""
        return np.diff(self.starts)

    def take(self, chosen: Places) -> Shingles:
        """The chosen texts, in the order given."""
        sizes = self.sizes[chosen]
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        return Shingles(self.hashes[spread(self.starts[chosen], sizes, starts)], starts)

    def prints(self) -> NDArray[np.void]:
        """128 bits of every set; equal sets have equal prints."""
        if not len(self):
            return np.empty(0, np.dtype((np.void, 16)))
        sums = [np.add.reduceat(_mixed(self.hashes + np.uint64(salt)), self.starts[:-1]) for salt in (1, 2)]
        return np.ascontiguousarray(np.stack(sums, axis=1)).view(np.dtype((np.void, 16))).ravel()


def similarities(ours: Shingles, theirs: Shingles, a: Places, b: Places, *, batch: int = 20_000) -> NDArray[np.float64]:
    """The Jaccard similarity |x & y| / |x | y| of each pair: text `a[k]` of ours and `b[k]` of theirs."""
    found = np.empty(len(a))
    for i in range(0, len(a), batch):
        x, y = ours.take(a[i : i + batch]), theirs.take(b[i : i + batch])
        pairs = np.arange(len(x))
        tags = _mixed(pairs.astype(np.uint64) + np.uint64(1))  # a gram meets only grams of its own pair
        keys = np.concatenate([x.hashes ^ np.repeat(tags, x.sizes), y.hashes ^ np.repeat(tags, y.sizes)])
        whose = np.concatenate([np.repeat(pairs, x.sizes), np.repeat(pairs, y.sizes)])
        order = np.argsort(keys)
        twice = order[:-1][keys[order[1:]] == keys[order[:-1]]]
        shared = np.bincount(whose[twice], minlength=len(x))
        found[i : i + batch] = shared / (x.sizes + y.sizes - shared)
    return found


def _batch(texts: Sequence[str], n: int, known: dict[str, int]) -> Shingles:
    tokens = [words(text) for text in texts]
    lengths = np.array([len(t) for t in tokens], np.int64)
    each = np.fromiter((_word(w, known) for t in tokens for w in t), np.uint64, int(lengths.sum()))
    owners = np.repeat(np.arange(len(texts)), lengths)
    last = np.repeat(np.cumsum(lengths), lengths)
    starts = np.flatnonzero(np.arange(len(each)) + n <= last)
    grams = np.zeros(len(starts), np.uint64)
    for k in range(n):
        grams = grams * _FACTOR + each[starts + k]
    short = np.flatnonzero(lengths < n)
    whole = np.array([_hash("=" + normal_form(texts[i])) for i in short.tolist()], np.uint64)
    return _sets(np.concatenate([_mixed(grams), whole]), np.concatenate([owners[starts], short]), len(texts))


def _sets(hashes: Hashes, owners: Places, count: int) -> Shingles:
    order = np.lexsort((hashes, owners))
    hashes, owners = hashes[order], owners[order]
    new = np.ones(len(hashes), bool)
    new[1:] = (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])
    sizes = np.bincount(owners[new], minlength=count)
    return Shingles(hashes[new], np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)]))


def spread(firsts: Places, sizes: Places, starts: Places) -> Places:
    """The places `firsts[i], firsts[i] + 1, ...` (`sizes[i]` of them) for every i, one after the other."""
    return np.arange(starts[-1]) + np.repeat(firsts - starts[:-1], sizes)


def _word(word: str, known: dict[str, int]) -> int:
    found = known.get(word)
    if found is None:
        found = known[word] = _hash(word)
    return found


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "big")


def _mixed(values: Hashes) -> Hashes:
    """Splitmix64's finalizer: every bit of the result depends on every bit of the value."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
