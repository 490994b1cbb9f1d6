"""The map of corpora (PromptCoT 2.0, analysis of problem distributions): a corpus is the mean of its texts' embeddings, the distance of
two is 1 - cosine, and classical MDS draws it in two dimensions.

Unlike the paper, corpora have equal numbers of texts and lose their templates first (`affixes`), and a distance stands beside what chance
makes: two random halves of one corpus are apart as well, since the mean of n texts is longer than the corpus's own, by their spread. So

    distance    1 - cosine of random halves of A and of B, n texts each
    null        the same of the two random halves of A, and of B
    corrected   1 - m_A . m_B / sqrt(|mu_A|^2 |mu_B|^2) with |mu|^2 estimated without bias, (n |m|^2 - 1) / (n - 1) for unit vectors (the
                mean over pairs of different texts): does not depend on n, and is 0 on average for two draws from the same corpus

The map has a stress: how far its distances are from those it draws. 1 - cosine is no distance in a plane, so it is never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from promptcot.analysis.halves import Indices, estimate
from promptcot.intervals import Estimate

Splits = Sequence[tuple[Indices, Indices]]


@dataclass(frozen=True)
class Apart:
    """Two corpora: their distance, what chance alone makes, and the distance of what they were drawn from; all at `n` texts a half."""

    a: int
    b: int
    distance: Estimate
    null: Estimate
    corrected: Estimate


@dataclass(frozen=True)
class Map:
    """`places` of the corpora, float [corpora, 2]; `clouds` of their random halves, float [corpora, halves, 2]; the map's stress."""

    places: np.ndarray
    clouds: np.ndarray
    stress: float


def cosine_distances(means: np.ndarray) -> np.ndarray:
    """1 - cosine of every two rows, [n, n], exactly 0 on the diagonal."""
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    found: np.ndarray = np.clip(1 - unit @ unit.T, 0.0, 2.0)
    np.fill_diagonal(found, 0.0)
    return found


def classical_mds(distances: np.ndarray, dimensions: int = 2) -> np.ndarray:
    """Coordinates whose distances come near those given (Torgerson, Psychometrika 17, 1952), float [n, dimensions], centered.

    The eigenvectors of -1/2 J D^2 J with the largest eigenvalues, times their roots; directions with none above 0 are flat. Each axis
    points to where its farthest point is, so the same distances give the same picture."""
    n = len(distances)
    center = np.eye(n) - 1 / n
    values, vectors = np.linalg.eigh(-0.5 * center @ distances**2 @ center)
    found = np.zeros((n, dimensions))
    for axis, place in enumerate(np.argsort(values)[::-1][:dimensions]):
        if values[place] > 1e-12 * max(abs(values).max(), 1e-300):
            found[:, axis] = vectors[:, place] * np.sqrt(values[place])
            found[:, axis] *= np.sign(found[np.argmax(np.abs(found[:, axis])), axis])
    return found


def placed(points: np.ndarray, distances: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Where a further point stands on a map, by its squared distances to the mapped ones (Gower, Biometrika 55, 1968).

    `points`: the map, [n, 2]; `distances`: those it was made from, [n, n]; `squares`: [further, n]. Returns [further, 2]."""
    lengths = (points**2).sum(axis=0)
    center = (distances**2).mean(axis=0) - (distances**2).mean() / 2
    scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    found: np.ndarray = 0.5 * (center - squares) @ points * scale
    return found


def stress(distances: np.ndarray, points: np.ndarray) -> float:
    """Kruskal's stress-1: sqrt(sum (d - drawn)^2 / sum d^2) over pairs; 0 for a faithful map."""
    drawn = np.linalg.norm(points[:, None] - points[None], axis=-1)
    total = float((distances**2).sum())
    return float(np.sqrt(((distances - drawn) ** 2).sum() / total)) if total > 0 else 0.0


def drawn_map(vectors: Sequence[np.ndarray], splits: Sequence[Splits], shown: int = 20) -> Map:
    """The map of corpora by all their vectors, and where some of their random halves would stand."""
    distances = cosine_distances(np.stack([own.mean(axis=0) for own in vectors]))
    points = classical_mds(distances)
    whole = [own.mean(axis=0) for own in vectors]
    clouds = []
    for own, cuts in zip(vectors, splits, strict=True):
        means = np.stack([own[half].mean(axis=0) for half, _ in cuts[:shown]])
        further = cosine_distances(np.vstack([means, whole]))[: len(means), len(means) :]
        clouds.append(placed(points, distances, further**2))
    return Map(points, np.stack(clouds), stress(distances, points))


def distances_apart(vectors: Sequence[np.ndarray], splits: Sequence[Splits], level: float = 0.95) -> list[Apart]:
    """Every two corpora. All must have as many vectors, and as many splits. A half whose |mu|^2 comes out below 0 has no direction that
    could be told from none; its split is left out, and a distance without any is nan."""
    halves = [np.stack([[own[half].mean(axis=0) for half in split] for split in cuts]) for own, cuts in zip(vectors, splits, strict=True)]
    lengths = [np.linalg.norm(own, axis=-1) for own in halves]  # [splits, 2] each
    within = [1 - (own[:, 0] * own[:, 1]).sum(axis=-1) / by.prod(axis=-1) for own, by in zip(halves, lengths, strict=True)]
    n, found = len(splits[0][0][0]), []
    true = [np.sqrt(np.where((own := (n * by**2 - 1) / (n - 1)) > 0, own, np.nan)) for by in lengths]
    for a in range(len(halves)):
        for b in range(a + 1, len(halves)):
            product = (halves[a] * halves[b]).sum(axis=-1)
            parts = (1 - product / (lengths[a] * lengths[b]), ((within[a] + within[b]) / 2)[:, None], 1 - product / (true[a] * true[b]))
            distance, null, corrected = (estimate(values[np.isfinite(values).all(axis=1)], n, level) for values in parts)
            found.append(Apart(a, b, distance, null, corrected))
    return found
