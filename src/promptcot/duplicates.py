"""Near-duplicate texts: word-n-gram Jaccard similarity, candidates by an index or MinHash, every pair checked on the whole sets.

The normal form is `words.words`: case, punctuation, operators and layout commands do not tell texts apart, numbers and words do. A text is
the set of its runs of n words (`shingles`). Paraphrases are not seen.

Up to `EXACT_UP_TO` texts nothing is missed: two sets of similarity t share one of any |x| - ceil(t |x|) + 1 grams of the smaller, so the
rarest that many are looked up (prefix filtering; Chaudhuri, Ganti and Kaushik 2006). Beyond, candidates come from MinHash bands that find a
pair at the threshold with probability `minhash.RECALL` or more. Nothing depends on the order of the texts, nor on how they are cut into
parts. Time grows with the square of a crowd: texts by the thousand that share bands and yet are no duplicates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from promptcot.minhash import band_keys, bands_for, fresh, walks
from promptcot.records import content_hash
from promptcot.shingles import N, Places, Shingles, similarities, spread
from promptcot.words import normal_form, words

EXACT_UP_TO = 20_000
"""Largest number of texts whose clusters are found without MinHash."""
_QUERIES = 20_000
_PAIRS = 200_000


@dataclass(frozen=True, slots=True)
class Neighbor:
    """The most similar text of a corpus: its index there and the Jaccard similarity in [threshold, 1]."""

    index: int
    similarity: float


@dataclass(slots=True)
class Forest:
    """Disjoint sets over 0..size-1 (union by smaller root, path halving)."""

    size: int
    parent: Places = field(init=False)

    def __post_init__(self) -> None:
        self.parent = np.arange(self.size)

    def find(self, i: int) -> int:
        """The root of i's set: its smallest member."""
        parent = self.parent
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    def union(self, i: int, j: int) -> None:
        """Join the sets of i and j."""
        i, j = sorted((self.find(i), self.find(j)))
        self.parent[j] = i

    def roots(self) -> Places:
        """The root of every element."""
        while not np.array_equal(above := self.parent[self.parent], self.parent):
            self.parent = above
        return self.parent


def grams(text: str, n: int = N) -> frozenset[str]:
    """The set of a text that is compared, as words: its runs of n words; of fewer than n, its normal form."""
    tokens = words(text)
    return frozenset(" ".join(tokens[i : i + n]) for i in range(len(tokens) - n + 1)) or frozenset(["=" + normal_form(text)])


def clusters(texts: Sequence[str], n: int = N, threshold: float = 0.7, *, exact_up_to: int = EXACT_UP_TO) -> list[int]:
    """For each text the index of its cluster's representative: chains of pairs with similarity >= `threshold` are one cluster.

    The representative is the member with the smallest `content_hash` (of identical texts, the first), so which text represents a
    cluster does not depend on the order of the texts."""
    return _representatives(components(Shingles.of(texts, n), threshold, exact_up_to=exact_up_to), texts)


def components(sets: Shingles, threshold: float, *, exact_up_to: int = EXACT_UP_TO) -> Places:
    """For each set the smallest index in its cluster."""
    _, first, which = np.unique(sets.prints(), return_index=True, return_inverse=True)
    distinct = sets.take(first)
    forest = Forest(len(distinct))
    if len(distinct) <= exact_up_to:
        a, b = Index.of(distinct).candidates(distinct, threshold)
        _join(forest, distinct, a[a < b], b[a < b], threshold)
    else:
        _join_bands(forest, distinct, threshold)
    roots = forest.roots()[which]
    smallest = np.full(len(distinct), len(sets))
    np.minimum.at(smallest, roots, np.arange(len(sets)))
    return smallest[roots]


def _join_bands(forest: Forest, sets: Shingles, threshold: float) -> None:
    keys, roots = band_keys(sets, bands_for(threshold)), forest.roots()
    for band, buckets in walks(keys):
        while True:
            a, b = buckets.pairs()
            for i in range(0, len(a), _PAIRS):
                x, y = a[i : i + _PAIRS], b[i : i + _PAIRS]
                apart = np.flatnonzero(roots[x] != roots[y])
                new = apart[fresh(keys, band, x[apart], y[apart])]
                if _join(forest, sets, x[new], y[new], threshold):
                    roots = forest.roots()
            if not buckets.widen(roots):
                break


