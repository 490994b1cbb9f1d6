"""Marks of simulated solvers, and the tolerance of a simulated coverage."""

import math

import numpy as np

from promptcot.evaluation.marks import Marks
from promptcot.outcomes import Verdict

LETTERS = {
    "c": Verdict.CORRECT,
    "w": Verdict.WRONG,
    "n": Verdict.NO_ANSWER,
    "t": Verdict.TRUNCATED,
    "u": Verdict.UNDECIDED,
    "v": Verdict.VERIFIER_ERROR,
}


def marks(question, letters, piles=None, tokens=None):
    """A letter for each attempt; without `piles` right ones agree and wrong ones agree."""
    given = piles or [{"c": 0, "w": 1, "u": 2}.get(x, -1) for x in letters]
    return Marks(question, tuple(LETTERS[x] for x in letters), tuple(given), tuple(tokens or [None] * len(letters)))


def solver(p, k, rng):
    """k attempts at each question, right with its chance."""
    right = rng.random((len(p), k)) < np.asarray(p)[:, None]
    return [marks(f"q{i:04d}", ["c" if r else "w" for r in row]) for i, row in enumerate(right)]


def tolerance(level, runs):
    """Four standard errors of a share of `runs` simulations: a right interval fails one test in 30,000."""
    return 4 * math.sqrt(level * (1 - level) / runs)
