r"""Answers in a typed, canonical form: what an answer *is*, with a key that equal answers share.

| kind | read from | key |
|---|---|---|
| `number` | `12`, `1,234`, `\frac12`, `50\%`, `\sqrt2`, `forty-two`, `5\text{ cm}`, `3:4` | its value |
| `expression` | `n(n+1)/2` | its values at fixed points |
| `tuple` | `(2,1)`, `a=1, b=2` (by name) | its items |
| `set` | `\{1,2\}`, `1, 2`, `x=1 or x=-2`, `\pm 2` | its items, sorted |
| `interval` | `(1,2)`, `x<3`, `[1,2]\cup[2,3]` | its parts, merged |
| `matrix` | `pmatrix`, `bmatrix` | its rows |
| `equation` | `x^2+y^2=4`, `2x<y` | both sides, up to a factor |
| `text`, `choice` | `\text{Friday}`, `(C)` | its words |
| `opaque` | anything else | its tokens |

A single `name = value` is its value, whatever the name, a set of one is its element, and units are kept apart. So equality of keys is
transitive, and a vote over them needs no comparison in pairs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal

from promptcot.verify import guards, values
from promptcot.verify.grammar import GREEK, Apply, Node, applies, parse
from promptcot.verify.guards import Unreadable
from promptcot.verify.tokens import Token, tokenize

Key = tuple[Any, ...]


class Kind(StrEnum):
    """What an answer is."""

    NUMBER = "number"
    EXPRESSION = "expression"
    TUPLE = "tuple"
    SET = "set"
    INTERVAL = "interval"
    MATRIX = "matrix"
    EQUATION = "equation"
    TEXT = "text"
    CHOICE = "choice"
    OPAQUE = "opaque"


@dataclass(frozen=True)
class Reading:
    """How answers are read. `percent`: whether `50%` is 50 (a unit) or 0.5. `number_words`: whether `forty-two` is 42. `integers`: contest
    mode, in which nothing but an integer is an answer."""

    percent: Literal["unit", "fraction"] = "unit"
    number_words: bool = True
    integers: bool = False


@dataclass(frozen=True)
class Answer:
    """An answer as read. `value` is a number's, else None; `unit` what stood behind it; `why` it is opaque."""

    kind: Kind
    key: Key
    text: str
    value: Any = None
    unit: str = ""
    why: str = ""

    @property
    def readable(self) -> bool:
        """Whether every part of it was understood: two readable answers differ if their keys do."""
        return not _holds_opaque(self.key)


@lru_cache(maxsize=65536)
def read(text: str, reading: Reading = Reading()) -> Answer:
    """Any text as an answer; never raises. What cannot be read is `opaque`."""
    plain = text.strip()
    if re.fullmatch(r"[-+]?\d{1,18}", plain):
        return _number(Fraction(int(plain)), plain)
    if reading.integers:
        return _strict_integer(plain)
    try:
        guards.check(plain)
        return _Reader(reading).answer(_trimmed(tokenize(plain)))
    except Unreadable as error:
        return Answer(Kind.OPAQUE, ("opaque", re.sub(r"\s+", "", plain)[:4096]), plain, why=str(error))


def _strict_integer(plain: str) -> Answer:
    plain = plain.strip("$ ").removesuffix(".")
    digits = plain.replace(",", "") if re.fullmatch(r"[-−+]?\d{1,3}(,\d{3})*", plain) else plain.replace(r"\,", "")
    if not re.fullmatch(r"[-−+]?\d{1,400}", digits):
        return Answer(Kind.TEXT, ("text", "not an integer", plain), plain, why="not an integer")
    return _number(Fraction(int(digits.replace("−", "-"))), plain)


def _trimmed(tokens: Sequence[Token]) -> tuple[Token, ...]:
    found = list(tokens)
    while found and found[-1].kind == "sign" and found[-1].text in ".,;:":
        found.pop()
    while found and found[0].text in ("therefore", "quad", ":"):
        found.pop(0)
    return tuple(found)


