r"""Typed answers and how they are built: each kind with the key that equal answers share."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from typing import Any, Literal

import promptcot.verify.reals as reals
import promptcot.verify.values as values
from promptcot.verify.grammar import Apply, Node, Number, is_polynomial
from promptcot.verify.guards import Unreadable
from promptcot.verify.reals import End, Piece

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
    """An answer as read. `value` is a number's, or the pieces of an interval; `unit` what stood behind it; `why` it is opaque; `loose`: an
    equation that others with another key may be equivalent to; `solved`: of `y = ...` the name and the key of the other side; `tree`: of a
    constant, its expression."""

    kind: Kind
    key: Key
    text: str
    value: Any = None
    unit: str = ""
    why: str = ""
    loose: bool = False
    solved: Key = ()
    tree: Node | None = field(default=None, compare=False, repr=False)

    @property
    def constant(self) -> Node | None:
        """The expression of a constant, read or not."""
        return self.tree or (Number(self.value) if isinstance(self.value, Fraction) else None)

    @property
    def readable(self) -> bool:
        """Whether every part of it was understood: two readable answers differ if their keys do."""
        return not _holds_opaque(self.key)


def _holds_opaque(key: Key) -> bool:
    return bool(key) and (key[0] == "opaque" or any(isinstance(item, tuple) and _holds_opaque(item) for item in key[1:]))


def short_name(text: str) -> str:
    """The text, or a hash in place of a long one."""
    return text if len(text) < 200 else hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def number_of(value: Any, text: str, unit: str = "") -> Answer:
    """A number as an answer."""
    return Answer(Kind.NUMBER, ("number", values.digits_of(value)), text, value, unit)


def valued(tree: Node, text: str, unit: str = "") -> Answer:
    """An expression as a number or a function of its variables; opaque, with its tree, where it has no value."""
    try:
        found = values.values(tree)
    except Unreadable as error:
        return Answer(Kind.OPAQUE, ("opaque", short_name(text)), text, why=str(error), tree=tree)
    if len(found) == 1 or len({values.digits_of(v) for v in found}) == 1:
        return replace(number_of(found[0], text, unit), tree=tree)
    return Answer(Kind.EXPRESSION, ("expression", *map(values.digits_of, found)), text, unit=unit)


def choice_of(letter: str) -> Answer:
    """One of the letters of a multiple-choice question."""
    return Answer(Kind.CHOICE, ("choice", letter.upper()), letter.upper())


def set_of(items: Sequence[Answer], text: str, *, bare: bool = False) -> Answer:
    """A set. A bare list keeps what it lists twice, and joins the sets in it; a set of one is its element."""
    keys: list[Key] = []
    for item in items:
        keys += item.key[1:] if item.kind is Kind.SET and (bare or r"\pm" in item.text) else [item.key]
    if len(items) == 1 and items[0].kind is not Kind.SET:
        return items[0]
    return Answer(Kind.SET, ("set", *sorted(keys if bare else set(keys), key=repr)), text)


def listed(items: Sequence[Answer]) -> list[Answer]:
    """The items, with dots between integers filled in: `1, 2, ..., 10`."""
    places = [k for k, item in enumerate(items) if item.key == ("text", "...")]
    if len(places) != 1 or not 1 <= places[0] == len(items) - 2:
        return list(items)
    known = [item.value for item in items if item.key != ("text", "...")]
    if not all(isinstance(v, Fraction) and v.denominator == 1 for v in known):
        return list(items)
    step = known[1] - known[0] if len(known) > 2 else Fraction(1)
    if not step or any(b - a != step for a, b in pairwise(known[:-1])) or not 0 <= (known[-1] - known[0]) / step <= 1000:
        return list(items)
    return [number_of(known[0] + step * k, "") for k in range(int((known[-1] - known[0]) / step) + 1)]


def tuple_of(items: Sequence[Answer], opening: str, closing: str, text: str) -> Answer:
    """A pair of numbers that rises is an interval too, and is keyed as one; all else is a tuple."""
    if len(items) == 2 and all(item.kind is Kind.NUMBER for item in items) and values.less(items[0].value, items[1].value):
        return reals_of((Piece(end_of(items[0], opening == "["), end_of(items[1], closing == "]")),), text)
    return Answer(Kind.TUPLE, ("tuple", *(item.key for item in items)), text)


def end_of(answer: Answer, closed: bool) -> End:
    """A number as an end of an interval; an infinite one never belongs to it."""
    if answer.kind is not Kind.NUMBER:
        raise Unreadable("an interval between something else than numbers")
    return End(answer.value, answer.key[1], closed and answer.key[1] not in ("inf", "-inf"))


def reals_of(pieces: Sequence[Piece], text: str) -> Answer:
    """A set of reals in its simplest form."""
    found = reals.merged(pieces)
    if all(piece.point for piece in found):
        return set_of([number_of(piece.low.value, text) for piece in found], text)
    return Answer(Kind.INTERVAL, ("interval", *(piece.key for piece in found)), text, found)


def pieces_of(answer: Answer) -> tuple[Piece, ...]:
    """An interval's pieces; numbers and sets of numbers are points."""
    if answer.kind is Kind.INTERVAL:
        return tuple(answer.value)
    if answer.kind is Kind.NUMBER:
        return (Piece(end_of(answer, True), end_of(answer, True)),)
    numbers = [value for _, value in _numbers_of(answer)]
    return tuple(Piece(End(v, values.digits_of(v), True), End(v, values.digits_of(v), True)) for v in numbers)


