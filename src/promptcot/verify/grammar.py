r"""Expressions: tokens to a tree, by precedence climbing.

`2\frac{1}{3}` is a mixed number, `2x` a product, `\sin^2 2x` what people mean by it.

What this does not cover: derivatives, integrals, limits, set-builder notation, congruences. They raise `Unreadable` and go to math-verify.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from promptcot.verify.guards import MAX_NESTING, Unreadable
from promptcot.verify.tokens import FUNCTIONS, Token

MAX_NODES = 400
"""Operations of a tree."""

MAX_DEPTH = 100
"""Operations of a tree on top of one another, so many terms of a sum too."""


@dataclass(frozen=True, slots=True)
class Number:
    """An exact rational."""

    value: Fraction


@dataclass(frozen=True, slots=True)
class Symbol:
    """A variable or a constant: `x`, `x_1`, `pi`, `e`, `i`, `infty`."""

    name: str


@dataclass(frozen=True, slots=True)
class Apply:
    """An operator or function on its arguments: `+ * / ^ neg pm root fact`, `sin`, `binom`, `sum`, ..."""

    name: str
    args: tuple[Node, ...]
    depth: int = field(default=1, compare=False)


Node = Number | Symbol | Apply

GREEK = frozenset(
    [
        *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "lambda", "mu", "nu", "xi", "rho", "sigma", "tau"),
        *("phi", "chi", "psi", "omega", "ell", "Gamma", "Delta", "Theta", "Lambda", "Sigma", "Phi", "Psi", "Omega"),
    ]
)
CONSTANTS = frozenset(["pi", "infty"])
_CLOSING = {"(": ")", "[": "]", "{": "}", "|": "|"}
_ENDS_FACTOR = frozenset(["+", "-", "*", "/", ")", "]", "}", "|", ",", "!"])


def parse(tokens: Sequence[Token]) -> Node:
    """The tree of an expression that uses all tokens, or `Unreadable`."""
    parser = _Parser(list(tokens))
    tree = parser.infix(parser.sum())
    if parser.rest:
        raise Unreadable(f"cannot read on from {parser.rest[-1].text!r}")
    return tree


class _Parser:
    """One pass over the tokens; `rest` holds what is not yet read, reversed."""

    def __init__(self, tokens: list[Token]) -> None:
        self.rest = tokens[::-1]
        self.nodes = 0
        self.bars = 0  # absolute values open
        self.open = 0  # operands begun and not ended
        self.last = ""  # kind of the token last taken

    # tokens

    def peek(self) -> str:
        """The next token's text; empty at the end, and for words."""
        return self.rest[-1].text if self.rest and self.rest[-1].kind not in ("text", "matrix") else ""

    def kind(self) -> str:
        return self.rest[-1].kind if self.rest else ""

    def take(self, text: str = "") -> Token:
        if not self.rest or (text and self.rest[-1].text != text):
            raise Unreadable(f"{text or 'something'} is missing")
        self.last = self.rest[-1].kind
        return self.rest.pop()

    def node(self, name: str, *args: Node) -> Node:
        self.nodes += 1
        depth = 1 + max(arg.depth if isinstance(arg, Apply) else 0 for arg in args)
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            raise Unreadable("too many operations")
        return Apply(name, args, depth)

    # levels

    def sum(self) -> Node:
        sign = self.take().text if self.peek() in ("+", "-", "pm", "mp") else "+"
        left = self.product()
        left = {"-": lambda: self.node("neg", left), "pm": lambda: self.node("pm", Number(Fraction(0)), left)}.get(sign, lambda: left)()
        while self.peek() in ("+", "-", "pm", "mp"):
            sign = self.take().text
            right = self.product()
            left = (
                self.node("+", left, self.node("neg", right))
                if sign == "-"
                else self.node("pm" if sign in ("pm", "mp") else "+", left, right)
            )
        return left

    def product(self) -> Node:
        left = self.factor()
        while self.rest:
            sign = self.peek()
            if sign in ("*", "/", "mod"):
                self.take()
                negative = self.peek() == "-" and bool(self.take())
                right = self.factor()
                left = self.node(sign, left, self.node("neg", right) if negative else right)
            elif self._begins_factor():
                if self.kind() == self.last == "number":
                    raise Unreadable("two numbers side by side")
                left = self.node("*", left, self.factor())
            else:
                break
        return left

    def _begins_factor(self) -> bool:
        if self.kind() == "sign":
            return self.peek() in ("(", "[", "{") or (self.peek() == "|" and not self.bars)
        if self.kind() == "command":
            name = self.peek()
            return name in FUNCTIONS | GREEK | CONSTANTS or name in ("frac", "binom", "lfloor", "lceil", "sum", "prod", "overline")
        return self.kind() in ("letter", "number")

    def factor(self) -> Node:
        base = self.atom()
        while self.peek() in ("^", "!", "!!"):
            sign = self.take().text
            base = self.power_of(base) if sign == "^" else self.node("fact" if sign == "!" else "fact2", base)
        return base

    def power_of(self, base: Node) -> Node:
        if self.peek() == "circ":
            self.take()
            return self.node("*", base, self.node("/", Symbol("pi"), Number(Fraction(180))))
        if self.peek() == "{" and len(self.rest) > 2 and self.rest[-2].text == "circ" and self.rest[-3].text == "}":
            del self.rest[-3:]
            return self.node("*", base, self.node("/", Symbol("pi"), Number(Fraction(180))))
        return self.node("^", base, self.exponent())

    def exponent(self) -> Node:
        if self.peek() == "-":
            self.take()
            return self.node("neg", self.atom())
        base = self.atom()
        return self.power_of(base) if self.peek() == "^" and bool(self.take()) else base

    def argument(self) -> Node:
        r"""A braced group or one token, of a number its first digit only: `\frac12` is a half."""
        if self.peek() == "{":
            return self.group("{")
        if self.kind() == "number" and self.peek().isdigit() and len(self.peek()) > 1:
            token = self.take()
            self.rest.append(Token("number", token.text[1:]))
            return Number(Fraction(token.text[0]))
        return self.atom()

    def group(self, opening: str) -> Node:
        self.take(opening)
        tree = self.infix(self.sum())
        self.take(_CLOSING[opening])
        return tree

    def infix(self, left: Node) -> Node:
        r"""TeX's `n \choose k` and `a \over b`, which take all of a group."""
        if self.peek() not in ("choose", "over"):
            return left
        return self.node("binom" if self.take().text == "choose" else "/", left, self.sum())

    def atom(self) -> Node:
        """The smallest operand: what stands between two operators."""
        self.open += 1
        if self.open > MAX_NESTING:
            raise Unreadable("operands nest too deeply")
        found = self.operand()
        self.open -= 1
        return found

    def operand(self) -> Node:
        if self.kind() == "number":
            return self.number()
        if self.kind() == "letter":
            return self.letter()
        if self.kind() == "command":
            return self.command()
        opening = self.peek()
        if opening in ("(", "[", "{"):
            bars, self.bars = self.bars, 0
            tree = self.group(opening)
            self.bars = bars
            return tree
        if opening == "|":
            self.bars += 1
            tree = self.group("|")
            self.bars -= 1
            return self.node("abs", tree)
        raise Unreadable(f"an expression does not go on with {self.rest[-1].text!r}" if self.rest else "an expression breaks off")

    def number(self) -> Node:
        text = self.take().text
        if self.peek() in ("overline", "dot") and "." in text:
            return Number(self._repeating(text))
        if text.lower().count("e") and abs(int(text.lower().partition("e")[2])) > 5000:
            raise Unreadable("a number's exponent is too large")
        value = Fraction(text)
        return Number(value + self._fraction_after()) if value.denominator == 1 and "." not in text else Number(value)

    def _repeating(self, text: str) -> Fraction:
        self.take()
        braced = self.peek() == "{" and bool(self.take())
        period = self.take().text
        if braced:
            self.take("}")
        if "." not in text or not period.isdigit():
            raise Unreadable("a bar over something else than repeating decimals")
        places = len(text.partition(".")[2])
        return Fraction(text + "0" if text.endswith(".") else text) + Fraction(int(period), 10**places * (10 ** len(period) - 1))

    def _fraction_after(self) -> Fraction:
        r"""The fraction of a mixed number, `1\frac{1}{2}` or `1 1/2`; 0 where none follows."""
        for pattern in (("frac", "{", 0, "}", "{", 0, "}"), (0, "/", 0)):
            ahead = self.rest[: -len(pattern) - 1 : -1]
            if len(ahead) == len(pattern) and all(
                t.text == want if want else t.kind == "number" and t.text.isdigit() for t, want in zip(ahead, pattern, strict=True)
            ):
                top, bottom = (int(t.text) for t, want in zip(ahead, pattern, strict=True) if not want)
                if 0 < top < bottom:
                    del self.rest[-len(pattern) :]
                    return Fraction(top, bottom)
        return self._braceless()

    def _braceless(self) -> Fraction:
        r"""`\frac12`, 0 where something else follows."""
        ahead = self.rest[:-3:-1]
        if len(ahead) == 2 and ahead[0].text == "frac" and ahead[1].kind == "number" and re.fullmatch(r"\d\d", ahead[1].text):
            top, bottom = map(int, ahead[1].text)
            if 0 < top < bottom:
                del self.rest[-2:]
                return Fraction(top, bottom)
        return Fraction(0)

    def letter(self) -> Node:
        name = self.take().text
        if name == "C" and self.peek() == "(" and self._has_comma():
            return self.node("binom", *self.several())
        return Symbol(name + self.index())

    def index(self) -> str:
        """A subscript, as part of a name."""
        if self.peek() != "_":
            return ""
        self.take()
        if self.peek() != "{":
            return "_" + self.take().text
        self.take()
        parts = []
        while self.peek() != "}":
            parts.append(self.take().text)
        self.take("}")
        return "_" + "".join(parts)

    def _has_comma(self) -> bool:
        depth = 0
        for token in reversed(self.rest):
            depth += (token.text in _CLOSING) - (token.text in _CLOSING.values())
            if depth == 1 and token.text == ",":
                return True
            if depth == 0:
                return False
        return False

    def several(self) -> tuple[Node, ...]:
        """`(a, b, ...)`."""
        self.take("(")
        found = [self.sum()]
        while self.peek() == ",":
            self.take()
            found.append(self.sum())
        self.take(")")
        return tuple(found)

    def command(self) -> Node:
        name = self.take().text
        if name in GREEK:
            return Symbol(name + self.index())
        if name in CONSTANTS:
            return Symbol(name)
        if name == "frac":
            top = self.argument()
            return self.node("/", top, self.argument())
        if name == "binom":
            return self.node("binom", *self.several()) if self.peek() == "(" else self.node("binom", self.argument(), self.argument())
        if name in ("lfloor", "lceil"):
            tree = self.sum()
            self.take({"lfloor": "rfloor", "lceil": "rceil"}[name])
            return self.node({"lfloor": "floor", "lceil": "ceil"}[name], tree)
        if name in ("sum", "prod"):
            return self.series(name)
        if name == "sqrt":
            return self.root()
        if name == "overline":
            return self.node("conj", self.argument())
        if name in ("gcd", "lcm", "max", "min"):
            return self.node(name, *self.several())
        if name in FUNCTIONS:
            return self.function(name)
        raise Unreadable(f"\\{name} is not read here")

    def root(self) -> Node:
        degree: Node = Number(Fraction(2))
        if self.peek() == "[":
            degree = self.group("[")
        return self.node("root", self.group("{") if self.peek() == "{" else self.atom(), degree)

    def series(self, name: str) -> Node:
        """`sum_{k=1}^{n} term`."""
        self.take("_")
        self.take("{")
        index = self.take()
        self.take("=")
        low = self.sum()
        self.take("}")
        self.take("^")
        high = self.argument()
        if index.kind != "letter":
            raise Unreadable("a sum without an index")
        return self.node(name, Symbol(index.text), low, high, self.product())

    def function(self, name: str) -> Node:
        base = None
        if self.peek() == "_":
            self.take()
            base = self.argument()
        power = None
        if self.peek() == "^":
            self.take()
            power = self.exponent()
        inside = self.function_argument()
        if name in ("sin", "cos", "tan") and power == Apply("neg", (Number(Fraction(1)),)):
            return self.node("a" + name, inside)
        if base is not None and name != "log":
            raise Unreadable(f"\\{name} with an index")
        tree = self.node(name, inside, base) if base is not None else self.node(name, inside)
        return self.node("^", tree, power) if power is not None else tree

    def function_argument(self) -> Node:
        """A bracket, or the product that follows: `sin 2x`."""
        if self.peek() in ("(", "{", "["):
            return self.factor_of_bracket()
        negative = self.peek() == "-" and bool(self.take())
        tree = self.factor()
        while self.rest and self._begins_factor() and self.peek() not in FUNCTIONS and self.peek() not in ("(", "["):
            tree = self.node("*", tree, self.factor())
        return self.node("neg", tree) if negative else tree

    def factor_of_bracket(self) -> Node:
        return self.group(self.peek())


def applies(tree: Node, name: str) -> bool:
    """Whether an operator or function of that name occurs."""
    return isinstance(tree, Apply) and (tree.name == name or any(applies(arg, name) for arg in tree.args))


def is_polynomial(tree: Node) -> bool:
    """Whether it is made of variables and numbers by sums, products, division by numbers and natural powers."""
    if not isinstance(tree, Apply):
        return True
    if tree.name == "/" and not _constant(tree.args[1]):
        return False
    if tree.name == "^" and not (isinstance(tree.args[1], Number) and tree.args[1].value.denominator == 1 and tree.args[1].value >= 0):
        return _constant(tree)
    return _constant(tree) or (tree.name in ("+", "neg", "*", "/", "^") and all(map(is_polynomial, tree.args)))


def _constant(tree: Node) -> bool:
    if isinstance(tree, Symbol):
        return tree.name in CONSTANTS or tree.name in ("e", "i")
    return isinstance(tree, Number) or all(map(_constant, tree.args))
