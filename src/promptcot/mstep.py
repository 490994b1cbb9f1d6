"""M-step: what q and p are fitted to, on the completion only.

The examples are rendered by the same `Segmenter` that samples and scores, with the sampled token ids as they are. `replay` adds annotated
triples, so that a fit on the model's own rationales does not drift from the human ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from promptcot.engines.protocol import FitExample
from promptcot.records import Selection, Triple
from promptcot.segments import Segmenter
from promptcot.triples import Pool


def selected_examples(role: str, selections: Sequence[Selection], pool: Pool, segmenter: Segmenter) -> list[FitExample]:
    """The weighted texts that the fit of `role` (`generator` or `posterior`) sees."""
    triples = {triple.id: triple for triple in pool.rows}
    render = segmenter.generator if role == "generator" else segmenter.posterior
    return [FitExample(s.id, render(triples[s.triple], s.ids), s.weight) for s in selections if s.role == role]


def replayed(triples: Sequence[Triple], share: float, selected: int, seed: int) -> list[Triple]:
    """Annotated triples to mix in: `share` of the number of selected ones, drawn without replacement."""
    annotated = [triple for triple in triples if triple.rationale]
    count = min(len(annotated), round(share * selected))
    picks = np.random.default_rng(seed).permutation(len(annotated))[:count]
    return [annotated[i] for i in sorted(picks.tolist())]
