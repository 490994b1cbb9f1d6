"""M-step: what q and p are fitted to, on the completion only.

The examples are rendered by the same `Segmenter` that samples and scores, with the sampled token ids as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from promptcot.engines.protocol import FitExample
from promptcot.records import Selection
from promptcot.segments import Segmenter
from promptcot.triples import Pool


def selected_examples(role: str, selections: Sequence[Selection], pool: Pool, segmenter: Segmenter) -> list[FitExample]:
    """The weighted texts that the fit of `role` (`generator` or `posterior`) sees."""
    triples = {triple.id: triple for triple in pool.rows}
    render = segmenter.generator if role == "generator" else segmenter.posterior
    return [FitExample(s.id, render(triples[s.triple], s.ids), s.weight) for s in selections if s.role == role]
