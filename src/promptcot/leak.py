"""Whether a rationale z gives its problem x away, by wording alone: two shares in [0, 1] over `words`.

Copying x into z drives log p(x|z,c) to 0 and the likelihood as such does not punish it, so every candidate is measured.
`containment` sees runs copied verbatim; `overlap` sees a copy with words strewn in, but also rises with any long
rationale, since common words line up by chance. Neither sees a paraphrase.
"""

from __future__ import annotations

from collections.abc import Sequence

from promptcot.words import words


def containment(problem: str, rationale: str, n: int = 8) -> float:
    """The share of x's distinct word n-grams that occur in z.

    A problem of fewer than `n` words is one gram of its whole length; one without words has nothing to leak: 0."""
    x, z = words(problem), words(rationale)
    n = min(n, len(x))
    if n == 0:
        return 0.0
    grams = _grams(x, n)
    return len(grams & _grams(z, n)) / len(grams)


def overlap(problem: str, rationale: str) -> float:
    """The longest common subsequence of words of x and z over the number of words of x; 0 for a problem without words."""
    x = words(problem)
    return lcs(x, words(rationale)) / len(x) if x else 0.0


def lcs(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence, one big-integer step per element of `b` (Hyyro's bit-parallel recurrence).

    Bit i of `rows` is 0 where the table of lengths steps up at row i, so the zeros count the length."""
    at: dict[str, int] = {}
    for i, item in enumerate(a):
        at[item] = at.get(item, 0) | 1 << i
    full = (1 << len(a)) - 1
    rows = full
    for item in b:
        matches = rows & at.get(item, 0)
        rows = ((rows + matches) | (rows - matches)) & full
    return len(a) - rows.bit_count()


def _grams(items: Sequence[str], n: int) -> set[tuple[str, ...]]:
    return {tuple(items[i : i + n]) for i in range(len(items) - n + 1)}
