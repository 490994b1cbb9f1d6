"""What the texts of a corpus have in common at their ends: templates, such as a request to box the answer.

An embedding sees a template in every text, so it moves the whole corpus: a boxed-answer suffix alone moves MATH-500 further than MATH-500
is from AIME. A template is found by frequency, without a list of known ones: a run of at least `WORDS` words that ends (or begins) at least
`SHARE` of the texts. It is taken as long as nearly as many texts have it, cut off, and looked for again.

Phrases that people end problems with (`Find $m+n$.`) are cut as well, where they are that frequent: they too are form, not content.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

WORDS = 4
"""Shortest template, in words."""
SHARE = 0.05
"""Least share of the texts that have it."""
FEWEST = 5
"""Least number of texts that have it."""
KEPT = 0.8
"""A longer template is taken while it keeps this share of the texts of the shorter one."""
_WORD = re.compile(r"\S+")


def stripped(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """The texts without their templates, in order, and the templates found. A text that would be left with nothing keeps its last cut."""
    ends, suffixes = _cut([_WORD.findall(text)[::-1] for text in texts])
    begins, prefixes = _cut([words[::-1] for words in ends])
    found = [" ".join(reversed(words)) for words in suffixes] + [" ".join(words) for words in prefixes]
    return [text if not _changed(text, left) else " ".join(left) for text, left in zip(texts, begins, strict=True)], found


def _changed(text: str, words: Sequence[str]) -> bool:
    return len(_WORD.findall(text)) != len(words)


def _cut(texts: list[list[str]]) -> tuple[list[list[str]], list[tuple[str, ...]]]:
    """The texts without what they share at their beginnings, and what that was."""
    found = list[tuple[str, ...]]()
    while template := _most_common(texts):
        found.append(template)
        size = len(template)
        texts = [words[size:] if len(words) > size and tuple(words[:size]) == template else words for words in texts]
    return texts, found


def _most_common(texts: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The longest beginning that keeps nearly all texts of its first `WORDS` words; empty where none is frequent."""
    least = max(FEWEST, SHARE * len(texts))
    counts = Counter(tuple(words[:WORDS]) for words in texts if len(words) > WORDS)
    template, count = max(counts.items(), key=lambda item: (item[1], item[0]), default=((), 0))
    if count < least:
        return ()
    mine = [words for words in texts if tuple(words[:WORDS]) == template]
    for size in range(WORDS + 1, max(map(len, mine))):
        longer, times = Counter(tuple(words[:size]) for words in mine if len(words) > size).most_common(1)[0] if mine else ((), 0)
        if times < max(least, KEPT * count):
            break
        template, count = longer, times
    return template
