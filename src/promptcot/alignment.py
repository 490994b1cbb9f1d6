"""Two texts side by side: which stretches of characters of one are the words of which stretch of the other.

    shared("By the sea. A KEEPER climbs 164 steps.", "a keeper climbs\\n164 steps each day")  ->  [(12, 38, 0, 25)]

Words are those of `words.words`, so case, punctuation and layout do not part a stretch; places are in characters of the texts as given.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from promptcot.words import located_words

LEAST = 3
"""Words of a stretch; shorter ones line up by chance."""

Stretch = tuple[int, int, int, int]


def shared(ours: str, theirs: str, least: int = LEAST) -> list[Stretch]:
    """The stretches (ours_from, ours_to, theirs_from, theirs_to) that match, in order: the longest was found first, then its sides."""
    a, b = located_words(ours), located_words(theirs)
    matcher = SequenceMatcher(None, [word for word, *_ in a], [word for word, *_ in b], autojunk=False)
    return [
        (*_place(a[m.a : m.a + m.size]), *_place(b[m.b : m.b + m.size])) for m in matcher.get_matching_blocks() if m.size >= max(1, least)
    ]


def _place(located: Sequence[tuple[str, int, int]]) -> tuple[int, int]:
    return located[0][1], located[-1][2]
