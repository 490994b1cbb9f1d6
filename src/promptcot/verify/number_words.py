"""Numbers in words: `forty-two`, `three hundred and twelve`, `one half`; and words that scale a numeral: `5 million`."""

from __future__ import annotations

from fractions import Fraction

_ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen"]
_ONES += ["fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_SMALL = {word: n for n, word in enumerate(_ONES)}
_SMALL |= {word: 10 * n for n, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2)}
SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PARTS = {"half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4, "fourths": 4, "fifth": 5, "fifths": 5}


def value_of(text: str) -> Fraction | None:
    """The number that a text of words is, None where it is none."""
    words = text.lower().replace("-", " ").split()
    negative = bool(words) and words[0] in ("minus", "negative")
    words = words[1:] if negative else words
    if len(words) == 2 and words[1] in _PARTS and words[0] in ("a", *_SMALL):
        found: Fraction | None = Fraction(_SMALL.get(words[0], 1), _PARTS[words[1]])
    else:
        found = _whole([word for word in words if word != "and"])
    return None if found is None else -found if negative else found


def _whole(words: list[str]) -> Fraction | None:
    total = group = 0
    if words in (["hundred"], ["thousand"], ["million"]):
        words = ["one", *words]
    for word in words:
        if word in _SMALL:
            if group % 100 and not (group % 10 == 0 and _SMALL[word] < 10 and group % 100 >= 20):
                return None
            group += _SMALL[word]
        elif word == "hundred" and 0 < group < 100:
            group *= 100
        elif word in SCALES and group:
            total, group = total + group * SCALES[word], 0
        else:
            return None
    return Fraction(total + group) if words else None
