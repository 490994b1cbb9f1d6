"""Equal tokens, and parts within parts: which lessons a student sees.

The lessons stand in an order that follows from the seed alone; a budget of tokens takes them from the front until the next would exceed
it. So what a smaller budget takes is contained in what a larger one takes, and each seed is another draw.

    lengths 5 4 6 3 in order, budget 12: the first two (9 tokens), since a third would make 15
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence


def order(ids: Sequence[str], seed: int) -> list[str]:
    """The ids by hash of (seed, id): a random order that does not depend on theirs."""
    return sorted(ids, key=lambda id_: hashlib.sha256(f"trial {seed} {id_}".encode()).digest())


def taken(lengths: Mapping[str, int], seed: int, budget: int) -> list[str]:
    """The ids whose lengths fit the budget together, from the front of their order."""
    used, out = 0, list[str]()
    for id_ in order(list(lengths), seed):
        used += lengths[id_]
        if used > budget:
            return out
        out.append(id_)
    return out


def equal_budget(lengths: Sequence[Mapping[str, int]], wanted: int | None) -> int:
    """The tokens that each corpus gives: what is wanted, but no more than the smallest one has."""
    least = min(sum(own.values()) for own in lengths)
    return least if wanted is None else min(wanted, least)


def epochs_for(steps: int, texts: int, batch: int) -> float:
    """The epochs of `texts` examples that make exactly `steps` optimizer steps of `batch`; see `training.batches.optimizer_steps`."""
    whole, rest = divmod(steps, math.ceil(texts / batch))
    return whole + min(1.0, rest * batch / texts)
