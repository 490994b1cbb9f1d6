"""What an answer may cost before any parser reads it: length, characters, nesting, digits.

A text beyond these is `Unreadable`: it may still be equal to the same text, but nothing computes with it.
"""

from __future__ import annotations

import re
import unicodedata

MAX_ANSWER = 1000
"""Characters of an answer."""

MAX_NESTING = 64
"""Brackets open at a time."""

MAX_DIGITS = 400
"""Digits of one number."""

_TOO_MANY_DIGITS = re.compile(rf"\d{{{MAX_DIGITS + 1}}}")


class Unreadable(Exception):
    """The text is no answer that can be computed with; the message says why. Never an error of the run: a verdict follows."""


def check(text: str) -> None:
    """Raise `Unreadable` for a text that no parser should see."""
    if len(text) > MAX_ANSWER:
        raise Unreadable(f"longer than {MAX_ANSWER} characters")
    if any(unicodedata.category(c) in ("Cc", "Cs", "Co") and c not in "\n\t\r" for c in text):
        raise Unreadable("holds control characters")
    if _TOO_MANY_DIGITS.search(text):
        raise Unreadable(f"holds a number of more than {MAX_DIGITS} digits")
    depth = 0
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        if depth > MAX_NESTING:
            raise Unreadable(f"nests deeper than {MAX_NESTING}")
