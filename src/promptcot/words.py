r"""The normal form in which texts are compared: what counts as a word for leaks, contamination and concept use.

`words("Find $\dfrac{1}{2} x^{2}$, in cm.")` is `["find", "1", "2", "x", "2", "in", "cm"]`: lower case, Unicode compatibility
forms folded, numbers without thousands separators, letters and numbers apart. Punctuation, operators and the LaTeX commands that
only lay out or operate are no words, so `\frac{1}{2} \leq x`, `1/2 <= x` and a reflowed copy are one text; other commands keep
their name (`\pi` is `pi`). Ideographs and kana count singly, since their scripts do not space words.
"""

from __future__ import annotations

import re
import unicodedata

_SILENT = re.compile(
    r"left|right|middle|bigg?[lr]?|text(bf|it|tt|rm)?|math(rm|bf|it|bb|cal|sf)|operatorname|(display|text)style|(no)?limits|begin|end"
    r"|q?quad|[hv]space|overline|underline|boxed|[dtc]?frac|sqrt|cdot|times|div|pm|mp|[lg]e(q|qslant)?|[lg]t|neq?|equiv|approx|sim"
    r"|to|rightarrow|implies|iff|[lcvd]?dots|in|cup|cap"
)
_COMMAND = re.compile(r"\\(?:([a-zA-Z]+)\*?|.)", re.DOTALL)
_SEPARATOR = re.compile(r"(?<=\d)(?:,|\{,\})(?=\d{3}(?!\d))")
_WORD = re.compile(r"\d+(?:\.\d+)?|[぀-ヿ㐀-鿿]|[^\W\d_぀-ヿ㐀-鿿]+(?:'[^\W\d_]+)*")


def words(text: str) -> list[str]:
    """The words of a text in normal form, in order. Empty where the text holds neither letters nor digits."""
    folded = unicodedata.normalize("NFKC", text).replace("’", "'")
    plain = _COMMAND.sub(_spoken, folded) if "\\" in folded else folded
    return _WORD.findall(_SEPARATOR.sub("", plain.lower()))


def _spoken(command: re.Match[str]) -> str:
    name = command[1]
    return " " if name is None or _SILENT.fullmatch(name.lower()) else f" {name} "
