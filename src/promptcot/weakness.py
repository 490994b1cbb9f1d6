"""Which concepts a solver is weak at: pass rates by concept, shrunk towards their mean, and the weights that the sampler draws by.

A question counts for every concept that it names. Few attempts say little, so a raw share is no guide: of many concepts tried a little,
those at the ends are there by luck. Here theta_c, the pass rate of concept c, comes from a law that all concepts share:

    theta_c ~ Beta(mu M, (1 - mu) M),    solved_c of n_c ~ Binomial(n_c, theta_c)

and mu and M are learned from all concepts together. They are not fixed at their best values, which would make intervals too narrow where
concepts are few, but averaged over: mu uniform, and M / (M + n0), how far a rate of median n0 is shrunk, uniform too (the uniform shrinkage
prior, Daniels 1999). All integrals are sums over a grid, so a rate is right to about .001 and never outside (0, 1).

Attempts at one question resemble each other, so they count for less: n of them for n / (1 + (n - 1) rho), where rho is their correlation,
the ANOVA estimate between questions of one concept. Where no concept has two questions, rho is taken as 1: a question is then one witness.
That drawing may have ended early changes nothing: it ended because of what was drawn, and the likelihood of that is the same.

What this cannot know: a concept can be failed because its problems are ill-posed, and every solver then stays weak at it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from promptcot.records import ConceptRate, record_id

Floats = NDArray[np.float64]

LEVEL = 0.95
CELLS, MEANS, SHRINKS = 512, 32, 16
"""Of the grid: cells of theta, of mu, and of M / (M + n0)."""
BLOCK = 512


@dataclass(frozen=True, slots=True)
class Tried:
    """A question that was attempted: its concepts, and how many of the attempts that count were right."""

    concepts: tuple[str, ...]
    solved: int
    counted: int


def concept_rates(tried: Sequence[Tried], *, strength: float, floor: float) -> list[ConceptRate]:
    """The rate of every concept that was tried, in the order of names, with its weight (see `weighed`)."""
    questions = sorted((q for q in tried if q.counted), key=astuple)  # sums of floats depend on their order
    names = sorted({concept for q in questions for concept in q.concepts})
    if not names:
        return []
    index = {name: i for i, name in enumerate(names)}
    pairs = [(index[c], q.solved, q.counted) for q in questions for c in sorted(set(q.concepts))]
    of, solved, counted = (np.array(column, float) for column in zip(*pairs, strict=True))
    place = of.astype(int)
    effect = 1 + (counted - 1) * clustering(place, solved, counted)
    sums = [np.bincount(place, values, len(names)).astype(float) for values in (solved, counted, solved / effect, counted / effect)]
    found = shrunk(sums[2], sums[3])
    weights = weighed(found.rate, found.expected, strength, floor)
    asked = Counter(place.tolist())
    return [
        ConceptRate(
            id=record_id("concept_rate", (), 0, name),
            concept=name,
            questions=asked[i],
            solved=int(sums[0][i]),
            counted=int(sums[1][i]),
            share=float(sums[0][i] / sums[1][i]),
            rate=float(found.rate[i]),
            low=float(found.low[i]),
            high=float(found.high[i]),
            weight=float(weights[i]),
        )
        for i, name in enumerate(names)
    ]


def weighed(rate: Floats, expected: float, strength: float, floor: float) -> Floats:
    """The weight of a concept: (its failure rate over that of a concept of which nothing is known) ** strength, and no less than `floor`.

    So an untried concept has weight 1, and one that is always solved is drawn less but never vanishes."""
    return np.maximum(floor, ((1 - rate) / (1 - expected)) ** strength)


def clustering(place: NDArray[np.int_], solved: Floats, counted: Floats) -> float:
    """The correlation of attempts at one question, within concepts: the ANOVA estimate of Ridout, Demetrio and Firth (Biometrics 55, 1999),
    held in [0, 1]. One entry for every concept of every question; 1 where no concept has two questions."""
    concepts = place.max() + 1
    totals = np.bincount(place, counted, concepts)
    mean = np.bincount(place, solved, concepts)[place] / totals[place]
    rate = solved / counted
    between_df = len(place) - np.count_nonzero(totals)
    within_df = float((counted - 1).sum())
    if within_df == 0:
        return 0.0  # one attempt a question: there is nothing to correlate
    if between_df == 0:
        return 1.0
    between = float((counted * (rate - mean) ** 2).sum()) / between_df
    within = float((counted * rate * (1 - rate)).sum()) / within_df
    size = float(counted.sum() - (counted**2 / totals[place]).sum()) / between_df
    spread = between + (size - 1) * within
    return float(np.clip((between - within) / spread, 0, 1)) if spread > 0 else 1.0


@dataclass(frozen=True, slots=True)
class Shrunk:
    """Posterior mean and limits at `LEVEL` of every rate [C], and the mean rate of a concept of which nothing is known."""

    rate: Floats
    low: Floats
    high: Floats
    expected: float


def shrunk(solved: Floats, counted: Floats) -> Shrunk:
    """The rates of C concepts from effective counts (no whole numbers, `counted` above 0)."""
    edges, theta = _grid(CELLS)
    prior, means, log_prior = _laws(theta, np.diff(edges), float(np.median(counted)))
    rows, back = np.unique(np.stack([solved, counted], axis=1), axis=0, return_inverse=True)
    repeats = np.bincount(back.reshape(-1))
    log_p = log_prior.copy()
    for block, likelihood, top in _likelihoods(rows, theta):
        log_p += repeats[block] @ (np.log(likelihood @ prior.T) + top)
    laws = np.exp(log_p - log_p.max())
    laws /= laws.sum()
    found = np.empty((3, len(rows)))
    for block, likelihood, _ in _likelihoods(rows, theta):
        mass = likelihood * ((laws / (likelihood @ prior.T)) @ prior)
        cumulated = np.concatenate([np.zeros((len(mass), 1)), np.cumsum(mass, axis=1)], axis=1)
        found[0, block] = mass @ theta
        for row, at in enumerate(range(*block.indices(len(rows)))):
            found[1:, at] = np.interp([(1 - LEVEL) / 2, (1 + LEVEL) / 2], cumulated[row], edges)
    rate, low, high = found[:, back.reshape(-1)]
    return Shrunk(rate, low, high, float(laws @ means))


def _grid(cells: int) -> tuple[Floats, Floats]:
    """Edges and middles of cells of (0, 1), narrower towards both ends: even in the arcsine of the root."""
    return np.sin(np.linspace(0, np.pi / 2, cells + 1)) ** 2, np.sin((np.arange(cells) + 0.5) / cells * np.pi / 2) ** 2


def _laws(theta: Floats, width: Floats, size: float) -> tuple[Floats, Floats, Floats]:
    """The laws that concepts may share: their mass on the cells of theta [G, T], their means [G], and their log prior [G]."""
    edges, mu = _grid(MEANS)
    share = (np.arange(SHRINKS) + 0.5) / SHRINKS
    means, sizes = np.repeat(mu, SHRINKS), np.tile(size * share / (1 - share), MEANS)
    log_density = np.outer(means * sizes - 1, np.log(theta)) + np.outer((1 - means) * sizes - 1, np.log1p(-theta)) + np.log(width)
    mass = np.exp(log_density - log_density.max(axis=1, keepdims=True)) + 1e-300
    return mass / mass.sum(axis=1, keepdims=True), means, np.log(np.repeat(np.diff(edges), SHRINKS))


def _likelihoods(rows: Floats, theta: Floats) -> Iterator[tuple[slice, Floats, Floats]]:
    """Of blocks of (solved, counted): their place, their likelihood on the grid over its maximum [rows, T], the log of that [rows, 1]."""
    log_right, log_wrong = np.log(theta), np.log1p(-theta)
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        log_p = np.outer(block[:, 0], log_right) + np.outer(block[:, 1] - block[:, 0], log_wrong)
        top = log_p.max(axis=1, keepdims=True)
        yield slice(start, start + len(block)), np.exp(log_p - top), top


def by_concept(rates: Sequence[ConceptRate]) -> Mapping[str, float]:
    """The weights, by concept."""
    return {row.concept: row.weight for row in rates}
