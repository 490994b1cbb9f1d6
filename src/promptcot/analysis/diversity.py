"""How diverse a corpus is, by its words, its concepts and its vectors. All pure functions of rows.

| figure | of what |
|---|---|
| `distinct` @n | distinct word n-grams over all n-grams; falls with the number of texts and their length, so compare at equal numbers |
| `novelty` @n | n-grams of a text that no seed has |
| `concepts` | of the seeds' concepts, those that a problem uses |
| `new_pairs` | of a problem's pairs of concepts, those that no seed has together |
| `spread` | mean cosine distance of two texts |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from promptcot.words import words

Pair = tuple[str, str]


def grams(text: str, n: int) -> list[str]:
    """The word n-grams of a text in normal form, in order; none of a text of fewer words."""
    tokens = words(text)
    return [" ".join(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]


def distinct(texts: Sequence[str], n: int) -> Callable[[np.ndarray], float]:
    """distinct-n (Li et al. 2016, arXiv 1510.03055) of the texts at given places: distinct n-grams over all; nan without any."""
    numbers: dict[str, int] = {}
    coded = [np.array([numbers.setdefault(gram, len(numbers)) for gram in grams(text, n)], np.int64) for text in texts]

    def of(places: np.ndarray) -> float:
        found = np.concatenate([coded[i] for i in places])
        return len(np.unique(found)) / len(found) if len(found) else float("nan")

    return of


def novelty(texts: Sequence[str], seeds: Sequence[str], n: int) -> list[float]:
    """For each text of n words or more the share of its n-grams that no seed has."""
    known = {gram for text in seeds for gram in grams(text, n)}
    found = [grams(text, n) for text in texts]
    return [sum(gram not in known for gram in own) / len(own) for own in found if own]


def covered(concepts: Sequence[Sequence[str]], seeds: Sequence[Sequence[str]]) -> Callable[[np.ndarray], float]:
    """The share of the seeds' concepts that the problems at given places use."""
    known = {name for own in seeds for name in _names(own)}

    def of(places: np.ndarray) -> float:
        return len(known & {name for i in places for name in _names(concepts[i])}) / len(known) if known else float("nan")

    return of


def new_pairs(concepts: Sequence[Sequence[str]], seeds: Sequence[Sequence[str]]) -> list[float]:
    """For each problem with two concepts or more the share of its pairs that no seed has together."""
    known = {pair for own in seeds for pair in _pairs(own)}
    return [sum(pair not in known for pair in own) / len(own) for names in concepts if (own := _pairs(names))]


def spread(vectors: np.ndarray) -> Callable[[np.ndarray], float]:
    """The mean of 1 - cosine over all pairs of two different texts at given places; unit vectors, float [texts, dimension]."""

    def of(places: np.ndarray) -> float:
        own = vectors[places].astype(float)
        n, total = len(own), own.sum(axis=0)
        squares = float((own**2).sum())
        return 1 - (float(total @ total) - squares) / (n * (n - 1)) if n > 1 else float("nan")

    return of


def _names(concepts: Sequence[str]) -> list[str]:
    return sorted({" ".join(words(name)) for name in concepts})


def _pairs(concepts: Sequence[str]) -> list[Pair]:
    return list(combinations(_names(concepts), 2))
