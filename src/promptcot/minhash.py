"""Candidate pairs of similar sets by MinHash in bands (Broder 1997; Leskovec, Rajaraman and Ullman, section 3.4), sketched by rensa.

32 bands of 4 minima: two sets of similarity s share a band with probability 1 - (1 - s^4)^32, that is .9998 at s = .7, .87 at .5 and .02
at .15. A sketch depends on its own text alone, so sketches may be made in parts, in any order.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import rensa
from numpy.typing import NDArray

from promptcot.shingles import Hashes, Places, Shingles

PERMUTATIONS = 128
HASH_SEED = 1
RECALL = 0.999
"""Least probability that the bands find a pair whose similarity equals the threshold."""
_BATCH = 4096
_FACTOR = np.uint64(0xD1342543DE82EF95)


def bands_for(threshold: float) -> int:
    """The fewest bands (the fewest false candidates), 32 at least, that keep `RECALL` at the threshold."""
    counts = [b for b in (32, 64) if found_with(threshold, b) >= RECALL]
    return counts[0] if counts else PERMUTATIONS


def found_with(similarity: float, bands: int) -> float:
    """The probability that a pair shares a band."""
    return float(1 - (1 - similarity ** (PERMUTATIONS // bands)) ** bands)


def band_keys(sets: Shingles, bands: int) -> Hashes:
    """A hash of every band of every set [sets, bands]."""
    keys = np.empty((len(sets), bands), np.uint64)
    for i in range(0, len(sets), _BATCH):
        starts = sets.starts[i : i + _BATCH + 1]
        flat = np.ascontiguousarray(sets.hashes[starts[0] : starts[-1]])
        offsets = (starts - starts[0]).astype(np.uint64)
        rows = rensa.RMinHash.digest_matrix_from_flat_token_hashes(flat, offsets, PERMUTATIONS, HASH_SEED).to_rows()
        minima = np.array(rows, np.uint64).reshape(len(starts) - 1, bands, PERMUTATIONS // bands)
        key = np.zeros(minima.shape[:2], np.uint64)
        for part in range(minima.shape[2]):
            key = key * _FACTOR + minima[:, :, part]
        keys[i : i + _BATCH] = key
    return keys


class Buckets:
    """The sets that share a band's key, walked pair by pair: first neighbors in a sorted bucket, then those two apart, and so on."""

    def __init__(self, keys: Hashes) -> None:
        self.order = np.argsort(keys, kind="stable")
        ordered = keys[self.order]
        self.ends = np.searchsorted(ordered, ordered, side="right")
        self.distance, self.at = 1, np.flatnonzero(self.ends > np.arange(len(keys)) + 1)

    def pairs(self) -> tuple[Places, Places]:
        """All pairs at this distance."""
        return self.order[self.at], self.order[self.at + self.distance]

    def widen(self, roots: Places) -> bool:
        """Go one further; buckets that are all one cluster by now (`roots`) are done with. False when no pair is left."""
        self.distance += 1
        self.at = self.at[self.at + self.distance < self.ends[self.at]]
        if len(self.at) and self.distance & (self.distance - 1) == 0:
            own = roots[self.order]
            first = np.searchsorted(self.ends, self.ends[self.at])
            change = np.concatenate([[0], np.cumsum(own[1:] != own[:-1])])
            self.at = self.at[change[self.ends[self.at] - 1] != change[first]]
        return len(self.at) > 0


def fresh(keys: Hashes, band: int, a: Places, b: Places) -> NDArray[np.bool_]:
    """Which pairs share no earlier band, so that nobody has compared them yet."""
    seen: NDArray[np.bool_] = (keys[a, :band] == keys[b, :band]).any(axis=1)
    return ~seen


def walks(keys: Hashes) -> Iterator[tuple[int, Buckets]]:
    """The buckets of every band, one band after the other."""
    for band in range(keys.shape[1]):
        yield band, Buckets(np.ascontiguousarray(keys[:, band]))
