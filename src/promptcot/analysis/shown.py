"""The numbers of an analysis for people and for programs; each with its n and interval."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from promptcot.analysis.difficulty import BANDS
from promptcot.records import CorpusFigure

SCHEMA = 1
APART = ("distance", "null", "corrected")
"""Metrics of two corpora."""
PERCENT = frozenset({"well_posed", "valid", "accuracy", "disagreement", "first", "novelty", "concepts", "new_pairs", *BANDS})
"""Metrics that are shares, shown in percent."""


def as_text(figures: Sequence[CorpusFigure]) -> str:
    """A block for every corpus, then the distances."""
    apart = [f for f in figures if f.metric in APART]
    blocks = [list(_block(corpus, figures)) for corpus in dict.fromkeys(f.corpus for f in figures if f not in apart)]
    if apart:
        blocks.append(
            ["how far apart (1 - cosine of mean embeddings); null: of two halves of one corpus; corrected: not inflated by chance"]
        )
        blocks[-1] += [f"  {f.corpus} and {f.against}, {f.metric:<9} {value(f)}   n={f.n} texts each" for f in apart]
    return "\n\n".join("\n".join(block) for block in blocks)


def _block(corpus: str, figures: Sequence[CorpusFigure]) -> Iterator[str]:
    yield corpus
    for f in figures:
        if f.corpus == corpus and f.metric not in APART:
            yield f"  {title(f):<44} {value(f):>26}   n={f.n}, {f.level:.0%}"


def title(f: CorpusFigure) -> str:
    """`distinct@2`, `accuracy of solver (against own answers)`."""
    name = f.metric.replace("_", " ") + (f"@{f.k}" if f.k else "")
    if f.metric == "first":
        return f"solved first by {f.model}" if f.model else "solved by none of the ladder"
    return name + (f" of {f.model}" if f.model else "") + (f" (against {f.against})" if f.against else "")


def value(f: CorpusFigure) -> str:
    """A number with its interval."""
    scale, digits = (100, 1) if f.metric in PERCENT else (1, 1) if f.metric == "tokens" else (1, 3)
    if math.isnan(f.value):
        return "none"
    interval = "" if math.isnan(f.low) or math.isnan(f.high) else f" [{scale * f.low:.{digits}f}, {scale * f.high:.{digits}f}]"
    return f"{scale * f.value:.{digits}f}{interval}"


def as_json(figures: Sequence[CorpusFigure]) -> dict[str, Any]:
    """The same for programs."""
    names = ("corpus", "metric", "k", "model", "against", "value", "low", "high", "level", "n")
    rows = [{name: getattr(f, name) for name in names} for f in figures]
    return {
        "schema": SCHEMA,
        "figures": [{k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()} for row in rows],
    }
