"""Nearest neighbors by embedding, against the definition."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from promptcot.engines.scripted import ScriptedEngine
from promptcot.semantic import nearest, neighbors
from tests.test_screening import CARDS, POND, TRAM, problem, seed


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 99))
def test_the_nearest_row_has_the_largest_cosine(queries, rows, at):
    rng = np.random.default_rng(at)
    a, b = (rng.normal(size=(n, 3)).astype(np.float32) for n in (queries, rows))
    a, b = (m / np.linalg.norm(m, axis=1, keepdims=True) for m in (a, b))
    for query, (i, cosine) in zip(a, nearest(a, b), strict=True):
        assert (i, math.isnan(cosine)) == (-1, True) if not rows else abs(cosine - max(b @ query)) < 1e-5 and i == int(np.argmax(b @ query))
    for k, (i, _) in enumerate(nearest(a, a, own=True)):
        assert i != k


def test_every_problem_gets_its_neighbors_with_their_ids():
    engine = ScriptedEngine([], "")
    rows = [problem("a", TRAM), problem("b", TRAM), problem("c", POND)]
    found = neighbors(rows, [seed("s1", CARDS), seed("s2", POND)], engine)
    assert [(r.problem, r.nearest) for r in found][:2] == [("a", "b"), ("b", "a")]
    assert (found[2].human, round(found[2].human_cosine, 4)) == ("s2", 1.0)
    alone = neighbors(rows[:1], [], engine)[0]
    assert (alone.nearest, alone.human, math.isnan(alone.cosine)) == ("", "", True)
    assert neighbors([], [], engine) == []
