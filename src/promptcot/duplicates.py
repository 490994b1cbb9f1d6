"""Near-duplicate texts: word-n-gram Jaccard similarity, candidates by index or MinHash, every pair checked exactly.

The normal form is `words.words`: case, punctuation, operators and layout commands do not tell texts apart, numbers and words do.
A text is the set of its runs of n words; one of fewer words is compared whole, by its letters without case and spacing (so
`3 + 4` and `3 - 4` differ, and a short text never resembles a long one). Paraphrases are not seen.

Up to `EXACT_UP_TO` texts every pair that shares an n-gram is compared, so nothing is missed. Beyond, candidates come from MinHash
bands that find a pair at the threshold with probability `RECALL` or more, and closer ones more surely. Nothing depends on the
order of the texts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import rensa

from promptcot.records import content_hash
from promptcot.words import words

EXACT_UP_TO = 2000
"""Largest number of texts that are compared without MinHash."""
RECALL = 0.999
"""Least probability that the bands find a pair whose similarity equals the threshold."""
PERMUTATIONS = 128
HASH_SEED = 1

Grams = frozenset[str]


@dataclass(frozen=True, slots=True)
class Neighbor:
    """The most similar text of a corpus: its index there and the Jaccard similarity in [threshold, 1]."""

    index: int
    similarity: float


@dataclass(slots=True)
class Forest:
    """Disjoint sets over 0..size-1 (union by smaller root, path halving)."""

    size: int
    parent: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.parent = list(range(self.size))

    def find(self, i: int) -> int:
        """The root of i's set: its smallest member."""
        while self.parent[i] != i:
            self.parent[i] = self.parent[self.parent[i]]
            i = self.parent[i]
        return i

    def union(self, i: int, j: int) -> None:
        """Join the sets of i and j."""
        i, j = sorted((self.find(i), self.find(j)))
        self.parent[j] = i


def grams(text: str, n: int = 5) -> Grams:
    """The word n-grams of a text in normal form; a text of fewer than n words is its own single gram."""
    tokens = words(text)
    if len(tokens) < n:
        return frozenset(["=" + " ".join(text.lower().split())])
    return frozenset(" ".join(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def jaccard(a: Grams, b: Grams) -> float:
    """|a & b| / |a | b|."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared)


def clusters(texts: Sequence[str], n: int = 5, threshold: float = 0.7, *, exact_up_to: int = EXACT_UP_TO) -> list[int]:
    """For each text the index of its cluster's representative: chains of pairs with similarity >= `threshold` are one cluster.

    The representative is the member with the smallest `content_hash` (of identical texts, the first), so which text represents a
    cluster does not depend on the order of the texts."""
    sets = [grams(text, n) for text in texts]
    forest = Forest(len(texts))
    first: dict[Grams, int] = {}
    for i, own in enumerate(sets):
        forest.union(first.setdefault(own, i), i)
    distinct = list(first.values())
    for a, b in _pairs([sets[i] for i in distinct], threshold, exact_up_to):
        i, j = distinct[a], distinct[b]
        if forest.find(i) != forest.find(j) and jaccard(sets[i], sets[j]) >= threshold:
            forest.union(i, j)
    return _representatives([forest.find(i) for i in range(len(texts))], texts)


def neighbors_of(
    queries: Sequence[str], corpus: Sequence[str], n: int = 5, threshold: float = 0.7, *, exact_up_to: int = EXACT_UP_TO
) -> list[Neighbor | None]:
    """For each query its most similar text of `corpus` with similarity >= `threshold`, or None; ties go to the first in the corpus."""
    theirs = [grams(text, n) for text in corpus]
    index = _Index.of(theirs, threshold, exact_up_to)
    return [_nearest(grams(text, n), theirs, index, threshold) for text in queries]


def _nearest(query: Grams, theirs: Sequence[Grams], index: _Index, threshold: float) -> Neighbor | None:
    scored = ((jaccard(query, theirs[i]), -i) for i in index.candidates(query))
    similarity, i = max((pair for pair in scored if pair[0] >= threshold), default=(0.0, 0))
    return Neighbor(-i, similarity) if similarity else None


def _representatives(roots: Sequence[int], texts: Sequence[str]) -> list[int]:
    best: dict[int, tuple[str, int]] = {}
    for i, root in enumerate(roots):
        mine = (content_hash(texts[i]), i)
        best[root] = min(best.get(root, mine), mine)
    return [best[root][1] for root in roots]


def _pairs(sets: Sequence[Grams], threshold: float, exact_up_to: int) -> Iterator[tuple[int, int]]:
    index = _Index.of(sets, threshold, exact_up_to)
    return ((i, j) for i, own in enumerate(sets) for j in index.candidates(own) if j > i)


def _postings(sets: Iterable[Grams]) -> dict[str, list[int]]:
    where: dict[str, list[int]] = defaultdict(list)
    for i, own in enumerate(sets):
        for gram in own:
            where[gram].append(i)
    return where


@dataclass(frozen=True, slots=True)
class _Index:
    """Finds candidates in a corpus: all texts that share a gram, or those that share a MinHash band."""

    postings: dict[str, list[int]] | None
    bands: rensa.RMinHashLSH | None

    @classmethod
    def of(cls, sets: Sequence[Grams], threshold: float, exact_up_to: int) -> _Index:
        if len(sets) <= exact_up_to:
            return cls(_postings(sets), None)
        bands = rensa.RMinHashLSH(threshold=threshold, num_perm=PERMUTATIONS, num_bands=_bands(threshold))
        bands.insert_many(_sketches(sets))
        return cls(None, bands)

    def candidates(self, query: Grams) -> Iterable[int]:
        if self.postings is not None:
            return {i for gram in query for i in self.postings.get(gram, ())}
        assert self.bands is not None
        found: list[int] = self.bands.query(_sketches([query])[0])
        return found


def _sketches(sets: Sequence[Grams]) -> list[rensa.RMinHash]:
    made: list[rensa.RMinHash] = rensa.RMinHash.from_token_sets([list(own) for own in sets], PERMUTATIONS, HASH_SEED)
    return made


def _bands(threshold: float) -> int:
    """The fewest bands (the fewest false candidates) that keep `RECALL` at the threshold."""
    counts = [b for b in (8, 16, 32, 64) if 1 - (1 - threshold ** (PERMUTATIONS // b)) ** b >= RECALL]
    return counts[0] if counts else PERMUTATIONS