class _Reader:
    """Tokens to an answer, from the outermost structure inwards."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading

    def answer(self, tokens: Sequence[Token]) -> Answer:
        if not tokens:
            raise Unreadable("nothing is there")
        for reader in (_choice, self.words, _named_set, self.matrix, self.union, self.relation, self.several, self.bracketed, self.ratio):
            found: Answer | None = reader(tokens)
            if found is not None:
                return found
        return self.expression(tokens)

    def part(self, tokens: Sequence[Token]) -> Answer:
        """An item of something larger: opaque where it cannot be read, so that the rest still can."""
        try:
            return self.answer(_trimmed(tokens))
        except Unreadable as error:
            return Answer(Kind.OPAQUE, ("opaque", spelled(tokens)), spelled(tokens), why=str(error))

    def words(self, tokens: Sequence[Token]) -> Answer | None:
        """Words alone; of words with numbers only those that are no unit behind a number."""
        if not any(t.kind == "text" for t in tokens):
            return None
        if tokens[0].kind != "text":
            return None
        text = _worded(tokens)
        if self.reading.number_words and (number := _NUMBER_WORDS.get(text)) is not None:
            return _number(Fraction(number), text)
        if text in ("nan", "none of these", ""):
            raise Unreadable("no answer")
        return Answer(Kind.TEXT, ("text", _SYNONYMS.get(text, text)), text)

    def matrix(self, tokens: Sequence[Token]) -> Answer | None:
        if tokens[0].text == "(" and tokens[-1].text == ")" and len(tokens) > 2 and tokens[1].kind == "matrix":
            tokens = tokens[1:-1]
        if tokens[0].kind != "matrix":
            return None
        inside = tokens[1:-1]
        if tokens[-1].kind != "matrix" or any(t.kind == "matrix" for t in inside):
            raise Unreadable("matrices in an expression")
        rows = [split(row, ("&",)) for row in split(inside, (r"\\",)) if row]
        items = tuple(tuple(self.part(cell).key for cell in row) for row in rows)
        if len({len(row) for row in items}) != 1:
            raise Unreadable("a matrix of uneven rows")
        return Answer(Kind.MATRIX, ("matrix", *items), spelled(tokens))

    def union(self, tokens: Sequence[Token]) -> Answer | None:
        parts = split(tokens, ("cup",))
        if len(parts) < 2:
            return None
        read_parts = [self.part(part) for part in parts]
        if all(p.kind is Kind.INTERVAL or p.kind in (Kind.NUMBER, Kind.SET) for p in read_parts):
            return _merged([piece for p in read_parts for piece in _pieces(p)], spelled(tokens))
        raise Unreadable("a union of something else than intervals")

    def relation(self, tokens: Sequence[Token]) -> Answer | None:
        sides, signs = _sides(tokens)
        if not signs or len(split(tokens, _JOINTS)) > 1:
            return None
        if not all(sides):
            raise Unreadable("a relation lacks a side")
        if signs == ["in"]:
            return self.answer(sides[1])
        if set(signs) <= {"="}:
            return self.equation(sides)
        if set(signs) <= {"<", ">", "le", "ge"}:
            return self.inequality(sides, signs)
        raise Unreadable(f"the relation {signs[0]}")

    def equation(self, sides: Sequence[Sequence[Token]]) -> Answer:
        left, right = sides[0], sides[-1]
        if len(sides) > 2 and not _is_name(left):
            raise Unreadable("a chain of equalities")
        if _is_function_head(left) or _is_tuple_of_names(left):
            return self.answer(right)
        if _is_name(left):
            found = self.answer(right)
            if found.kind is not Kind.EXPRESSION:
                return found
        return _two_sides(parse(left), parse(right), "=", spelled([*left, Token("sign", "="), *right]))

    def inequality(self, sides: Sequence[Sequence[Token]], signs: Sequence[str]) -> Answer:
        text = "".join(a + b for a, b in zip(map(spelled, sides), [*signs, ""], strict=True))
        if len(signs) == 2 and _is_name(sides[1]) and (signs[0] in ("<", "le")) == (signs[1] in ("<", "le")):
            low, high = self.answer(sides[0]), self.answer(sides[2])
            lower, upper = signs[0] in ("le", "ge"), signs[1] in ("le", "ge")
            return _interval(low, lower, high, upper, text) if signs[0] in ("<", "le") else _interval(high, upper, low, lower, text)
        if len(signs) == 1 and (_is_name(sides[0]) or _is_name(sides[1])):
            name_first = _is_name(sides[0])
            bound = self.answer(sides[1] if name_first else sides[0])
            if bound.kind is Kind.NUMBER:
                below = (signs[0] in ("<", "le")) == name_first
                closed = signs[0] in ("le", "ge")
                return _interval(_MINUS, False, bound, closed, text) if below else _interval(bound, closed, _PLUS, False, text)
        if len(signs) != 1:
            raise Unreadable("a chain of inequalities")
        left, right = parse(sides[0]), parse(sides[1])
        small, large = (left, right) if signs[0] in ("<", "le") else (right, left)
        return _two_sides(small, large, "<" if signs[0] in ("<", ">") else "le", text)

    def several(self, tokens: Sequence[Token]) -> Answer | None:
        items = split(tokens, _JOINTS)
        if len(items) < 2:
            return None
        items = [item for item in items if item]
        named = [_assignment(item) for item in items]
        if all(named) and len({name for name, _ in named}) == len(named):  # type: ignore[misc]
            ordered = sorted(named, key=lambda pair: pair[0])  # type: ignore[index]
            return _tuple([self.part(value) for _, value in ordered], "(", ")", spelled(tokens))  # type: ignore[misc]
        return _set([self.part(item) for item in items], spelled(tokens))

    def bracketed(self, tokens: Sequence[Token]) -> Answer | None:
        opening, closing = tokens[0].text, tokens[-1].text
        if tokens[0].kind != "sign" or not _encloses(tokens):
            return None
        inside = tokens[1:-1]
        items = split(inside, (",", ";"))
        if opening in (r"\{", "{") and closing in (r"\}", "}"):
            if split(inside, ("|", ":"))[1:]:
                raise Unreadable("a set by its property")
            return _set([self.part(item) for item in items if item], spelled(tokens))
        if opening not in "([" or closing not in ")]":
            return None
        if len(items) < 2:
            return self.answer(inside) if inside and opening + closing in ("()", "[]") else None
        return _tuple([self.part(item) for item in items], opening, closing, spelled(tokens))

    def ratio(self, tokens: Sequence[Token]) -> Answer | None:
        parts = split(tokens, (":",))
        if len(parts) < 2:
            return None
        if re.fullmatch(r"\d{1,2}:[0-5]\d(:[0-5]\d)?", text := spelled(tokens)):
            return Answer(Kind.TEXT, ("text", text), text)
        numbers = [self.expression(part).value for part in parts]
        if not all(isinstance(n, Fraction) and n for n in numbers):
            raise Unreadable("a ratio of something else than numbers")
        if len(numbers) == 2:
            return _number(numbers[0] / numbers[1], text)
        return Answer(Kind.TUPLE, ("ratio", *(str(n / numbers[0]) for n in numbers[1:])), text)

    def expression(self, tokens: Sequence[Token]) -> Answer:
        if tokens[0].text == "dots" and len(tokens) == 1:
            return Answer(Kind.TEXT, ("text", "..."), "...")
        body, unit = _without_unit(tokens)
        percent = bool(body) and body[-1].text == "%"
        body = _with_constant(body[:-1] if percent else body)
        if not body:
            raise Unreadable("a unit without a number")
        tree = parse(body)
        signs = applies(tree, "pm")
        if signs:
            return _set([_valued(_signed(tree, sign), spelled(tokens)) for sign in ("+", "-")], spelled(tokens))
        if percent and self.reading.percent == "fraction":
            tree = Apply("/", (tree, parse([Token("number", "100")])))
        return _valued(tree, spelled(tokens), unit)


# the parts of a reading

_JOINTS = (",", ";", "or", "and")
_OPEN = {"(": 1, "[": 1, "{": 1, r"\{": 1, "lfloor": 1, "lceil": 1, ")": -1, "]": -1, "}": -1, r"\}": -1, "rfloor": -1, "rceil": -1}
_RELATIONS = frozenset(["=", "<", ">", "le", "ge", "ne", "in", "approx", "equiv", "sim", "to", "mapsto"])


def split(tokens: Sequence[Token], at: Sequence[str]) -> list[tuple[Token, ...]]:
    """The runs of tokens between separators outside all brackets and matrices."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        if token.kind == "matrix":
            depth += 1 if token.text == "begin" else -1
        elif token.kind != "text":
            depth += _OPEN.get(token.text, 0)
        if depth == 0 and token.kind not in ("text", "matrix") and token.text in at and _OPEN.get(token.text) is None:
            parts.append([])
        else:
            parts[-1].append(token)
    return [tuple(part) for part in parts]


