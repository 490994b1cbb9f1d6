"""Of how many of a corpus's texts a number about difficulty speaks: those that are problems one can set to work on.

Difficulty cannot tell hard from ill-posed, so this share stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

from promptcot import wellposed
from promptcot.intervals import Estimate, wilson

HOW = "rules"
"""How the share is known: by the rules of `wellposed` over the wording, which see no contradiction and no missing fact. An upper bound."""


def well_posed(texts: Sequence[str], level: float = 0.95) -> Estimate:
    """The share of the texts that are whole, state a task and ask for no proof, with Wilson's interval."""
    good = sum(wellposed.complete(text) and wellposed.states_task(text) and wellposed.not_a_proof(text) for text in texts)
    return wilson(good, len(texts), level)
