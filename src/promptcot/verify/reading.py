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
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

import promptcot.verify.guards as guards
import promptcot.verify.reals as reals
from promptcot.verify.forms import (
    Answer,
    Key,
    Kind,
    Reading,
    choice_of,
    determinant,
    end_of,
    half_plane,
    integers_in,
    listed,
    number_of,
    pieces_of,
    reals_of,
    set_of,
    short_name,
    signed,
    tuple_of,
    two_sides,
    valued,
)
from promptcot.verify.grammar import Apply, applies, parse
from promptcot.verify.guards import Unreadable
from promptcot.verify.number_words import SCALES, value_of
from promptcot.verify.reals import End, Piece
from promptcot.verify.structure import (
    CLOSED,
    JOINTS,
    UP,
    assignment,
    encloses,
    is_function_head,
    is_name,
    is_tuple_of_names,
    separators,
    sides_of,
    spelled,
    split,
    trimmed,
    with_constant,
    without_unit,
    worded,
)
from promptcot.verify.tokens import Token, tokenize

PLAINLY = Reading()


@lru_cache(maxsize=65536)
def read(text: str, reading: Reading = PLAINLY) -> Answer:
    """Any text as an answer; never raises. What cannot be read is `opaque`."""
    plain = text.strip()
    if re.fullmatch(r"[-+]?\d{1,18}", plain):
        return number_of(Fraction(int(plain)), plain)
    if reading.integers:
        return _strict_integer(plain)
    try:
        guards.check(plain)
        return replace(_Reader(reading).answer(trimmed(tokenize(plain))), text=plain)  # as written: algebra reads it again
    except Unreadable as error:
        return Answer(Kind.OPAQUE, ("opaque", short_name(re.sub(r"\s+", "", plain))), plain, why=str(error))


def _strict_integer(plain: str) -> Answer:
    plain = plain.strip("$ ").removesuffix(".")
    digits = plain.replace(",", "") if re.fullmatch(r"[-−+]?\d{1,3}(,\d{3})*", plain) else plain.replace(r"\,", "")
    if not re.fullmatch(r"[-−+]?\d{1,400}", digits):
        return Answer(Kind.TEXT, ("text", "not an integer", plain), plain, why="not an integer")
    return number_of(Fraction(int(digits.replace("−", "-"))), plain)


