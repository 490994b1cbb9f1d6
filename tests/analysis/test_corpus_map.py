"""The map of corpora, against layouts whose distances are known, and against chance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform

from promptcot.analysis import corpus_map
from promptcot.analysis.halves import halves


@given(st.integers(2, 8), st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_points_of_a_plane_are_found_again(n, seed):
    """Classical MDS is exact where the distances are those of a plane, whatever the rotation; and such a map has no stress."""
    points = np.random.default_rng(seed).normal(size=(n, 2))
    distances = squareform(pdist(points))
    found = corpus_map.classical_mds(distances)
    assert squareform(pdist(found)) == pytest.approx(distances, abs=1e-8)
    assert found.sum(axis=0) == pytest.approx(np.zeros(2), abs=1e-8)
    assert corpus_map.stress(distances, found) == pytest.approx(0, abs=1e-7)


def test_a_textbook_layout():
    """Three towns on a line at 0, 3 and 4: centered at 7/3, and nothing off the line."""
    at = np.array([0.0, 3.0, 4.0])
    found = corpus_map.classical_mds(np.abs(at[:, None] - at[None]))
    assert np.abs(found[:, 0]) == pytest.approx(np.abs(at - 7 / 3))
    assert found[:, 1] == pytest.approx(np.zeros(3), abs=1e-7)


def test_equal_distances_in_three_dimensions_have_the_stress_of_their_square():
    """Four points, all one apart, do not fit a plane: the eigenvalues are 1/2, 1/2, 1/2, 0, and two of them are drawn."""
    distances = 1 - np.eye(4)
    found = corpus_map.classical_mds(distances)
    assert (found**2).sum(axis=0) == pytest.approx([0.5, 0.5])
    drawn = squareform(pdist(found))
    assert corpus_map.stress(distances, found) == pytest.approx(np.sqrt(((distances - drawn) ** 2).sum() / 12))
    assert corpus_map.stress(distances, found) > 0.1


@given(st.integers(3, 7), st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_a_further_point_is_put_where_it_is(n, seed):
    stream = np.random.default_rng(seed)
    points, further = stream.normal(size=(n, 2)), stream.normal(size=(5, 2))
    mapped = corpus_map.classical_mds(squareform(pdist(points)))
    squares = ((further[:, None] - points[None]) ** 2).sum(axis=-1)
    found = corpus_map.placed(mapped, squareform(pdist(points)), squares)
    assert ((found[:, None] - mapped[None]) ** 2).sum(axis=-1) == pytest.approx(squares, abs=1e-6)


def test_cosine_distances_are_those_of_the_angles():
    turned = np.array([[2.0, 0.0], [0.0, 5.0], [-1.0, 0.0], [1.0, 1.0]])
    assert corpus_map.cosine_distances(turned)[0] == pytest.approx([0, 1, 2, 1 - 1 / np.sqrt(2)])


def cloud(direction, n, seed, width=1.0):
    vectors = np.asarray(direction, float) + np.random.default_rng(seed).normal(0, width, (n, len(direction)))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_two_draws_from_one_corpus_are_no_further_apart_than_chance():
    """Their raw distance is that of chance and shrinks with n; the interval of the corrected one holds 0 nine times in ten."""
    direction, held = [1.0] + [0.0] * 15, 0
    raw: dict[int, list[float]] = {}
    for n in (20, 200):
        for seed in range(40):
            own = [cloud(direction, n, 2 * seed + side + 1000 * n, 0.4) for side in (0, 1)]
            [apart] = corpus_map.distances_apart(own, [halves(n, 60, seed + side) for side in (0, 1)])
            held += apart.corrected.low <= 0 <= apart.corrected.high
            raw.setdefault(n, []).append(apart.distance.value)
    assert held >= 0.9 * 80
    assert np.mean(raw[20]) > 3 * np.mean(raw[200])


def test_the_corrected_distance_does_not_depend_on_the_number_of_texts():
    """Between corpora whose directions are 60 degrees apart it stays near its value; the raw distance is inflated by small samples."""
    a, b = [1.0] + [0.0] * 15, [0.5, np.sqrt(0.75)] + [0.0] * 14
    found = {}
    for n in (24, 400):
        apart = [
            corpus_map.distances_apart(
                [cloud(a, n, seed, 0.5), cloud(b, n, seed + 500, 0.5)], [halves(n, 40, seed), halves(n, 40, seed + 7)]
            )[0]
            for seed in range(20)
        ]
        found[n] = (np.mean([one.distance.value for one in apart]), np.mean([one.corrected.value for one in apart]))
    assert found[24][1] == pytest.approx(found[400][1], abs=0.03)
    assert found[24][0] > found[400][0] + 0.03
    assert found[400][1] == pytest.approx(0.5, abs=0.03)


def test_intervals_of_the_corrected_distance_cover_its_expectation():
    a, b = [1.0] + [0.0] * 7, [0.8, 0.6] + [0.0] * 6
    apart = [
        corpus_map.distances_apart(
            [cloud(a, 60, seed, 0.4), cloud(b, 60, seed + 5000, 0.4)], [halves(60, 60, seed), halves(60, 60, seed + 9)]
        )[0]
        for seed in range(150)
    ]
    truth = np.mean([one.corrected.value for one in apart])
    covered = np.mean([one.corrected.low <= truth <= one.corrected.high for one in apart])
    assert 0.9 <= covered <= 0.995


def test_the_same_vectors_give_the_same_map_whatever_the_sign_of_eigenvectors():
    own = [cloud([1.0, 0.2 * k, 0.1 * k * k, 0.0], 30, k) for k in range(4)]
    splits = [halves(30, 12, k) for k in range(4)]
    first, second = (corpus_map.drawn_map(own, splits) for _ in range(2))
    assert (first.places == second.places).all()
    assert (first.clouds == second.clouds).all()
    assert first.clouds.shape == (4, 12, 2)
    for axis in range(2):
        assert first.places[np.argmax(np.abs(first.places[:, axis])), axis] >= 0