def _numbers_of(answer: Answer) -> Iterator[tuple[str, Fraction]]:
    """The elements of a set of rationals."""
    if answer.kind is not Kind.SET or any(key[0] != "number" or not re.fullmatch(r"-?\d+(/\d+)?", key[1]) for key in answer.key[1:]):
        raise Unreadable("not a set of reals")
    for key in answer.key[1:]:
        yield key[1], Fraction(key[1])


def integers_in(interval: Answer, *, natural: bool) -> Answer:
    """All integers of an interval, as a set."""
    pieces = pieces_of(interval)
    if not all(isinstance(end.value, Fraction) for piece in pieces for end in (piece.low, piece.high)):
        raise Unreadable("infinitely many integers")
    found = []
    for piece in pieces:
        low, high = -(-piece.low.value // 1), piece.high.value // 1
        low += low == piece.low.value and not piece.low.closed
        high -= high == piece.high.value and not piece.high.closed
        if high - low > 1000:
            raise Unreadable("too many integers")
        found += [number_of(Fraction(n), str(n)) for n in range(int(low), int(high) + 1) if n > 0 or not natural]
    return set_of(found, interval.text)


def determinant(rows: Sequence[Sequence[Any]]) -> Fraction:
    """Of a square matrix of rationals, by expansion along the first row; up to 5 rows."""
    if len(rows) != len(rows[0]) or len(rows) > 5 or not all(isinstance(cell, Fraction) for row in rows for cell in row):
        raise Unreadable("a determinant of something else than a few rationals")
    if len(rows) == 1:
        return Fraction(rows[0][0])
    minors = ([[c for k, c in enumerate(row) if k != column] for row in rows[1:]] for column in range(len(rows)))
    return sum(((-1) ** k * rows[0][k] * determinant(minor) for k, minor in enumerate(minors)), Fraction(0))


def two_sides(left: Node, right: Node, sign: str, text: str) -> Answer:
    """left - right up to a factor (a positive one in an inequality)."""
    found = values.values(_difference(left, right))
    first = next((v for v in found if v), None)
    if first is None or len(found) == 1:
        raise Unreadable("a relation between constants")
    scale = first if sign == "=" else abs(first)
    loose = sign == "=" and not (is_polynomial(left) and is_polynomial(right))
    return Answer(Kind.EQUATION, (sign, *(values.digits_of(v / scale) for v in found)), text, loose=loose)


def _difference(left: Node, right: Node) -> Node:
    return Apply("+", (left, Apply("neg", (right,))))


def half_plane(small: Node, large: Node, closed: bool, text: str) -> Answer:
    """small < large: an interval where both are linear in one variable, else compared up to a positive factor."""
    difference = _difference(small, large)
    names = sorted(values.variables(difference))
    if len(names) == 1:
        x, y = [values.coordinate(names[0], k) for k in range(values.POINTS)], values.values(difference)
        if all(isinstance(v, Fraction) for v in (*x, *y)) and x[0] != x[1]:
            slope = (y[1] - y[0]) / (x[1] - x[0])
            if slope and y[0] + slope * (x[2] - x[0]) == y[2]:
                root = x[0] - y[0] / slope
                end = End(root, values.digits_of(root), closed)
                return reals_of((Piece(reals.MINUS, end) if slope > 0 else Piece(end, reals.PLUS),), text)
    return two_sides(small, large, "le" if closed else "<", text)


def signed(tree: Node, sign: str) -> Node:
    """The tree with one sign for every plus-minus."""
    if not isinstance(tree, Apply):
        return tree
    args = tuple(signed(arg, sign) for arg in tree.args)
    return Apply(tree.name, args) if tree.name != "pm" else Apply("+", (args[0], args[1] if sign == "+" else Apply("neg", (args[1],))))
