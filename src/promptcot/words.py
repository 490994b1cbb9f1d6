r"""The normal form in which texts are compared: what counts as a word for leaks, contamination and concept use.

`words("Find $\dfrac{1}{2} x^{2}$, in cm.")` is `["find", "1", "2", "x", "2", "in", "cm"]`: lower case, Unicode compatibility
forms folded, numbers without thousands separators, letters and numbers apart. Punctuation, operators and the LaTeX commands that
only lay out or operate are no words, so `\frac{1}{2} \leq x`, `1/2 <= x` and a reflowed copy are one text; other commands keep
their name (`\pi` is `pi`). Ideographs and kana count singly, since their scripts do not space words.

`normal_form` is stricter, for exact duplicates: it keeps punctuation and operators, and lets only layout go (`3 + 4` is not `3 - 4`).
"""

from __future__ import annotations

import hashlib
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


def located_words(text: str) -> list[tuple[str, int, int]]:
    """The words with the place of each, in characters of `text`: that of the stretch without white space in which it stands."""
    return [(word, m.start(), m.end()) for m in re.finditer(r"\S+", text) for word in words(m[0])]


_LAYOUT = re.compile(
    r"\\[,;:!> ()\[\]]|~|\$|\\(?:q?quad|left|right|bigg?[lr]?|(?:display|text)style|(?:no)?limits|[hv]space\*?\s*{[^{}]*})(?![a-z])"
)
_SYNONYMS = ((re.compile(r"\\[dtc]frac(?![a-z])"), r"\\frac"), (re.compile(r"\\([lgn])eq?(?![a-z])"), r"\\\1e"))
_BRACED = re.compile(r"{(\w)}|(?<=\d){(,)}(?=\d)")
_AFTER_COMMAND = re.compile(r"(\\[a-z]+)\s+(?![a-z\s])")
_LOOSE = re.compile(r"(?<!\w)\s+|\s+(?!\w)")


def normal_form(text: str) -> str:
    r"""One spelling for texts that differ in case, white space and LaTeX layout alone: what exact duplicates have in common.

    Dollar signs and other math delimiters, `\,`, `\quad`, `\left` and the like go, `\dfrac` is `\frac`, `\leq` is `\le`, `x^{2}` is `x^2`;
    white space stays only between two letters or digits."""
    plain = " ".join(unicodedata.normalize("NFKC", text).replace("’", "'").lower().split())
    if "\\" in plain or "$" in plain or "~" in plain:
        plain = _LAYOUT.sub(" ", plain)
        for pattern, name in _SYNONYMS:
            plain = pattern.sub(name, plain)
        plain = _AFTER_COMMAND.sub(r"\1", plain)
    plain = _BRACED.sub(r"\1\2", plain) if "{" in plain else plain
    return _LOOSE.sub("", " ".join(plain.split()))


def text_hash(text: str) -> str:
    """A hash of the normal form, 32 hex digits: equal for exact duplicates."""
    return hashlib.sha256(normal_form(text).encode(errors="surrogatepass")).hexdigest()[:32]


def _spoken(command: re.Match[str]) -> str:
    name = command[1]
    return " " if name is None or _SILENT.fullmatch(name.lower()) else f" {name} "
