r"""An answer's text as tokens: what LaTeX, Unicode and plain notation have in common.

`\dfrac12`, `½` and `1/2` differ here only where they differ in structure; layout (`\left`, `\,`, `$`, `\displaystyle`) is gone.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from promptcot.verify.guards import Unreadable
from promptcot.verify.units import ABBREVIATIONS


class Token(NamedTuple):
    r"""`kind`: `number`, `letter` (one variable), `command` (`frac`, `sin`, `pi`), `text` (words), or `sign` (all else)."""

    kind: str
    text: str


_UNICODE = {
    "−": "-", "–": "-", "—": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "÷": "/", "∗": "*", "⁄": "/", "∕": "/",
    "π": r"\pi ", "∞": r"\infty ", "√": r"\sqrt ", "≤": r"\le ", "≥": r"\ge ", "⩽": r"\le ", "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ",
    "±": r"\pm ", "∪": r"\cup ", "∩": r"\cap ", "∅": r"\emptyset ", "∈": r"\in ", "°": r"^\circ ", "…": r"\ldots ", "ℝ": r"\mathbb{R}",
    "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ", "½": r"\frac{1}{2}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}",
    "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}", "⅕": r"\frac{1}{5}", "⅛": r"\frac{1}{8}", "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ",
    "λ": r"\lambda ", "μ": r"\mu ", "φ": r"\phi ", "ω": r"\omega ", "’": "'", "“": '"', "”": '"',
    "€": r"\text{€}", "£": r"\text{£}", "¢": r"\text{cents}", "\u00a0": " ", "\u2009": " ", "\u202f": " ",
    "，": ",", "。": ".", "（": "(", "）": ")", "：": ":",
}  # fmt: skip
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ", "0123456789-+n")
_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")

_LAYOUT = re.compile(
    r"\\(?:left|right|middle|[bB]igg?[lrm]?|displaystyle|textstyle|limits|nolimits|quad|qquad|hfill|phantom|strut|mathstrut)(?![a-zA-Z])\.?"
    r"|(?<!\\)\\[,;:> ()\[\]]|~|\\\$|\$|\\(?:begin|end)\{(?:aligned|align\*?|equation\*?|gathered)\}"
    r"|[\u200b-\u200f\u2060-\u206f\ufeff]"
)
_GROUPED = re.compile(r"(?<=\d)(?:\\[,!;: ]|\{,\}|,\\!)(?=\d{3}(?!\d))")
_NAMED = re.compile(r"\\(?:operatorname\*?|mathrm|mathit|mathsf|mathbf|rm)\s*\{\s*([a-zA-Z]{2,})\s*\}")
_STYLE = re.compile(r"\\(?:mathrm|mathbf|mathit|mathsf|mathcal|boldsymbol|bm|operatorname\*?|rm|bf|it)(?![a-zA-Z])\s*")
_SAME = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "dbinom": "binom", "tbinom": "binom", "leq": "le", "geq": "ge", "leqslant": "le",
    "geqslant": "ge", "lt": "<", "gt": ">", "neq": "ne", "ldots": "dots", "cdots": "dots", "dotsc": "dots", "lbrace": "{", "rbrace": "}",
    "vert": "|", "lvert": "|", "rvert": "|", "mid": "|", "varnothing": "emptyset", "lor": "or", "vee": "or", "land": "and", "wedge": "and",
    "arctan": "atan", "arcsin": "asin", "arccos": "acos", "tg": "tan", "ctg": "cot", "div": "/", "cdot": "*", "times": "*", "ast": "*",
    "colon": ":", "lbrack": "[", "rbrack": "]", "to": "to", "rightarrow": "to",
    "varphi": "phi", "varepsilon": "epsilon",
    "degree": "circ", "bmod": "mod", "choose": "choose", "infin": "infty", "lg": "lg", "backslash": "setminus", "bar": "overline",
}  # fmt: skip
FUNCTIONS = frozenset(
    [
        *(
            "sin",
            "cos",
            "tan",
            "cot",
            "sec",
            "csc",
            "asin",
            "acos",
            "atan",
            "sinh",
            "cosh",
            "tanh",
            "ln",
            "log",
            "lg",
            "exp",
            "sqrt",
            "abs",
        ),
        *("floor", "ceil", "gcd", "lcm", "max", "min", "Re", "Im", "cis", "conj", "det"),
    ]
)
_WORDS = FUNCTIONS | {"pi", "infty", "infinity", "inf", "or", "and", "arcsin", "arccos", "arctan", "binom", "frac", "union", "theta"}
_GLUED = ("sqrt", "sin", "cos", "tan", "log", "ln", "pi")
_SPELLED = {"infinity": "infty", "inf": "infty", "union": "cup"}

_SHORT_WORDS = frozenset(["at", "is", "of", "to", "so", "on", "by", "we", "it", "as", "an", "if", "he", "do", "no", "me", "us"])
_PAIRS = {
    **{text: Token("command", name) for text, name in (("<=", "le"), ("=<", "le"), (">=", "ge"), ("!=", "ne"))},
    **{text: Token("sign", sign) for text, sign in (("==", "="), ("**", "^"), ("!!", "!!"))},
}

_TOKEN = re.compile(
    r"""
    (?P<matrix>\\(?:begin|end)\{(?P<shape>[pbvBV]?matrix|smallmatrix|array|cases)\}(?:\{[lcr|\s]*\})?)
  | (?P<words>\\(?:text|textbf|textit|textrm|texttt|mbox|hbox|emph|textnormal)\s*\{(?P<inner>[^{}]*)\})
  | (?P<newline>\\\\)
  | \\(?P<command>[a-zA-Z]+)\*?
  | \\(?P<escaped>[{}%#&_|])
  | (?P<number>\d+\.(?=\s*\\(?:overline|bar|dot))|\d{1,3}(?:,\d{3})+(?![\d,])(?:\.\d+)?|\d+(?:\.\d+)?(?:[eE][-+]?\d{1,6}(?![\w(^]))?|\.\d+)
  | (?P<word>[^\W\d_]{2,})
  | (?P<letter>[^\W\d_])
  | (?P<pair>\*\*|!!|[<>!=]=|=<)
  | (?P<sign>[-+*/^_=<>!(),\[\]{}|:;&'.%"?@#`])
  | (?P<space>\s+)
    """,
    re.VERBOSE,
)


def clean(text: str) -> str:
    """The text in one script: Unicode signs as LaTeX, layout and style commands gone."""
    text = re.sub(r"[⁰¹²³⁴-⁹⁻⁺ⁿ]+", lambda m: "^{" + m.group().translate(_RAISED) + "}", text)
    text = re.sub(r"[₀-₉]+", lambda m: "_{" + m.group().translate(_LOWERED) + "}", text)
    text = "".join(_UNICODE.get(c, c) for c in text)
    text = _GROUPED.sub("", text).replace("{,}", ",").replace(r"\!", "")
    text = _NAMED.sub(lambda m: rf"\{m[1]} " if m[1] in FUNCTIONS else rf"\text{{{m[1]}}}", text)
    return _STYLE.sub("", _LAYOUT.sub(" ", text)).strip()


def tokenize(text: str) -> tuple[Token, ...]:
    """Tokens of a text, raising `Unreadable` at what no token begins with. Inside brackets `1,234` is two numbers."""
    found: list[Token] = []
    place = depth = 0
    text = clean(text)
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise Unreadable(f"the character {text[place]!r} means nothing here")
        new = _tokens_of(match, bool(found) and (found[-1].kind == "number" or found[-1].text in ("}", "pi")))
        if depth and match["number"] and "," in match["number"]:
            match = re.compile(r"\d+").match(text, place)
            assert match is not None
            new = [Token("number", match.group())]
        depth += sum((t.text in "([") - (t.text in ")]") for t in new if t.kind == "sign")
        found += new
        place = match.end()
    return tuple(found)


def _tokens_of(match: re.Match[str], behind_number: bool) -> list[Token]:
    kind = match.lastgroup or ""
    text = match[kind] if kind != "inner" else match["words"]
    if match["words"] is not None:
        return _of_words(match["inner"])
    if kind == "matrix":
        return [Token("matrix", "end" if text.startswith(r"\end") else match["shape"])]
    if kind == "newline":
        return [Token("sign", r"\\")]
    if kind == "command":
        return [_of_command(text)]
    if kind == "escaped":
        return [Token("sign", {"{": r"\{", "}": r"\}"}.get(text, text))]
    if kind == "number":
        return [Token("number", text.replace(",", ""))]
    if kind == "pair":
        return [_PAIRS[text]]
    if kind == "word":
        return _of_word(text, behind_number)
    return [] if kind == "space" else [Token(kind, text)]


def _of_command(name: str) -> Token:
    name = _SAME.get(name, name)
    if name in ("{", "}"):
        return Token("sign", "\\" + name)
    return Token("command", name) if name[0].isalpha() else Token("sign", name)


def _of_word(word: str, behind_number: bool) -> list[Token]:
    """A known name is a command, two letters are two variables (or a unit behind a number, or an English word), more of them a word."""
    if (behind_number and word in ABBREVIATIONS) or word.lower() in _SHORT_WORDS:
        return [Token("text", word)]
    low = word.lower()
    if low in _WORDS and (word == low or low in ("or", "and", "infinity")):
        return [Token("command", _SAME.get(_SPELLED.get(low, low), _SPELLED.get(low, low)))]
    known = next((name for name in _GLUED if word.endswith(name) and len(word) <= len(name) + 2), None)
    if known:
        return [*(Token("letter", c) for c in word[: -len(known)]), Token("command", known)]
    return [Token("letter", c) for c in word] if len(word) == 2 else [Token("text", word)]


def _of_words(inner: str) -> list[Token]:
    r"""The content of `\text{...}`: joining words, a number or one letter in disguise, else words."""
    inner = inner.strip()
    if inner.lower() in ("or", "and"):
        return [Token("command", inner.lower())]
    if re.fullmatch(r"[-+]?\d+(?:\.\d+)?", inner):
        sign = [Token("sign", inner[0])] if inner[0] in "-+" else []
        return [*sign, Token("number", inner.lstrip("-+"))]
    return [Token("text", inner)] if inner else []