def _join(forest: Forest, sets: Shingles, a: Places, b: Places, threshold: float) -> int:
    """Join the pairs that are similar enough; how many those are."""
    near = np.flatnonzero(similarities(sets, sets, a, b) >= threshold)
    for i, j in zip(a[near].tolist(), b[near].tolist(), strict=True):
        forest.union(i, j)
    return len(near)


def neighbors_of(queries: Sequence[str], corpus: Sequence[str], n: int = N, threshold: float = 0.7) -> list[Neighbor | None]:
    """For each query its most similar text of `corpus` with similarity >= `threshold`, or None; ties go to the first in the corpus.

    Nothing is missed, at any size."""
    return nearest(Shingles.of(queries, n), Shingles.of(corpus, n), threshold)


def nearest(queries: Shingles, corpus: Shingles, threshold: float) -> list[Neighbor | None]:
    """The same for sets."""
    a, b, similar = near_pairs(queries, corpus, threshold)
    best = np.lexsort((b, -similar, a))
    _, firsts = np.unique(a[best], return_index=True)
    found: list[Neighbor | None] = [None] * len(queries)
    for k in best[firsts].tolist():
        found[int(a[k])] = Neighbor(int(b[k]), float(similar[k]))
    return found


def near_pairs(queries: Shingles, corpus: Shingles, threshold: float) -> tuple[Places, Places, NDArray[np.float64]]:
    """Every pair (query, set of the corpus) whose similarity reaches the threshold, with the similarity."""
    index, parts = Index.of(corpus), [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    for start in range(0, len(queries), _QUERIES):
        some = queries.take(np.arange(start, min(start + _QUERIES, len(queries))))
        a, b = index.candidates(some, threshold)
        similar = similarities(some, corpus, a, b)
        near = similar >= threshold
        parts.append((a[near] + start, b[near], similar[near]))
    a, b, similarity = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return a, b, similarity


@dataclass(frozen=True, slots=True)
class Index:
    """Which sets have a gram: those of `grams[i]` are `owners[starts[i]:starts[i + 1]]`."""

    grams: NDArray[np.uint64]
    starts: Places
    owners: Places

    @classmethod
    def of(cls, sets: Shingles) -> Index:
        """The index of all sets."""
        order = np.argsort(sets.hashes, kind="stable")
        grams, starts = np.unique(sets.hashes[order], return_index=True)
        return cls(grams, np.append(starts, len(order)), np.repeat(np.arange(len(sets)), sets.sizes)[order])

    def candidates(self, queries: Shingles, threshold: float) -> tuple[Places, Places]:
        """Every pair (query, set) that may reach the threshold, once."""
        whose = np.repeat(np.arange(len(queries)), queries.sizes)
        if not len(self.grams):
            return whose[:0], whose[:0]
        at = np.minimum(np.searchsorted(self.grams, queries.hashes), len(self.grams) - 1)
        held = np.where(self.grams[at] == queries.hashes, np.diff(self.starts)[at], 0)
        order = np.lexsort((queries.hashes, held, whose))
        rank = np.arange(len(order)) - queries.starts[:-1][whose]
        wanted = queries.sizes - np.ceil(threshold * queries.sizes - 1e-9).astype(np.int64) + 1
        chosen = order[(rank < wanted[whose]) & (held[order] > 0)]
        sizes = held[chosen]
        ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        b = self.owners[spread(self.starts[at[chosen]], sizes, ends)]
        count = int(self.owners.max()) + 1
        both = np.unique(np.repeat(whose[chosen], sizes) * count + b)
        return both // count, both % count


def _representatives(roots: Places, texts: Sequence[str]) -> list[int]:
    best: dict[int, tuple[str, int]] = {}
    shared = np.bincount(roots, minlength=len(texts)) > 1 if len(texts) else roots
    for i, root in enumerate(roots.tolist()):
        if shared[root]:
            mine = (content_hash(texts[i]), i)
            best[root] = min(best.get(root, mine), mine)
    return [best[root][1] if root in best else i for i, root in enumerate(roots.tolist())]