class _Reader:
    """Tokens to an answer, from the outermost structure inwards."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading

    def answer(self, tokens: Sequence[Token]) -> Answer:
        if not tokens:
            raise Unreadable("nothing is there")
        for reader in (
            _choice,
            self.words,
            _named_set,
            self.matrix,
            self.algebra_of_sets,
            self.relation,
            self.several,
            self.bracketed,
            self.ratio,
        ):
            found: Answer | None = reader(tokens)
            if found is not None:
                return found
        return self.expression(tokens)

    def part(self, tokens: Sequence[Token]) -> Answer:
        """An item of something larger: opaque where it cannot be read, so that the rest still can."""
        try:
            return self.answer(trimmed(tokens))
        except Unreadable as error:
            return Answer(Kind.OPAQUE, ("opaque", spelled(tokens)), spelled(tokens), why=str(error))

    def words(self, tokens: Sequence[Token]) -> Answer | None:
        """Words, without an expression before them (that would make them a unit) or digits and commands between them."""
        told = [t for t in tokens if t.kind == "text"]
        prose = len(told) > 1 and all(t.kind in ("text", "letter", "sign") for t in tokens) and tokens[0].kind == "letter"
        if not told or not (tokens[0].kind == "text" or prose):
            return None
        text = worded(tokens)
        if self.reading.number_words and (number := value_of(text)) is not None:
            return number_of(number, text)
        choices = re.sub(r",|\band\b", " ", " ".join(t.text for t in tokens)).split()
        if len(choices) > 1 and all(re.fullmatch("[A-J]", choice) for choice in choices):
            return set_of([choice_of(letter) for letter in choices], text, bare=True)
        if text in ("all reals", "all real numbers", "reals", "real numbers"):
            return reals_of((reals.REALS,), text)
        if text in ("nan", ""):
            raise Unreadable("no answer")
        return Answer(Kind.TEXT, ("text", _SYNONYMS.get(text, text)), text)

    def matrix(self, tokens: Sequence[Token]) -> Answer | None:
        bracketed = len(tokens) > 2 and tokens[1].kind == "matrix" and tokens[0].text + tokens[-1].text in ("()", "[]")
        tokens = tokens[1:-1] if bracketed else tokens
        if tokens[0].kind != "matrix":
            return None
        inside, shape = tokens[1:-1], tokens[0].text
        if tokens[-1].kind != "matrix" or any(t.kind == "matrix" for t in inside):
            raise Unreadable("matrices in an expression")
        cells = [[self.part(cell) for cell in split(row, ("&",))] for row in split(inside, (r"\\",)) if row]
        if len({len(row) for row in cells}) != 1:
            raise Unreadable("a matrix of uneven rows")
        if shape == "vmatrix":
            return number_of(determinant([[cell.value for cell in row] for row in cells]), spelled(tokens))
        if shape not in ("pmatrix", "bmatrix", "matrix", "smallmatrix") and not (bracketed and shape == "array"):
            raise Unreadable(f"the environment {shape}")
        return Answer(Kind.MATRIX, ("matrix", *(tuple(cell.key for cell in row) for row in cells)), spelled(tokens))

    def algebra_of_sets(self, tokens: Sequence[Token]) -> Answer | None:
        r"""Unions, intersections and differences of intervals and finite sets, from left to right."""
        parts = split(tokens, ("cup", "cap", "setminus"))
        if len(parts) < 2:
            return None
        signs = separators(tokens, parts)
        if len(set(signs)) > 1:
            raise Unreadable("unions and intersections mixed")
        answers = [self.part(part) for part in parts]
        found = pieces_of(answers[0])
        for sign, answer in zip(signs, answers[1:], strict=True):
            others = pieces_of(answer)
            if sign == "setminus" and not all(piece.point for piece in others):
                raise Unreadable("an interval taken away")
            found = {
                "cup": lambda a, b: reals.merged([*a, *b]),
                "cap": reals.intersected,
                "setminus": reals.without,
            }[sign](found, others)
        return reals_of(found, spelled(tokens))

    def relation(self, tokens: Sequence[Token]) -> Answer | None:
        sides, signs = sides_of(tokens)
        if not signs or len(split(tokens, JOINTS)) > 1:
            return None
        if not all(sides):
            raise Unreadable("a relation lacks a side")
        if signs == ["in"]:
            return self.answer(sides[1])
        if set(signs) <= {"="}:
            return self.equation(sides)
        if set(signs) <= {"<", ">", "le", "ge"}:
            return self.inequality(sides, signs)
        if signs == ["ne"] and is_name(sides[0]):
            return reals_of(reals.without((reals.REALS,), pieces_of(self.answer(sides[1]))), spelled(tokens))
        if signs == ["equiv"]:
            return self.congruence(sides[1], spelled(tokens))
        raise Unreadable(f"the relation {signs[0]}")

    def congruence(self, right: Sequence[Token], text: str) -> Answer:
        r"""`x \equiv a \pmod m`: a class of integers."""
        place = next((k for k, t in enumerate(right) if t.text in ("pmod", "mod")), None)
        if not place:
            raise Unreadable("a congruence without a modulus")
        rest, modulus = (
            self.answer([t for t in right[:place] if t.text != "("]),
            self.answer([t for t in right[place + 1 :] if t.text not in "(){}"]),
        )
        if not (isinstance(rest.value, Fraction) and isinstance(modulus.value, Fraction) and modulus.value > 0):
            raise Unreadable("a congruence of something else than numbers")
        return Answer(Kind.EQUATION, ("congruence", str(rest.value % modulus.value), str(modulus.value)), text)

    def equation(self, sides: Sequence[Sequence[Token]]) -> Answer:
        left, right = sides[0], sides[-1]
        if len(sides) > 2 and not is_name(left):
            raise Unreadable("a chain of equalities")
        if is_function_head(left) or is_tuple_of_names(left):
            return self.answer(right)
        if is_name(right) and not is_name(left):
            left, right = right, left
        solved: Key = ()
        if is_name(left):
            found = self.answer(right)
            if found.kind is not Kind.EXPRESSION:
                return found
            solved = (spelled(left), *found.key)
        return replace(two_sides(parse(left), parse(right), "=", spelled([*left, Token("sign", "="), *right])), solved=solved)

    def inequality(self, sides: Sequence[Sequence[Token]], signs: Sequence[str]) -> Answer:
        text = "".join(a + b for a, b in zip(map(spelled, sides), [*signs, ""], strict=True))
        if len(signs) == 2 and is_name(sides[1]) and (signs[0] in UP) == (signs[1] in UP):
            first, last = (self.end(sides[k], signs[k // 2] in CLOSED) for k in (0, 2))
            return reals_of((Piece(first, last) if signs[0] in UP else Piece(last, first),), text)
        if len(signs) != 1:
            raise Unreadable("a chain of inequalities")
        small, large = (sides[0], sides[1]) if signs[0] in UP else (sides[1], sides[0])
        closed = signs[0] in CLOSED
        if len(small) == 3 and small[0].text == small[2].text == "|" and is_name(small[1:2]):
            bound = self.end(large, closed)
            low = self.end([Token("sign", "-"), Token("sign", "("), *large, Token("sign", ")")], closed)
            return reals_of((Piece(low, bound),), text)
        for names, other, below in ((small, large, True), (large, small, False)):
            if is_name(names) and (found := self.part(other)).kind is Kind.NUMBER:
                end = End(found.value, found.key[1], closed)
                return reals_of((Piece(reals.MINUS, end) if below else Piece(end, reals.PLUS),), text)
        return half_plane(parse(small), parse(large), closed, text)

    def end(self, tokens: Sequence[Token], closed: bool) -> End:
        """A number as an end of an interval; an infinite one never belongs to it."""
        return end_of(self.answer(tokens), closed)

    def several(self, tokens: Sequence[Token]) -> Answer | None:
        items = split(tokens, JOINTS)
        if len(items) < 2:
            return None
        items = [item for item in items if item]
        named = [assignment(item) for item in items]
        if all(named) and len({name for name, _ in named}) == len(named):  # type: ignore[misc]
            ordered = sorted(named, key=lambda pair: pair[0])  # type: ignore[index]
            return tuple_of([self.part(value) for _, value in ordered], "(", ")", spelled(tokens))  # type: ignore[misc]
        answers = [self.part(item) for item in items]
        if len(answers) == len(split(tokens, ("or",))) and all(a.kind is Kind.INTERVAL for a in answers):
            return reals_of(reals.merged([piece for a in answers for piece in pieces_of(a)]), spelled(tokens))
        return set_of(listed(answers), spelled(tokens), bare=True)

    def bracketed(self, tokens: Sequence[Token]) -> Answer | None:
        opening, closing = tokens[0].text, tokens[-1].text
        if tokens[0].kind != "sign" or not encloses(tokens):
            return None
        inside = tokens[1:-1]
        items = split(inside, (",", ";"))
        if opening in (r"\{", "{") and closing in (r"\}", "}"):
            built = split(inside, ("|", ":"))
            if len(built) == 2:
                return self.by_property(built[0], built[1])
            return set_of(listed([self.part(item) for item in items if item]), spelled(tokens))
        if opening not in "([" or closing not in ")]":
            return None
        if len(items) < 2:
            return self.answer(inside) if inside and opening + closing in ("()", "[]") else None
        return tuple_of([self.part(item) for item in items], opening, closing, spelled(tokens))

    def by_property(self, who: Sequence[Token], what: Sequence[Token]) -> Answer:
        r"""`\{x \in R : 2 < x\}`; of integers between two numbers all."""
        sides, signs = sides_of(who)
        if not is_name(sides[0]) or signs not in ([], ["in"]):
            raise Unreadable("a set by its property")
        found, among = self.answer(what), spelled(sides[1]) if signs else ""
        if found.kind is not Kind.INTERVAL or among not in ("", r"\mathbb{R}", r"\mathbb{Z}", r"\mathbb{N}"):
            raise Unreadable("a set by its property")
        return found if among in ("", r"\mathbb{R}") else integers_in(found, natural=among.endswith("N}"))

    def ratio(self, tokens: Sequence[Token]) -> Answer | None:
        parts = split(tokens, (":",))
        if len(parts) < 2:
            return None
        if re.fullmatch(r"\d{1,2}:[0-5]\d(:[0-5]\d)?", text := spelled(tokens)):
            return Answer(Kind.TEXT, ("text", text), text)
        numbers: list[Any] = [self.expression(part).value if part else None for part in parts]
        if not all(isinstance(n, Fraction) and n for n in numbers):
            raise Unreadable("a ratio of something else than numbers")
        if len(numbers) == 2:
            return number_of(numbers[0] / numbers[1], text)
        return Answer(Kind.TUPLE, ("ratio", *(str(n / numbers[0]) for n in numbers[1:])), text)

    def expression(self, tokens: Sequence[Token]) -> Answer:
        if tokens[0].text == "dots" and len(tokens) == 1:
            return Answer(Kind.TEXT, ("text", "..."), "...")
        if len(tokens) == 2 and tokens[0].kind == "number" and tokens[1].text in SCALES:
            return number_of(Fraction(tokens[0].text) * SCALES[tokens[1].text], spelled(tokens))
        if (found := _in_base(tokens)) is not None:
            return found
        body, unit = without_unit(tokens)
        if body and body[-1].text == "%":
            body, unit = body[:-1], "%"
        body = with_constant(body)
        if not body:
            raise Unreadable("a unit without a number")
        tree = parse(body)
        if applies(tree, "pm"):
            return set_of([valued(signed(tree, sign), spelled(tokens)) for sign in ("+", "-")], spelled(tokens), bare=True)
        if unit == "%" and self.reading.percent == "fraction":
            tree, unit = Apply("/", (tree, parse([Token("number", "100")]))), ""
        return valued(tree, spelled(tokens), unit)


def _choice(tokens: Sequence[Token]) -> Answer | None:
    inside = tokens[1:-1] if len(tokens) == 3 and tokens[0].text == "(" and tokens[-1].text == ")" else tokens
    if len(inside) == 1 and inside[0].kind in ("letter", "text") and (hit := re.fullmatch(r"\(?([A-J])[).]?", inside[0].text)):
        return choice_of(hit[1])
    return None


def _named_set(tokens: Sequence[Token]) -> Answer | None:
    text = spelled(tokens)
    if text in (r"\emptyset", r"\{\}"):
        return Answer(Kind.SET, ("set",), text)
    if text in (r"\mathbb{N}", r"\mathbb{Z}", r"\mathbb{Q}", r"\mathbb{C}"):
        return Answer(Kind.TEXT, ("text", text), text)
    return reals_of((reals.REALS,), text) if text in (r"\mathbb{R}", r"\mathbbR", r"\Reals") else None


def _in_base(tokens: Sequence[Token]) -> Answer | None:
    r"""`1011_2`, `(201)_{\text{three}}`: an integer in a base below 11."""
    told = [t.text for t in tokens if t.text not in "(){}"]
    if len(told) != 3 or told[1] != "_" or not told[0].isdigit():
        return None
    base = value_of(told[2]) if tokens[-1].text == "}" and not told[2].isdigit() else Fraction(told[2]) if told[2].isdigit() else None
    if base is None or not 2 <= base <= 10 or any(int(digit) >= base for digit in told[0]):
        raise Unreadable("digits that no base has")
    return number_of(Fraction(int(told[0], int(base))), spelled(tokens))


_SYNONYMS = {
    "dne": "does not exist",
    "undefined": "does not exist",
    "no solutions": "no solution",
    "no real solution": "no solution",
    "no real solutions": "no solution",
}
