"""Triples as EM and the cold start take them: one split's rows, with a digest that stands for them in keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from promptcot.outcomes import Split
from promptcot.records import Triple


@dataclass(frozen=True)
class Pool:
    """Triples with a digest that stands for them in keys."""

    rows: tuple[Triple, ...]
    digest: str


def of_split(rows: Sequence[Triple], split: Split, digest: str) -> Pool:
    """The triples of one split, in the order of their ids."""
    return Pool(tuple(sorted((t for t in rows if t.split == split), key=lambda t: t.id)), f"{digest}/{split}")


def held_out(rows: Sequence[Triple], digest: str, count: int, seed: int) -> Pool:
    """`count` dev triples, spread over families: one of each in a seeded order, then a second of each, and so on.

    A triple with several annotations counts once, since the bound needs (c, x) alone."""
    once = {(t.problem, t.concepts): t for t in reversed(of_split(rows, Split.DEV, digest).rows)}
    families: dict[str, list[Triple]] = {}
    for triple in sorted(once.values(), key=lambda t: t.id):
        families.setdefault(triple.family, []).append(triple)
    names = sorted(families)
    order = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    ranked = sorted((place, turn, t.id, t) for turn, name in enumerate(order) for place, t in enumerate(families[name]))
    return Pool(tuple(t for *_, t in ranked[:count]), f"{digest}/dev/{count}/{seed}")


def replayed(triples: Sequence[Triple], share: float, selected: int, seed: int) -> list[Triple]:
    """Annotated triples to mix into a fit on a model's own texts, so that it does not drift from the human ones: `share` of the number of
    selected ones, drawn without replacement."""
    annotated = [triple for triple in triples if triple.rationale]
    count = min(len(annotated), round(share * selected))
    picks = np.random.default_rng(seed).permutation(len(annotated))[:count]
    return [annotated[i] for i in sorted(picks.tolist())]