def spelled(tokens: Sequence[Token]) -> str:
    """The tokens as one string without layout."""
    return "".join(("\\" + t.text) if t.kind == "command" else t.text for t in tokens)


def _sides(tokens: Sequence[Token]) -> tuple[list[tuple[Token, ...]], list[str]]:
    sides = split(tokens, tuple(_RELATIONS))
    if len(sides) == 1:
        return sides, []
    signs, place = [], 0
    for side in sides[:-1]:
        place += len(side)
        signs.append(tokens[place].text)
        place += 1
    return sides, signs


def _encloses(tokens: Sequence[Token]) -> bool:
    """Whether the first token's bracket closes at the last one."""
    depth = 0
    for place, token in enumerate(tokens):
        depth += _OPEN.get(token.text, 0) if token.kind != "text" else 0
        if depth == 0:
            return place == len(tokens) - 1 and place > 0
    return False


def _choice(tokens: Sequence[Token]) -> Answer | None:
    inside = tokens[1:-1] if len(tokens) == 3 and tokens[0].text == "(" and tokens[-1].text == ")" else tokens
    if len(inside) == 1 and inside[0].kind in ("letter", "text") and (hit := re.fullmatch(r"\(?([A-J])[).]?", inside[0].text)):
        return Answer(Kind.CHOICE, ("choice", hit[1]), hit[1])
    return None


