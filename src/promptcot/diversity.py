"""How diverse a choice of problems is, and which of them to leave out where it is not diverse enough.

A generator that is fitted on its own best problems writes more of what it wrote: each round narrows the next. R-Zero (arXiv 2508.05004),
whose challenger is trained on a solver's uncertainty, charges it for questions that resemble others of its batch, and still reports that
gains turn into losses after some rounds. Here three figures of the chosen problems are held against a floor:

    repeated   share of problems that repeat another one: clusters by word 5-grams, all but one of each
    distinct   distinct word pairs over all of them, relative to human problems
    pairs      distinct concept pairs over all of them, relative to the concept sets that were asked for

The last two fall as texts are added, whatever their kind, so both sides are taken at the same number of texts: the mean over random
samples of `SAMPLE` (fewer where either side has fewer), as species are counted by rarefaction.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from promptcot.duplicates import clusters, grams
from promptcot.durable import canonical
from promptcot.recipe import Floor

SAMPLE, DRAWS = 200, 20
"""How many texts are compared at a time, and how often they are drawn."""
STEP = 0.8
"""By what factor the most problems of a concept pair are lowered, until the floor is reached."""

Units = frozenset[Hashable]


@dataclass(frozen=True, slots=True)
class Item:
    """A problem that may be chosen: its id, its text and its concepts."""

    id: str
    problem: str
    concepts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """What a choice is held against: human problems (or, without any, all that pass the screens), and the concept sets asked for."""

    problems: tuple[str, ...]
    asked: tuple[tuple[str, ...], ...]

    @property
    def digest(self) -> str:
        """Stands for both, in keys."""
        return hashlib.sha256(canonical([self.problems, self.asked]).encode(errors="surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Diversity:
    """The figures of a choice of `problems`, see the module; 1 where there is nothing to compare with."""

    problems: int
    repeated: float
    distinct: float
    pairs: float

    def misses(self, floor: Floor) -> list[str]:
        """What is beyond the floor, in words."""
        out = [f"repeated {self.repeated:.2f} is more than {floor.repeated:g}"] if self.repeated > floor.repeated else []
        out += [f"distinct {self.distinct:.2f} is less than {floor.distinct:g}"] if self.distinct < floor.distinct else []
        return out + ([f"pairs {self.pairs:.2f} is less than {floor.pairs:g}"] if self.pairs < floor.pairs else [])


@dataclass(frozen=True, slots=True)
class Balanced:
    """Which problems stay, why each of the others does not, and the figures before and after."""

    kept: tuple[str, ...]
    left_out: dict[str, str]
    before: Diversity
    after: Diversity


def measure(items: Sequence[Item], reference: Reference, floor: Floor, *, seed: int) -> Diversity:
    """The figures of a choice."""
    words = [_words(item.problem) for item in items], [_words(text) for text in reference.problems]
    pairs = [concept_pairs(item.concepts) for item in items], [concept_pairs(concepts) for concepts in reference.asked]
    repeated = sum(first.id != id_ for id_, first in _first_of_clusters(items, floor).items())
    return Diversity(len(items), repeated / max(1, len(items)), _relative(*words, seed), _relative(*pairs, seed))


def rebalanced(items: Sequence[Item], reference: Reference, floor: Floor, *, seed: int) -> Balanced:
    """The choice itself where it is at the floor. Else, in the order of a hash: one of those that repeat each other, if too many do; then
    at most so many of each concept pair, as few as it takes. What is still below the floor then comes back as it is."""
    ordered = sorted(items, key=lambda item: hashlib.sha256(f"{seed} {item.id}".encode()).hexdigest())
    before = after = measure(ordered, reference, floor, seed=seed)
    kept, left_out = ordered, dict[str, str]()
    if before.repeated > floor.repeated:
        first = _first_of_clusters(ordered, floor)
        left_out = {item.id: f"repeats {first[item.id].id}" for item in ordered if first[item.id] is not item}
        kept = [item for item in ordered if item.id not in left_out]
        after = measure(kept, reference, floor, seed=seed)
    cap = max(Counter(pair for item in kept for pair in concept_pairs(item.concepts)).values(), default=0)
    while after.misses(floor) and cap > 1:
        cap = min(cap - 1, math.floor(cap * STEP))
        crowded = _over(kept, cap)
        rest = [item for item in kept if item.id not in crowded]
        left = measure(rest, reference, floor, seed=seed)
        if not left.misses(floor) or cap == 1:
            why = f"a concept pair of it already has {cap} problem{'s' if cap > 1 else ''} here"
            left_out |= dict.fromkeys(crowded, why)
            kept, after = rest, left
    return Balanced(tuple(item.id for item in kept), left_out, before, after)


def concept_pairs(concepts: Sequence[str]) -> Units:
    """The unordered pairs of a problem's concepts; a single concept stands for itself."""
    names = sorted(set(concepts))
    return frozenset(combinations(names, 2)) if len(names) > 1 else frozenset([tuple(names)])


def rarefied(texts: Sequence[Units], size: int, seed: int) -> float:
    """Distinct units over all units of `size` texts: the mean over random samples of them."""
    stream = np.random.default_rng(seed)
    shares = []
    for _ in range(DRAWS if size < len(texts) else 1):
        drawn = [texts[i] for i in stream.permutation(len(texts))[:size]]
        shares.append(len(frozenset[Hashable]().union(*drawn)) / max(1, sum(map(len, drawn))))
    return math.fsum(shares) / len(shares)


def _relative(mine: Sequence[Units], theirs: Sequence[Units], seed: int) -> float:
    size = min(SAMPLE, len(mine), len(theirs))
    return rarefied(mine, size, seed) / rarefied(theirs, size, seed) if size else 1.0


def _words(problem: str) -> Units:
    return frozenset[Hashable](grams(problem, 2))


def _first_of_clusters(items: Sequence[Item], floor: Floor) -> dict[str, Item]:
    """The first item of its cluster, by the id of each."""
    roots = clusters([item.problem for item in items], threshold=floor.similar)
    first: dict[int, Item] = {}
    return {item.id: first.setdefault(root, item) for item, root in zip(items, roots, strict=True)}


def _over(items: Sequence[Item], cap: int) -> list[str]:
    """Who comes too late: with one of its concept pairs in `cap` items before it that stay."""
    seen, out = Counter[Hashable](), list[str]()
    for item in items:
        pairs = concept_pairs(item.concepts)
        if any(seen[pair] >= cap for pair in pairs):
            out.append(item.id)
        else:
            seen.update(pairs)
    return out
