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
BATCH = 4096
"""Texts that are hashed at a time."""
NUMBER = 0x6E756D626572
"""What stands for the hash of any number where numbers are masked."""
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
        return cls.joined([Worded.of(texts[i : i + BATCH], known).sets(n) for i in range(0, len(texts), BATCH)])

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


@dataclass(frozen=True, slots=True)
class Worded:
    """A few texts as hashed words: text i has `words[i]`; all of them one after the other have the hashes `each`."""

    texts: Sequence[str]
    words: Sequence[Sequence[str]]
    lengths: Places
    each: Hashes

    @classmethod
    def of(cls, texts: Sequence[str], known: dict[str, int] | None = None) -> Worded:
        """The words of texts. `known` remembers the hashes of words from one call to the next."""
        known = {} if known is None else known
        found = [words(text) for text in texts]
        lengths = np.array([len(t) for t in found], np.int64)
        each = np.fromiter((_word(w, known) for t in found for w in t), np.uint64, int(lengths.sum()))
        return cls(texts, found, lengths, each)

    @property
    def first(self) -> Places:
        """Where the words of each text begin."""
        return np.cumsum(self.lengths) - self.lengths

    def grams(self, n: int) -> Grams:
        """All runs of n words of each text."""
        first = self.first
        owners, last = np.repeat(np.arange(len(self.texts)), self.lengths), np.repeat(first + self.lengths, self.lengths)
        starts = np.flatnonzero(np.arange(len(self.each)) + n <= last)
        hashes = np.zeros(len(starts), np.uint64)
        for k in range(n):
            hashes = hashes * _FACTOR + self.each[starts + k]
        return Grams(_mixed(hashes), owners[starts], starts - first[owners[starts]])

    def masked(self) -> Worded:
        """The same with every number as one and the same word."""
        number = np.fromiter((w[0].isdigit() for t in self.words for w in t), bool, len(self.each))
        return Worded(self.texts, self.words, self.lengths, np.where(number, np.uint64(NUMBER), self.each))

    def sets(self, n: int) -> Shingles:
        """The gram set of each text; of a text of fewer than n words, its normal form."""
        runs, short = self.grams(n), np.flatnonzero(self.lengths < n)
        whole = np.array([text_key(self.texts[i]) for i in short.tolist()], np.uint64)
        return _sets(np.concatenate([runs.hashes, whole]), np.concatenate([runs.owners, short]), len(self.texts))


@dataclass(frozen=True, slots=True)
class Grams:
    """Runs of words: the hash of each, the text it is of, and the word of that text with which it begins."""

    hashes: Hashes
    owners: Places
    starts: Places

    def chosen(self, which: NDArray[np.bool_]) -> Grams:
        """Some of them."""
        return Grams(self.hashes[which], self.owners[which], self.starts[which])


def text_key(text: str) -> int:
    """64 bits of a text's normal form."""
    return _hash("=" + normal_form(text))


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
