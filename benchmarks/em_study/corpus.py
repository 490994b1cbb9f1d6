"""What the real-model study reads: starter training problems of which a quarter keep their rationale, and two test sets.

The split into train, dev and test is that of the package, by problem family, and the same for every training seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from promptcot.annotate import from_source
from promptcot.outcomes import Split
from promptcot.recipe import Input, Recipe
from promptcot.records import Seed, Triple
from promptcot.seeds import read_seeds
from promptcot.triples import Pool


@dataclass(frozen=True)
class Corpus:
    """`train` holds all of (c, x), a share of it with z; `annotated` only that share; `held_out` the sets by name (`dev` for tries,
    `starter` and `champ` for tests); `all_rows` every starter problem, which nothing that is written may copy."""

    train: Pool
    annotated: Pool
    held_out: dict[str, Pool]
    all_rows: tuple[Triple, ...]


def read(recipe: Recipe, *, train: int, test: int, champ: int) -> Corpus:
    """`train` training problems in the recipe's share of annotated ones, `test` dev and starter test problems, `champ` CHAMP ones."""
    rows = [from_source(seed) for seed in read_seeds(recipe.inputs.seeds, domain="math", seed=0).rows]
    learned = _training(rows, train)
    return Corpus(
        train=_pool(learned, "train"),
        annotated=_pool([row for row in learned if row.rationale], "annotated"),
        held_out={
            "dev": _pool(_spread(_of(rows, Split.DEV), test), "dev"),
            "starter": _pool(_spread(_of(rows, Split.TEST), test), "test"),
            "champ": _pool(_champ(champ), "champ"),
        },
        all_rows=tuple(rows),
    )


def _training(rows: Sequence[Triple], count: int) -> list[Triple]:
    """`count` training problems, annotated ones in the share that all of them have, spread over families."""
    every = _of(rows, Split.TRAIN)
    annotated = [row for row in every if row.rationale]
    wanted = round(count * len(annotated) / len(every))
    return [*_spread(annotated, wanted), *_spread([row for row in every if not row.rationale], count - wanted)]


def _champ(count: int) -> list[Triple]:
    """CHAMP problems of which the concepts are known, short enough to be compared on a CPU."""
    seeds: list[Seed] = [seed for seed in read_seeds([Input(path="champ")], domain="math", seed=0).rows if seed.concepts]
    rows = [from_source(seed) for seed in seeds if len(seed.problem) < 400]
    return _spread([replace(row, split=Split.TEST) for row in rows], count)


def _of(rows: Sequence[Triple], split: Split) -> list[Triple]:
    return [row for row in rows if row.split == split]


def _spread(rows: Sequence[Triple], count: int) -> list[Triple]:
    """One of each family in a fixed random order, then a second of each, and so on, up to `count`."""
    families: dict[str, list[Triple]] = {}
    for row in sorted(rows, key=lambda row: row.id):
        families.setdefault(row.family, []).append(row)
    names = sorted(families)
    order = [names[i] for i in np.random.default_rng(0).permutation(len(names))]
    ranked = sorted(
        ((place, turn, row.id, row) for turn, name in enumerate(order) for place, row in enumerate(families[name])), key=lambda r: r[:3]
    )
    return [row for *_, row in ranked[:count]]


def _pool(rows: Sequence[Triple], name: str) -> Pool:
    ordered = tuple(sorted(rows, key=lambda row: row.id))
    return Pool(ordered, f"{name}:{','.join(row.id[:8] for row in ordered)}:{sum(bool(row.rationale) for row in ordered)}")
