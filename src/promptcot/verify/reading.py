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

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal

from promptcot.verify import guards, reals, values
from promptcot.verify.grammar import GREEK, Apply, Node, Number, applies, is_polynomial, parse
from promptcot.verify.guards import Unreadable
from promptcot.verify.number_words import SCALES, value_of
from promptcot.verify.reals import End, Piece
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
        return Answer(Kind.OPAQUE, ("opaque", _short(re.sub(r"\s+", "", plain))), plain, why=str(error))


def _short(text: str) -> str:
    return text if len(text) < 200 else hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


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
            return self.answer(_trimmed(tokens))
        except Unreadable as error:
            return Answer(Kind.OPAQUE, ("opaque", spelled(tokens)), spelled(tokens), why=str(error))

    def words(self, tokens: Sequence[Token]) -> Answer | None:
        """Words, without an expression before them (that would make them a unit) or digits and commands between them."""
        told = [t for t in tokens if t.kind == "text"]
        prose = len(told) > 1 and all(t.kind in ("text", "letter", "sign") for t in tokens) and tokens[0].kind == "letter"
        if not told or not (tokens[0].kind == "text" or prose):
            return None
        text = _worded(tokens)
        if self.reading.number_words and (number := value_of(text)) is not None:
            return _number(number, text)
        choices = re.sub(r",|\band\b", " ", " ".join(t.text for t in tokens)).split()
        if len(choices) > 1 and all(re.fullmatch("[A-J]", choice) for choice in choices):
            return _set([_choice_of(letter) for letter in choices], text, bare=True)
        if text in ("all reals", "all real numbers", "reals", "real numbers"):
            return _reals_of((reals.REALS,), text)
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
            return _number(_determinant([[cell.value for cell in row] for row in cells]), spelled(tokens))
        if shape not in ("pmatrix", "bmatrix", "matrix", "smallmatrix") and not (bracketed and shape == "array"):
            raise Unreadable(f"the environment {shape}")
        return Answer(Kind.MATRIX, ("matrix", *(tuple(cell.key for cell in row) for row in cells)), spelled(tokens))

    def algebra_of_sets(self, tokens: Sequence[Token]) -> Answer | None:
        r"""Unions, intersections and differences of intervals and finite sets, from left to right."""
        parts = split(tokens, ("cup", "cap", "setminus"))
        if len(parts) < 2:
            return None
        signs = _separators(tokens, parts)
        if len(set(signs)) > 1:
            raise Unreadable("unions and intersections mixed")
        answers = [self.part(part) for part in parts]
        found = _pieces(answers[0])
        for sign, answer in zip(signs, answers[1:], strict=True):
            others = _pieces(answer)
            if sign == "setminus" and not all(piece.point for piece in others):
                raise Unreadable("an interval taken away")
            found = {
                "cup": lambda a, b: reals.merged([*a, *b]),
                "cap": reals.intersected,
                "setminus": reals.without,
            }[sign](found, others)
        return _reals_of(found, spelled(tokens))

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
        if signs == ["ne"] and _is_name(sides[0]):
            return _reals_of(reals.without((reals.REALS,), _pieces(self.answer(sides[1]))), spelled(tokens))
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
        if len(sides) > 2 and not _is_name(left):
            raise Unreadable("a chain of equalities")
        if _is_function_head(left) or _is_tuple_of_names(left):
            return self.answer(right)
        if _is_name(right) and not _is_name(left):
            left, right = right, left
        solved: Key = ()
        if _is_name(left):
            found = self.answer(right)
            if found.kind is not Kind.EXPRESSION:
                return found
            solved = (spelled(left), *found.key)
        return replace(_two_sides(parse(left), parse(right), "=", spelled([*left, Token("sign", "="), *right])), solved=solved)

    def inequality(self, sides: Sequence[Sequence[Token]], signs: Sequence[str]) -> Answer:
        text = "".join(a + b for a, b in zip(map(spelled, sides), [*signs, ""], strict=True))
        if len(signs) == 2 and _is_name(sides[1]) and (signs[0] in _UP) == (signs[1] in _UP):
            first, last = (self.end(sides[k], signs[k // 2] in _CLOSED) for k in (0, 2))
            return _reals_of((Piece(first, last) if signs[0] in _UP else Piece(last, first),), text)
        if len(signs) != 1:
            raise Unreadable("a chain of inequalities")
        small, large = (sides[0], sides[1]) if signs[0] in _UP else (sides[1], sides[0])
        closed = signs[0] in _CLOSED
        if len(small) == 3 and small[0].text == small[2].text == "|" and _is_name(small[1:2]):
            bound = self.end(large, closed)
            low = self.end([Token("sign", "-"), Token("sign", "("), *large, Token("sign", ")")], closed)
            return _reals_of((Piece(low, bound),), text)
        for names, other, below in ((small, large, True), (large, small, False)):
            if _is_name(names) and (found := self.part(other)).kind is Kind.NUMBER:
                end = End(found.value, found.key[1], closed)
                return _reals_of((Piece(reals.MINUS, end) if below else Piece(end, reals.PLUS),), text)
        return _half_plane(parse(small), parse(large), closed, text)

    def end(self, tokens: Sequence[Token], closed: bool) -> End:
        """A number as an end of an interval; an infinite one never belongs to it."""
        return _end(self.answer(tokens), closed)

    def several(self, tokens: Sequence[Token]) -> Answer | None:
        items = split(tokens, _JOINTS)
        if len(items) < 2:
            return None
        items = [item for item in items if item]
        named = [_assignment(item) for item in items]
        if all(named) and len({name for name, _ in named}) == len(named):  # type: ignore[misc]
            ordered = sorted(named, key=lambda pair: pair[0])  # type: ignore[index]
            return _tuple([self.part(value) for _, value in ordered], "(", ")", spelled(tokens))  # type: ignore[misc]
        answers = [self.part(item) for item in items]
        if len(answers) == len(split(tokens, ("or",))) and all(a.kind is Kind.INTERVAL for a in answers):
            return _reals_of(reals.merged([piece for a in answers for piece in _pieces(a)]), spelled(tokens))
        return _set(_listed(answers), spelled(tokens), bare=True)

    def bracketed(self, tokens: Sequence[Token]) -> Answer | None:
        opening, closing = tokens[0].text, tokens[-1].text
        if tokens[0].kind != "sign" or not _encloses(tokens):
            return None
        inside = tokens[1:-1]
        items = split(inside, (",", ";"))
        if opening in (r"\{", "{") and closing in (r"\}", "}"):
            built = split(inside, ("|", ":"))
            if len(built) == 2:
                return self.by_property(built[0], built[1])
            return _set(_listed([self.part(item) for item in items if item]), spelled(tokens))
        if opening not in "([" or closing not in ")]":
            return None
        if len(items) < 2:
            return self.answer(inside) if inside and opening + closing in ("()", "[]") else None
        return _tuple([self.part(item) for item in items], opening, closing, spelled(tokens))

    def by_property(self, who: Sequence[Token], what: Sequence[Token]) -> Answer:
        r"""`\{x \in R : 2 < x\}`; of integers between two numbers all."""
        sides, signs = _sides(who)
        if not _is_name(sides[0]) or signs not in ([], ["in"]):
            raise Unreadable("a set by its property")
        found, among = self.answer(what), spelled(sides[1]) if signs else ""
        if found.kind is not Kind.INTERVAL or among not in ("", r"\mathbb{R}", r"\mathbb{Z}", r"\mathbb{N}"):
            raise Unreadable("a set by its property")
        return found if among in ("", r"\mathbb{R}") else _integers_in(found, natural=among.endswith("N}"))

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
            return _number(numbers[0] / numbers[1], text)
        return Answer(Kind.TUPLE, ("ratio", *(str(n / numbers[0]) for n in numbers[1:])), text)

    def expression(self, tokens: Sequence[Token]) -> Answer:
        if tokens[0].text == "dots" and len(tokens) == 1:
            return Answer(Kind.TEXT, ("text", "..."), "...")
        if len(tokens) == 2 and tokens[0].kind == "number" and tokens[1].text in SCALES:
            return _number(Fraction(tokens[0].text) * SCALES[tokens[1].text], spelled(tokens))
        if (found := _in_base(tokens)) is not None:
            return found
        body, unit = _without_unit(tokens)
        if body and body[-1].text == "%":
            body, unit = body[:-1], "%"
        body = _with_constant(body)
        if not body:
            raise Unreadable("a unit without a number")
        tree = parse(body)
        if applies(tree, "pm"):
            return _set([_valued(_signed(tree, sign), spelled(tokens)) for sign in ("+", "-")], spelled(tokens), bare=True)
        if unit == "%" and self.reading.percent == "fraction":
            tree, unit = Apply("/", (tree, parse([Token("number", "100")]))), ""
        return _valued(tree, spelled(tokens), unit)


# the parts of a reading

_JOINTS = (",", ";", "or", "and")
_OPEN = {"(": 1, "[": 1, "{": 1, r"\{": 1, "lfloor": 1, "lceil": 1, ")": -1, "]": -1, "}": -1, r"\}": -1, "rfloor": -1, "rceil": -1}
_UP, _CLOSED = ("<", "le"), ("le", "ge")
_RELATIONS = frozenset(["=", "<", ">", "le", "ge", "ne", "in", "approx", "equiv", "sim", "to", "mapsto"])


def split(tokens: Sequence[Token], at: Sequence[str]) -> list[tuple[Token, ...]]:
    """The runs of tokens between separators outside all brackets and matrices."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        if token.kind == "matrix":
            depth += -1 if token.text == "end" else 1
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
    return sides, _separators(tokens, sides)


def _separators(tokens: Sequence[Token], parts: Sequence[Sequence[Token]]) -> list[str]:
    """What stands between the parts that `split` made."""
    found, place = [], 0
    for part in parts[:-1]:
        place += len(part)
        found.append(tokens[place].text)
        place += 1
    return found


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
        return _choice_of(hit[1])
    return None


def _choice_of(letter: str) -> Answer:
    return Answer(Kind.CHOICE, ("choice", letter.upper()), letter.upper())


def _named_set(tokens: Sequence[Token]) -> Answer | None:
    text = spelled(tokens)
    if text in (r"\emptyset", r"\{\}"):
        return Answer(Kind.SET, ("set",), text)
    if text in (r"\mathbb{N}", r"\mathbb{Z}", r"\mathbb{Q}", r"\mathbb{C}"):
        return Answer(Kind.TEXT, ("text", text), text)
    return _reals_of((reals.REALS,), text) if text in (r"\mathbb{R}", r"\mathbbR", r"\Reals") else None


def _in_base(tokens: Sequence[Token]) -> Answer | None:
    r"""`1011_2`, `(201)_{\text{three}}`: an integer in a base below 11."""
    told = [t.text for t in tokens if t.text not in "(){}"]
    if len(told) != 3 or told[1] != "_" or not told[0].isdigit():
        return None
    base = value_of(told[2]) if tokens[-1].text == "}" and not told[2].isdigit() else Fraction(told[2]) if told[2].isdigit() else None
    if base is None or not 2 <= base <= 10 or any(int(digit) >= base for digit in told[0]):
        raise Unreadable("digits that no base has")
    return _number(Fraction(int(told[0], int(base))), spelled(tokens))


def _determinant(rows: Sequence[Sequence[Any]]) -> Fraction:
    """Of a square matrix of rationals, by expansion along the first row; up to 5 rows."""
    if len(rows) != len(rows[0]) or len(rows) > 5 or not all(isinstance(cell, Fraction) for row in rows for cell in row):
        raise Unreadable("a determinant of something else than a few rationals")
    if len(rows) == 1:
        return Fraction(rows[0][0])
    minors = ([[c for k, c in enumerate(row) if k != column] for row in rows[1:]] for column in range(len(rows)))
    return sum(((-1) ** k * rows[0][k] * _determinant(minor) for k, minor in enumerate(minors)), Fraction(0))


def _listed(items: Sequence[Answer]) -> list[Answer]:
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
    return [_number(known[0] + step * k, "") for k in range(int((known[-1] - known[0]) / step) + 1)]


def _integers_in(interval: Answer, *, natural: bool) -> Answer:
    pieces = _pieces(interval)
    if not all(isinstance(end.value, Fraction) for piece in pieces for end in (piece.low, piece.high)):
        raise Unreadable("infinitely many integers")
    found = []
    for piece in pieces:
        low, high = -(-piece.low.value // 1), piece.high.value // 1
        low += low == piece.low.value and not piece.low.closed
        high -= high == piece.high.value and not piece.high.closed
        if high - low > 1000:
            raise Unreadable("too many integers")
        found += [_number(Fraction(n), str(n)) for n in range(int(low), int(high) + 1) if n > 0 or not natural]
    return _set(found, interval.text)


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
        return (tuple(cut), "degrees") if cut and not any(t.text in _ANGLES for t in cut) else (tuple(tokens), "")
    first = next((k for k, t in enumerate(tokens) if t.kind == "text"), None)
    if not first:
        return tuple(tokens), ""
    unit = tokens[first:]
    raised = [b for a, b in pairwise(unit) if a.text in ("^", "{", "-")]
    if any(t.kind not in ("text", "letter") and t.text not in "^{}/-*()" and t not in raised for t in unit):
        raise Unreadable("words in an expression")
    return tuple(tokens[:first]), "".join(f" {t.text} " if t.kind == "text" else t.text for t in unit).lower().strip(" .")


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
    try:
        found = values.values(tree)
    except Unreadable as error:
        return Answer(Kind.OPAQUE, ("opaque", _short(text)), text, why=str(error), tree=tree)
    if len(found) == 1 or len({values.digits_of(v) for v in found}) == 1:
        return replace(_number(found[0], text, unit), tree=tree)
    return Answer(Kind.EXPRESSION, ("expression", *map(values.digits_of, found)), text, unit=unit)


def _two_sides(left: Node, right: Node, sign: str, text: str) -> Answer:
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


def _half_plane(small: Node, large: Node, closed: bool, text: str) -> Answer:
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
                return _reals_of((Piece(reals.MINUS, end) if slope > 0 else Piece(end, reals.PLUS),), text)
    return _two_sides(small, large, "le" if closed else "<", text)


def _signed(tree: Node, sign: str) -> Node:
    if not isinstance(tree, Apply):
        return tree
    args = tuple(_signed(arg, sign) for arg in tree.args)
    return Apply(tree.name, args) if tree.name != "pm" else Apply("+", (args[0], args[1] if sign == "+" else Apply("neg", (args[1],))))


def _set(items: Sequence[Answer], text: str, *, bare: bool = False) -> Answer:
    """A set. A bare list keeps what it lists twice, and joins the sets in it; a set of one is its element."""
    keys: list[Key] = []
    for item in items:
        keys += item.key[1:] if item.kind is Kind.SET and (bare or r"\pm" in item.text) else [item.key]
    if len(items) == 1 and items[0].kind is not Kind.SET:
        return items[0]
    return Answer(Kind.SET, ("set", *sorted(keys if bare else set(keys), key=repr)), text)


def _tuple(items: Sequence[Answer], opening: str, closing: str, text: str) -> Answer:
    """A pair of numbers that rises is an interval too, and is keyed as one; all else is a tuple."""
    if len(items) == 2 and all(item.kind is Kind.NUMBER for item in items) and values.less(items[0].value, items[1].value):
        return _reals_of((Piece(_end(items[0], opening == "["), _end(items[1], closing == "]")),), text)
    return Answer(Kind.TUPLE, ("tuple", *(item.key for item in items)), text)


def _end(answer: Answer, closed: bool) -> End:
    if answer.kind is not Kind.NUMBER:
        raise Unreadable("an interval between something else than numbers")
    return End(answer.value, answer.key[1], closed and answer.key[1] not in ("inf", "-inf"))


def _pieces(answer: Answer) -> tuple[Piece, ...]:
    """An interval's pieces; numbers and sets of numbers are points."""
    if answer.kind is Kind.INTERVAL:
        return tuple(answer.value)
    if answer.kind is Kind.NUMBER:
        return (Piece(_end(answer, True), _end(answer, True)),)
    numbers = [value for _, value in _numbers_of(answer)]
    return tuple(Piece(End(v, values.digits_of(v), True), End(v, values.digits_of(v), True)) for v in numbers)


def _numbers_of(answer: Answer) -> Iterator[tuple[str, Fraction]]:
    """The elements of a set of rationals."""
    if answer.kind is not Kind.SET or any(key[0] != "number" or not re.fullmatch(r"-?\d+(/\d+)?", key[1]) for key in answer.key[1:]):
        raise Unreadable("not a set of reals")
    for key in answer.key[1:]:
        yield key[1], Fraction(key[1])


def _reals_of(pieces: Sequence[Piece], text: str) -> Answer:
    """A set of reals in its simplest form."""
    found = reals.merged(pieces)
    if all(piece.point for piece in found):
        return _set([_number(piece.low.value, text) for piece in found], text)
    return Answer(Kind.INTERVAL, ("interval", *(piece.key for piece in found)), text, found)


def _holds_opaque(key: Key) -> bool:
    return bool(key) and (key[0] == "opaque" or any(isinstance(item, tuple) and _holds_opaque(item) for item in key[1:]))


_ANGLES = frozenset(["cis", "sin", "cos", "tan", "cot", "sec", "csc"])
_SYNONYMS = {
    "dne": "does not exist",
    "undefined": "does not exist",
    "no solutions": "no solution",
    "no real solution": "no solution",
    "no real solutions": "no solution",
}
