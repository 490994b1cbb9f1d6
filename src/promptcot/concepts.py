"""Which concepts c, and which level, a new problem is designed from.

The law of PromptCoT 1.0, section 3 (2.0 does not state its own): the first concept by frequency, each next one from
softmax((co-occurrence with those chosen + cosine to their mean embedding) / temperature), never one twice. Where several are chosen,
their pair counts add up. Counts and vectors are both indexed by one concept id, and the softmax lives in log space, so neither
misaligned vectors nor counts in the hundreds can bend it.

Draws run in blocks of `BLOCK` rows: one matrix product per block and step. A block is padded to full height, so that a row's
floating-point result depends neither on the rows beside it nor on how many are asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from math import comb

import numpy as np
from numpy.typing import NDArray

from promptcot.errors import UsageError

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

BLOCK = 64
_ATTEMPTS = 1000
_HEAT_EVERY = 10


@dataclass(frozen=True, slots=True, eq=False)
class ConceptModel:
    """Frequencies, pair counts and vectors of C concepts; the id of a concept is its place in `names`, which is sorted.

    `frequency` [C]: lists that name it. `vectors` [C, D]: unit rows (a zero row stays zero). Pair counts are compressed sparse rows:
    the neighbors of i are `neighbors[starts[i]:starts[i+1]]`, each with the number of lists that name both."""

    names: tuple[str, ...]
    frequency: Ints
    vectors: Floats
    starts: Ints
    neighbors: Ints
    counts: Floats

    @classmethod
    def fit(cls, concept_lists: Iterable[Sequence[str]], names: Sequence[str], embeddings: NDArray[np.floating]) -> ConceptModel:
        """Count concepts and pairs; row i of `embeddings` [C, D] belongs to `names[i]`, in whatever order they come.

        A name twice in one list counts once. D = 0 leaves the cosine out. Raises `UsageError` for rows that do not match the names,
        a concept without a vector, and lists without any concept."""
        order = sorted(range(len(names)), key=names.__getitem__)
        index = {names[old]: new for new, old in enumerate(order)}
        if len(index) != len(names) or np.shape(embeddings)[:1] != (len(names),):
            raise UsageError(f"{len(names)} concept names ({len(index)} distinct) but embeddings of shape {np.shape(embeddings)}")
        lists = [_ids(concepts, index) for concepts in concept_lists]
        frequency = np.bincount(np.fromiter(chain.from_iterable(lists), np.int64), minlength=len(names))
        if not frequency.any():
            raise UsageError("no concept in any list", remedy="annotate the seeds, or give rows with concepts")
        starts, neighbors, counts = _pairs(lists, len(names))
        vectors = np.asarray(embeddings, np.float32)[order]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return cls(tuple(index), frequency, (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32), starts, neighbors, counts)

    @property
    def log_frequency(self) -> Floats:
        """Log of `frequency`, -inf for a concept that no list names [C]."""
        with np.errstate(divide="ignore"):
            return np.log(self.frequency).astype(np.float32)

    def cooccurrence(self, concept: str) -> dict[str, int]:
        """How many lists name `concept` together with each other one; those that never do are left out."""
        row = slice(*self.starts[(i := self.names.index(concept)) : i + 2])
        return {self.names[j]: int(n) for j, n in zip(self.neighbors[row], self.counts[row], strict=True)}

    def sample(
        self,
        n_sets: int,
        size: int,
        temperature: float,
        seed: int,
        *,
        forbidden: Collection[frozenset[str]] = (),
        distinct: bool = True,
        weights: Mapping[str, float] | None = None,
    ) -> list[tuple[str, ...]]:
        """`n_sets` concept sets of `size`, each in the order drawn; the same on every call with the same arguments.

        No set of `forbidden` (those of the dev and test families) is returned; with `distinct`, none twice before every possible set came
        once. Such sets have probability 0 as the last concept is drawn; a draw whose first concepts leave no other is made again, after
        ten attempts at twice the temperature, and so on. Raises `UsageError` where no set is possible.

        `weights` (by concept, 1 where it has none, all above 0) multiply the probability of a concept at every step of a draw."""
        pool = _Pool.over(self, size, forbidden, distinct)
        if n_sets and pool.capacity <= 0:
            raise UsageError(
                f"no set of {size} among {len(self.names)} concepts is left to sample ({len(forbidden)} belong to held-out problems)",
                where="synthesize.concepts",
                remedy="ask for another number of concepts, or give more training rows",
            )
        found: dict[int, tuple[int, ...]] = {}
        tilt = self._log_weights(weights)
        for attempt in range(_ATTEMPTS):
            pending = [i for i in range(n_sets) if i not in found]
            if not pending:
                return [tuple(self.names[j] for j in found[i]) for i in range(n_sets)]
            rolls = np.random.Generator(np.random.Philox([seed % 2**64, attempt])).random((n_sets, size))
            heat = temperature * 2.0 ** (attempt // _HEAT_EVERY)
            for rows in _blocks(pending):
                drawn = self._draw(rolls[rows], heat, pool, tilt)
                found.update((i, ids) for i, ids in zip(rows, drawn, strict=True) if len(ids) == size)
        raise UsageError(f"found {len(found)} of {n_sets} concept sets in {_ATTEMPTS} attempts", remedy="ask for fewer sets, or warmer")

    def _log_weights(self, weights: Mapping[str, float] | None) -> Floats | None:
        if weights is None:
            return None
        return np.log([weights.get(name, 1.0) for name in self.names], dtype=np.float32)

    def _draw(self, rolls: NDArray[np.float64], temperature: float, pool: _Pool, tilt: Floats | None) -> list[tuple[int, ...]]:
        """One set per row of `rolls` [rows, size], reserved in `pool`; a row that `pool` leaves no last concept comes back short."""
        block = _Block.empty(self)
        sets = [list[int]() for _ in rolls]
        for step in range(size := rolls.shape[1]):
            logits = block.logits(temperature)
            if tilt is not None:
                logits = logits + tilt
            for r, chosen in enumerate(sets):
                barred = pool.completions(chosen) if step == size - 1 else []
                if (concept := _pick(logits[r], barred, rolls[r, step])) is not None:
                    chosen.append(concept)
                    block.choose(r, concept)
                if len(chosen) == size:
                    pool.take(chosen)
        return [tuple(chosen) for chosen in sets]


@dataclass(slots=True)
class _Block:
    """`BLOCK` sets in the making. `together` [BLOCK, C]: pair counts with those chosen, from the largest, -inf for the chosen themselves;
    `total` [BLOCK, D]: sum of the chosen vectors; `scores`: room for the product; `begun`: first concepts are chosen."""

    model: ConceptModel
    together: Floats
    total: Floats
    scores: Floats
    begun: bool = False

    @classmethod
    def empty(cls, model: ConceptModel) -> _Block:
        concepts, dimension = model.vectors.shape
        zeros = np.zeros((BLOCK, concepts), np.float32)
        return cls(model, zeros, np.zeros((BLOCK, dimension), np.float32), np.empty_like(zeros))

    def choose(self, r: int, concept: int) -> None:
        """Condition row `r`. Counts are kept relative to their maximum: exact, and it leaves the cosines their digits."""
        model, row = self.model, self.together[r]
        near = slice(model.starts[concept], model.starts[concept + 1])
        row[model.neighbors[near]] += model.counts[near]
        row[concept] = -np.inf
        if (top := row.max()) > -np.inf:
            row -= top
        self.total[r] += model.vectors[concept]
        self.begun = True

    def logits(self, temperature: float) -> Floats:
        """Log of what the next concept is drawn by, up to a constant per row [BLOCK, C]: frequencies, then scores over the temperature."""
        if not self.begun:
            return np.broadcast_to(self.model.log_frequency, self.scores.shape)
        lengths = np.linalg.norm(self.total, axis=1, keepdims=True)
        np.matmul(self.total / np.where(lengths > 0, lengths, 1), self.model.vectors.T, out=self.scores)
        self.scores += self.together
        self.scores /= np.float32(temperature)
        return self.scores


def sample_levels(levels: Sequence[str], n: int, seed: int) -> list[str]:
    """`n` difficulty levels, each entry of `levels` alike: those of all training rows give them by frequency, distinct ones uniformly."""
    if not levels:
        raise UsageError("no difficulty level to draw from", where="synthesize.levels", remedy="list some, or give rows with levels")
    ordered = sorted(levels)
    rng = np.random.Generator(np.random.Philox([seed % 2**64, 0x1E7E15]))
    return [ordered[i] for i in rng.integers(len(ordered), size=n)]


@dataclass(slots=True)
class _Pool:
    """The sets that may still be drawn. `barred` maps all but one concept of a set that may not to the one left, per set and concept."""

    size: int
    capacity: int
    distinct: bool
    forbidden: list[tuple[int, ...]]
    barred: dict[tuple[int, ...], list[int]] = field(default_factory=dict)
    taken: int = 0

    @classmethod
    def over(cls, model: ConceptModel, size: int, forbidden: Collection[frozenset[str]], distinct: bool) -> _Pool:
        index = {name: i for i, name in enumerate(model.names)}
        sets = [tuple(sorted(index[c] for c in names)) for names in forbidden if len(names) == size and names <= index.keys()]
        sets = sorted({s for s in sets if model.frequency[list(s)].any()})
        unseen = int(np.sum(model.frequency == 0))
        pool = cls(size, comb(len(index), size) - comb(unseen, size) - len(sets), distinct, sets)
        pool._start()
        return pool

    def completions(self, chosen: list[int]) -> list[int]:
        """The concepts that would turn `chosen` into a set that may not be drawn."""
        return self.barred.get(tuple(sorted(chosen)), [])

    def take(self, chosen: list[int]) -> None:
        """If sets are to be distinct, bar this one from now on, until every other has been taken too."""
        if not self.distinct:
            return
        self._bar(tuple(sorted(chosen)))
        self.taken += 1
        if self.taken == self.capacity:
            self._start()

    def _start(self) -> None:
        self.taken, self.barred = 0, {}
        for key in self.forbidden:
            self._bar(key)

    def _bar(self, key: tuple[int, ...]) -> None:
        for i, last in enumerate(key):
            self.barred.setdefault(key[:i] + key[i + 1 :], []).append(last)


def _ids(concepts: Sequence[str], index: dict[str, int]) -> list[int]:
    for concept in concepts:
        if concept not in index:
            raise UsageError(f"concept `{concept}` has no embedding", remedy="embed every concept of the lists")
    return sorted({index[c] for c in concepts})


def _pairs(lists: Sequence[Sequence[int]], n: int) -> tuple[Ints, Ints, Floats]:
    codes = np.fromiter((i * n + j for ids in lists for i in ids for j in ids if i != j), np.int64)
    pairs, counts = np.unique(codes, return_counts=True)
    return np.searchsorted(pairs, np.arange(n + 1) * n), pairs % n, counts.astype(np.float32)


def _blocks(pending: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(pending), BLOCK):
        yield pending[start : start + BLOCK]


def _pick(logits: Floats, barred: Sequence[int], roll: float) -> int | None:
    """The entry at `roll` in [0, 1) of the cumulated softmax without the barred ones; None where nothing is left."""
    weights = logits.copy()
    weights[barred] = -np.inf
    if (top := weights.max()) == -np.inf:
        return None
    weights -= top
    mass = np.cumsum(np.exp(weights, out=weights), dtype=np.float64)
    return int(np.searchsorted(mass, min(roll * mass[-1], np.nextafter(mass[-1], 0)), side="right"))
