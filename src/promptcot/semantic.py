"""Nearest neighbors by embedding: a report for people, never a reason to drop. A high cosine is one subject as often as one problem."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from promptcot.engines.protocol import Embedder
from promptcot.records import Neighbors, Problem, inherited, record_id

_BLOCK = 1024
_TEXTS = 256

Floats = NDArray[np.float32]


class Text(Protocol):
    """Anything with a text of its own: a seed, a triple, a problem."""

    @property
    def id(self) -> str:
        """Names it."""
        ...

    @property
    def problem(self) -> str:
        """x."""
        ...


def neighbors(problems: Sequence[Problem], humans: Sequence[Text], embedder: Embedder) -> list[Neighbors]:
    """For each problem the nearest other problem and the nearest human text, by cosine; ties go to the first."""
    ours, theirs = _vectors(problems, embedder), _vectors(humans, embedder)
    near, near_human = nearest(ours, ours, own=True), nearest(ours, theirs)
    return [
        Neighbors(
            id=record_id("neighbors", (p.id,)),
            parents=(p.id,),
            problem=p.id,
            nearest=problems[i].id if i >= 0 else "",
            cosine=cosine,
            human=humans[j].id if j >= 0 else "",
            human_cosine=human_cosine,
            **inherited(p),
        )
        for p, (i, cosine), (j, human_cosine) in zip(problems, near, near_human, strict=True)
    ]


def nearest(queries: Floats, corpus: Floats, *, own: bool = False) -> list[tuple[int, float]]:
    """The row of `corpus` [n, d] with the largest cosine for each of `queries` [m, d], and that cosine; (-1, nan) without any.

    Rows are unit vectors. With `own`, query i and row i are one text and do not meet."""
    if len(corpus) <= own:
        return [(-1, float("nan"))] * len(queries)
    found = []
    for start in range(0, len(queries), _BLOCK):
        cosines = queries[start : start + _BLOCK] @ corpus.T
        if own:
            rows = np.arange(len(cosines))
            cosines[rows, start + rows] = -np.inf
        best = cosines.argmax(axis=1)
        found += list(zip(best.tolist(), cosines[np.arange(len(best)), best].tolist(), strict=True))
    return found


def _vectors(texts: Sequence[Text], embedder: Embedder) -> Floats:
    parts = [embedder.embed([t.problem for t in texts[i : i + _TEXTS]]) for i in range(0, len(texts), _TEXTS)]
    return np.concatenate(parts) if parts else np.empty((0, 1), np.float32)