def _named_set(tokens: Sequence[Token]) -> Answer | None:
    text = spelled(tokens)
    if text in (r"\emptyset", r"\{\}"):
        return Answer(Kind.SET, ("set",), text)
    return _interval(_MINUS, False, _PLUS, False, text) if text in (r"\mathbb{R}", r"\mathbbR", r"\Reals") else None


def _is_name(tokens: Sequence[Token]) -> bool:
    return bool(tokens) and (tokens[0].kind == "letter" or tokens[0].text in GREEK) and (len(tokens) == 1 or tokens[1].text == "_")


def _is_function_head(tokens: Sequence[Token]) -> bool:
    return len(tokens) >= 4 and _is_name(tokens[:1]) and tokens[1].text == "(" and tokens[-1].text == ")" and _only_names(tokens[2:-1])


def _is_tuple_of_names(tokens: Sequence[Token]) -> bool:
    return len(tokens) >= 5 and tokens[0].text == "(" and tokens[-1].text == ")" and _only_names(tokens[1:-1])


def _only_names(tokens: Sequence[Token]) -> bool:
    return all(_is_name(part) for part in split(tokens, (",",)))


def _assignment(tokens: Sequence[Token]) -> tuple[str, tuple[Token, ...]] | None:
    sides, signs = _sides(tokens)
    return (spelled(sides[0]), sides[1]) if signs == ["="] and _is_name(sides[0]) else None


def _without_unit(tokens: Sequence[Token]) -> tuple[tuple[Token, ...], str]:
    """The tokens before a unit, and the unit: words, a degree sign, or a currency."""
    if [t.text for t in tokens[-2:]] == ["^", "circ"] or [t.text for t in tokens[-4:]] == ["^", "{", "circ", "}"]:
        cut = tokens[:-2] if tokens[-1].text == "circ" else tokens[:-4]
        return (tuple(cut), "degree") if cut and not any(t.text in _ANGLES for t in cut) else (tuple(tokens), "")
    first = next((k for k, t in enumerate(tokens) if t.kind == "text"), None)
    if not first:
        return tuple(tokens), ""
    unit = tokens[first:]
    if any(t.kind not in ("text", "number") and t.text not in "^{}/-*()" for t in unit):
        raise Unreadable("words in an expression")
    return tuple(tokens[:first]), spelled(unit).lower().strip(" .")


def _with_constant(tokens: Sequence[Token]) -> tuple[Token, ...]:
    """A constant of integration has one name: `+c` is `+C` where c occurs nowhere else."""
    texts = [t.text for t in tokens]
    alone = len(texts) > 2 and texts[-2] == "+" and texts[-1] == "c" and texts.count("c") == 1
    return (*tokens[:-1], Token("letter", "C")) if alone else tuple(tokens)


def _worded(tokens: Sequence[Token]) -> str:
    text = re.sub(r"\s*-\s*", "-", " ".join(t.text for t in tokens).lower())
    text = re.sub(r"[^\w\s%/.:-]|(?<!\d)\.|\.(?!\d)", " ", text)
    return re.sub(r"^(the|an|a) ", "", " ".join(text.split()))


def _number(value: Any, text: str, unit: str = "") -> Answer:
    return Answer(Kind.NUMBER, ("number", values.digits_of(value)), text, value, unit)


def _valued(tree: Node, text: str, unit: str = "") -> Answer:
    found = values.values(tree)
    if len(found) == 1 or len({values.digits_of(v) for v in found}) == 1:
        return _number(found[0], text, unit)
    return Answer(Kind.EXPRESSION, ("expression", *map(values.digits_of, found)), text, unit=unit)


def _two_sides(left: Node, right: Node, sign: str, text: str) -> Answer:
    """left - right up to a factor (a positive one in an inequality)."""
    found = values.values(Apply("+", (left, Apply("neg", (right,)))))
    first = next((v for v in found if v), None)
    if first is None or len(found) == 1:
        raise Unreadable("a relation between constants")
    scale = first if sign == "=" else abs(first)
    return Answer(Kind.EQUATION, (sign, *(values.digits_of(v / scale) for v in found)), text)


