"""Problem families, their splits, and choices of rows that respect both. Everything here is independent of the order of the rows.

A family is a near-duplicate cluster joined with the rows that bring the same `family`. Splits never cut through one: train 60 %,
dev 20 %, test 20 % of the rows, as near as whole families allow. A row that brings its own split pins its family; a family pinned
to several goes to the most held out (test, then dev), and pinned rows stay out of the 60/20/20.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from promptcot.duplicates import Forest, clusters
from promptcot.outcomes import Split
from promptcot.records import Seed, Triple, content_hash

SHARES = {Split.TRAIN: 0.6, Split.DEV: 0.2, Split.TEST: 0.2}
HELD_OUT = (Split.TEST, Split.DEV, Split.TRAIN)
NEAR_DUPLICATE = 0.7
"""Word-5-gram Jaccard from which two problems are one family."""

P = TypeVar("P", Seed, Triple)


def place(rows: Sequence[P], seed: int) -> list[P]:
    """The rows with `family` and `split` set. On the way in these hold what a row brings itself, or nothing."""
    names = families([row.problem for row in rows], [row.family for row in rows])
    pinned = _pins(names, [row.split for row in rows])
    loose = Counter(name for name in names if name not in pinned)
    splits = {**assign(loose, seed), **pinned}
    return [replace(row, family=name, split=splits[name].value) for row, name in zip(rows, names, strict=True)]


def families(texts: Sequence[str], own: Sequence[str]) -> list[str]:
    """The family of each text. Its name is the alphabetically first that a member brings, else a hash of its representative."""
    forest = Forest(len(texts))
    for i, representative in enumerate(clusters(texts, threshold=NEAR_DUPLICATE)):
        forest.union(i, representative)
    first: dict[str, int] = {}
    for i, name in enumerate(own):
        if name:
            forest.union(first.setdefault(name, i), i)
    names: dict[int, tuple[bool, str]] = {}
    for i, (text, name) in enumerate(zip(texts, own, strict=True)):
        mine = (not name, name or content_hash(text)[:16])
        names[forest.find(i)] = min(names.get(forest.find(i), mine), mine)
    return [names[forest.find(i)][1] for i in range(len(texts))]


def assign(sizes: Mapping[str, int], seed: int) -> dict[str, Split]:
    """A split for each family: the largest first, ties by hash of (seed, family), each to the split that is least full by its share."""
    filled = dict.fromkeys(SHARES, 0)
    splits = {}
    for name in sorted(sizes, key=lambda name: (-sizes[name], _hash(seed, name))):
        splits[name] = min(SHARES, key=lambda split: (filled[split] + sizes[name]) / SHARES[split])
        filled[splits[name]] += sizes[name]
    return splits


def spread(rows: Sequence[P], count: int, seed: int) -> list[P]:
    """`count` of the rows, in their order: each split keeps its share, and within a split families take turns, in order of their hash."""
    if count >= len(rows):
        return list(rows)
    quotas = _apportion(Counter(row.split for row in rows), count)
    chosen: set[str] = set()
    for split, quota in quotas.items():
        chosen.update(_by_turns([row for row in rows if row.split == split], seed)[:quota])
    return [row for row in rows if row.id in chosen]


def blank_rationales(rows: Sequence[P], share: float, seed: int) -> list[P]:
    """The rows with rationales left on `share` of the training rows that have one, chosen by hash; others keep c and x alone."""
    bearers = sorted(
        (row.id for row in rows if row.split == Split.TRAIN and row.rationale is not None), key=lambda id_: _hash(seed, f"z {id_}")
    )
    blank = set(bearers[round(share * len(bearers)) :])
    return [replace(row, rationale=None) if row.id in blank else row for row in rows]


def by_hash(ids: Iterable[str], count: int, seed: int) -> set[str]:
    """`count` ids, the smallest by hash of (seed, id)."""
    return set(sorted(ids, key=lambda id_: _hash(seed, id_))[:count])


def _by_turns(rows: Sequence[P], seed: int) -> list[str]:
    members: dict[str, list[str]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: _hash(seed, row.id)):
        members[row.family].append(row.id)
    turns = ((turn, _hash(seed, family), id_) for family, ids in members.items() for turn, id_ in enumerate(ids))
    return [id_ for _, _, id_ in sorted(turns)]


def _apportion(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    """`count` seats by largest remainder."""
    total = sum(sizes.values())
    exact = {key: count * size / total for key, size in sizes.items()}
    seats = {key: int(value) for key, value in exact.items()}
    for key in sorted(exact, key=lambda key: (seats[key] - exact[key], key))[: count - sum(seats.values())]:
        seats[key] += 1
    return seats


def _pins(names: Sequence[str], splits: Sequence[str]) -> dict[str, Split]:
    wanted: dict[str, set[str]] = defaultdict(set)
    for name, split in zip(names, splits, strict=True):
        if split:
            wanted[name].add(split)
    return {name: next(split for split in HELD_OUT if split in asked) for name, asked in wanted.items()}


def _hash(seed: int, key: Hashable) -> str:
    return hashlib.sha256(f"{seed} {key}".encode()).hexdigest()