def _signed(tree: Node, sign: str) -> Node:
    if not isinstance(tree, Apply):
        return tree
    args = tuple(_signed(arg, sign) for arg in tree.args)
    return Apply(tree.name, args) if tree.name != "pm" else Apply("+", (args[0], args[1] if sign == "+" else Apply("neg", (args[1],))))


def _set(items: Sequence[Answer], text: str) -> Answer:
    flat: list[Key] = []
    for item in items:
        flat += item.key[1:] if item.kind is Kind.SET else [item.key]
    keys = sorted(set(flat), key=repr)
    if len(keys) == 1 and len(items) >= 1:
        one = next((item for item in items if item.key == keys[0]), None)
        if one is not None:
            return one
    return Answer(Kind.SET, ("set", *keys), text)


@dataclass(frozen=True)
class _Piece:
    """An interval: its ends' values and keys, and whether they belong to it."""

    low: Any
    low_key: str
    low_in: bool
    high: Any
    high_key: str
    high_in: bool


def _end(value: Any, text: str) -> Answer:
    return Answer(Kind.NUMBER, ("number", text), text, value)


_MINUS, _PLUS = _end(float("-inf"), "-inf"), _end(float("inf"), "inf")


def _tuple(items: Sequence[Answer], opening: str, closing: str, text: str) -> Answer:
    """A pair of numbers that rises is an interval too, and is keyed as one; all else is a tuple."""
    if len(items) == 2 and all(item.kind is Kind.NUMBER for item in items) and values.less(items[0].value, items[1].value):
        return _interval(items[0], opening == "[", items[1], closing == "]", text)
    return Answer(Kind.TUPLE, ("tuple", *(item.key for item in items)), text)


def _interval(low: Answer, low_in: bool, high: Answer, high_in: bool, text: str) -> Answer:
    if low.kind is not Kind.NUMBER or high.kind is not Kind.NUMBER:
        raise Unreadable("an interval between something else than numbers")
    return _merged([_Piece(low.value, low.key[1], low_in, high.value, high.key[1], high_in)], text)


def _pieces(answer: Answer) -> Iterator[_Piece]:
    if answer.kind is Kind.INTERVAL:
        yield from answer.value
    elif answer.kind is Kind.NUMBER:
        yield _Piece(answer.value, answer.key[1], True, answer.value, answer.key[1], True)
    else:
        raise Unreadable("a set in a union of intervals")


def _merged(pieces: Sequence[_Piece], text: str) -> Answer:
    found: list[_Piece] = []
    for piece in sorted(pieces, key=lambda p: (values.sortable(p.low), not p.low_in)):
        last = found[-1] if found else None
        touches = last and (values.less(piece.low, last.high) or (piece.low_key == last.high_key and (piece.low_in or last.high_in)))
        if last and touches:
            higher = piece if values.less(last.high, piece.high) else last
            closed = higher.high_in or (last.high_key == piece.high_key and (last.high_in or piece.high_in))
            found[-1] = _Piece(last.low, last.low_key, last.low_in, higher.high, higher.high_key, closed)
        else:
            found.append(piece)
    if len(found) == 1 and found[0].low_key == found[0].high_key:
        return _number(found[0].low, text)
    key = tuple((p.low_key, p.low_in, p.high_key, p.high_in) for p in found)
    return Answer(Kind.INTERVAL, ("interval", *key), text, tuple(found))


def _holds_opaque(key: Key) -> bool:
    return bool(key) and (key[0] == "opaque" or any(isinstance(item, tuple) and _holds_opaque(item) for item in key[1:]))


_ANGLES = frozenset(["sin", "cos", "tan", "cot", "sec", "csc"])
_SYNONYMS = {
    "dne": "does not exist",
    "undefined": "does not exist",
    "no solutions": "no solution",
    "no real solution": "no solution",
    "no real solutions": "no solution",
}
_ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen"]
_ONES += ["fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_NUMBER_WORDS = {
    **{word: n for n, word in enumerate(_ONES)},
    **{word: 10 * n for n, word in enumerate(_TENS, 2)},
    **{f"{ten}{gap}{one}": 10 * n + m for n, ten in enumerate(_TENS, 2) for m, one in enumerate(_ONES[1:10], 1) for gap in ("-", " ")},
    "one hundred": 100,
    "hundred": 100,
    "one thousand": 1000,
    "thousand": 1000,
}
