"""What an expression is worth: exact rationals as long as possible, else numbers of at least 50 certain digits.

Two expressions are the same where they are worth the same at a few fixed points (Schwartz and Zippel's test for identities; in rational
arithmetic it is exact up to chance of 1e-9 a point). Precision grows when a difference cancels; what would need numbers beyond the
limits here raises `Unreadable`, and nothing is ever rounded into equality.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cache
from typing import Any

from mpmath import MPContext

from promptcot.verify.exact import EXACT, MAX_BITS, MAX_DEGREE
from promptcot.verify.exact import root as exact_root
from promptcot.verify.grammar import Apply, Node, Number, Symbol
from promptcot.verify.guards import Unreadable

POINTS = 3
"""Points at which expressions are compared; where integers stand for a variable, twice as many."""
DIGITS = (80, 200, 600)
"""Working precisions, tried in turn while more than `digits - SURE` of them cancel."""

SURE = 50
FINEST = 10**18
"""Summands that differ by more than this factor mix with irrational numbers nowhere: their sum would be rounded."""

TINIEST = 1e-15
"""An irrational function of less is not told from its value at 0."""

_LARGEST = 10.0**100
"""Of an angle or exponent, even where only a difference is looked for."""

MAX_STEPS = 30_000
"""Operations that reading one answer may take, all points and precisions together; one at 200 digits counts as 2, one at 600 as 7."""

MAX_MAGNITUDE = 1 << 50
"""Bits before the point of a number that is not exact."""

Value = Any  # Fraction, or mpf / mpc of a context


def values(tree: Node) -> tuple[Value, ...]:
    """The tree at each of the points: one value where it has no variables. Raises `Unreadable`."""
    names = variables(tree)
    count, steps = 1 if not names else POINTS * (2 if names & set(INTEGERS) else 1), _Steps()
    return tuple(_sure(tree, {name: coordinate(name, k) for name in names}, steps) for k in range(count))


def variables(tree: Node) -> frozenset[str]:
    """Names of the free variables."""
    if isinstance(tree, Number):
        return frozenset()
    if isinstance(tree, Symbol):
        return frozenset() if tree.name in ("pi", "e", "i", "infty") else frozenset([tree.name])
    if tree.name in ("sum", "prod"):
        index, low, high, term = map(variables, tree.args)
        return low | high | (term - index)
    return frozenset[str]().union(*map(variables, tree.args))


INTEGERS = ("n", "k", "m", "N", "j")
"""Variables that stand for natural numbers, so that sums up to them, binomials and parities have values."""

COMPLEX = ("z", "w")
_NATURAL = (3, 12, 7, 8, 11, 4)


def coordinate(name: str, k: int) -> Value:
    """A variable's value at point k, the same in every process: a rational of either sign between 0.5 and 3.5, the first one positive.

    Of `n` and its like a natural number up to 12, of `z` and `w` a complex number. Different variables have different values."""
    if name in INTEGERS:
        return Fraction(_NATURAL[(k + INTEGERS.index(name)) % len(_NATURAL)])
    code = zlib.crc32(f"{k}:{name}".encode())
    size = Fraction(1, 2) + Fraction(3 * (code % 1_000_003), 1_000_003)
    if name in COMPLEX:
        return context(DIGITS[-1]).mpc(float(size), 1 + k)
    return -size if k and (code >> 20) + k & 1 else size


class _Steps:
    """What is left of the operations that may be spent."""

    def __init__(self) -> None:
        self.left = MAX_STEPS

    def take(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise Unreadable("it takes too many operations")


def _sure(tree: Node, point: Mapping[str, Value], steps: _Steps) -> Value:
    """The value with digits enough, at a growing precision."""
    for digits in DIGITS:
        evaluator = _Evaluator(digits, steps, last=digits == DIGITS[-1])
        value = evaluator.of(tree, dict(point))
        if isinstance(value, Fraction) or evaluator.lost <= digits - SURE:
            return evaluator.tidy(value)
    raise Unreadable("too many digits cancel")


def apart(a: Node, b: Node) -> bool:
    """Whether two constants certainly differ: at 600 digits, by more than all that rounding could do. Never says that they are equal."""
    if variables(a) or variables(b):
        return False
    evaluator = _Evaluator(DIGITS[-1], _Steps(), last=True, rough=True)
    try:
        left, right = (evaluator.number(evaluator.of(tree, {})) for tree in (a, b))
    except Unreadable:
        return False
    size = abs(left) + abs(right)
    if not evaluator.mp.isfinite(size) or not size or evaluator.lost > DIGITS[-1] / 4:
        return False
    return bool(abs(left - right) > size * evaluator.mp.mpf(10) ** (evaluator.lost + 80 - DIGITS[-1]))


@cache
def context(digits: int) -> Any:
    """An arithmetic of so many decimal digits."""
    made = MPContext()
    made.dps = digits
    return made


class _Evaluator:
    """One evaluation at one precision. `lost`: decimal digits that cancellation took; `rough`: go on where rounding hides differences."""

    def __init__(self, digits: int, steps: _Steps, *, last: bool, rough: bool = False) -> None:
        self.mp, self.digits, self.last, self.lost, self.rough = context(digits), digits, last, 0.0, rough
        self.steps = steps
        self.fine = False  # an exact number holds a difference that rounding would hide

    def of(self, tree: Node, point: dict[str, Value]) -> Value:
        self.steps.take(self.digits // DIGITS[0])
        if isinstance(tree, Number):
            self.fine |= max(tree.value.numerator, tree.value.denominator) > FINEST**2
            return tree.value
        if isinstance(tree, Symbol):
            return self.symbol(tree.name, point)
        if tree.name in ("sum", "prod"):
            return self.series(tree, point)
        if tree.name == "mod" and (found := self.modular_power(tree, point)) is not None:
            return found
        arguments = [self.of(arg, point) for arg in tree.args]
        return self.bounded(self.apply(tree.name, arguments))

    def symbol(self, name: str, point: Mapping[str, Value]) -> Value:
        if name in point:
            return point[name]
        constants: dict[str, Value] = {"pi": +self.mp.pi, "e": +self.mp.e, "i": self.mp.mpc(0, 1), "infty": self.mp.inf}
        return constants[name]

    def bounded(self, value: Value) -> Value:
        """The value, unless its size is beyond all use; rationals too long become inexact nowhere: they are refused."""
        if isinstance(value, Fraction):
            if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
                raise Unreadable("an exact number grows too long")
        elif self.mp.isfinite(value) and value != 0 and abs(self.mp.mag(value)) > MAX_MAGNITUDE:
            raise Unreadable("a number grows too large")
        elif self.mp.isnan(value):
            raise Unreadable("not a number")
        return value

    def number(self, value: Value) -> Value:
        """A rational as a number of this precision."""
        if not isinstance(value, Fraction):
            return value
        if self.fine and not self.rough:
            raise Unreadable("an exact number too fine for an irrational one beside it")
        return self.mp.mpf(value.numerator) / value.denominator

    def apply(self, name: str, args: list[Value]) -> Value:
        exact = all(isinstance(a, Fraction) for a in args)
        if exact and (rule := EXACT.get(name)) is not None and (value := rule(*args)) is not None:
            self.fine |= name == "+" and all(args) and not 1 / FINEST < abs(args[0] / args[1]) < FINEST
            return value
        if name == "+":
            return self.add(*map(self.number, args))
        if name in ("^", "root"):
            return self.power(*args) if name == "^" else self.root(*args)
        rule = _NUMERIC.get(name)
        if rule is None:
            raise Unreadable(f"{name} has no value here")
        try:
            return rule(self, *map(self.number, args))
        except (ZeroDivisionError, ValueError, OverflowError, TypeError) as error:
            raise Unreadable(f"{name} has no value here: {error}") from None

    def add(self, a: Value, b: Value) -> Value:
        total, size = a + b, max(abs(a), abs(b))
        if self.mp.isinf(size) or not size:
            return total
        if not self.rough and min(abs(a), abs(b)) * FINEST < size and a and b:
            raise Unreadable("a sum of numbers of very different size")
        left = abs(total) / size
        if left < self.mp.mpf(10) ** (20 - self.digits):
            self.lost = self.lost if self.last else math.inf
            return self.mp.mpf(0)
        if left < 0.1:
            self.lost += float(-self.mp.log10(left))
        return total

    def power(self, base: Value, exponent: Value) -> Value:
        if isinstance(exponent, Fraction) and exponent.denominator > 1 and exponent.denominator % 2 and self._negative(base):
            return (-1) ** (exponent.numerator % 2) * self.power(-base, exponent)
        base, exponent = self.number(base), self.number(exponent)
        if not base:
            if self.mp.re(exponent) <= 0:
                raise Unreadable("a power of 0")
            return base
        if self.mp.isfinite(base) and self.mp.isfinite(exponent):
            if not self.rough and (0 < abs(exponent) < TINIEST or 0 < abs(base - 1) < TINIEST):
                raise Unreadable("a power too near 1")
            if abs(exponent) * abs(self.mp.log(base)) > MAX_MAGNITUDE:
                raise Unreadable("a power grows too large")
            if abs(exponent) > self.mp.mpf(10) ** (self.digits - SURE):
                self.lost = math.inf
        return self.mp.power(base, exponent)

    def root(self, inside: Value, degree: Value) -> Value:
        if not (isinstance(degree, Fraction) and degree.denominator == 1 and 2 <= degree <= MAX_DEGREE):
            raise Unreadable("a root of a strange degree")
        if isinstance(inside, Fraction) and (found := exact_root(inside, int(degree))) is not None:
            return found
        if degree % 2 and self._negative(inside):
            return -self.root(-inside, degree)
        found = self.mp.root(self.number(inside), int(degree))
        if not self.rough and abs(found - 1) < TINIEST**2:
            raise Unreadable("a root too near 1")
        return found

    def _negative(self, value: Value) -> bool:
        return bool(value < 0) if isinstance(value, Fraction) else bool(self.mp.im(value) == 0 and self.mp.re(value) < 0)

    def series(self, tree: Apply, point: dict[str, Value]) -> Value:
        index, low, high, term = tree.args
        assert isinstance(index, Symbol)
        first, last = self.of(low, point), self.of(high, point)
        if not (isinstance(first, Fraction) and isinstance(last, Fraction) and first.denominator == last.denominator == 1):
            raise Unreadable("a sum between other bounds than integers")
        total: Value = Fraction(tree.name == "prod")
        for k in range(int(first), int(last) + 1):
            value = self.of(term, {**point, index.name: Fraction(k)})
            total = self.bounded(self.apply("+" if tree.name == "sum" else "*", [total, value]))
        return total

    def smooth(self, function: str, x: Value, most: float = 1e15) -> Value:
        """A function at an argument neither too small nor too large to tell its value; sin(pi) is 0, its noise no number."""
        if not self.mp.isfinite(x) or (not self.rough and (abs(x) > most or 0 < abs(x) < TINIEST)) or abs(x) > _LARGEST:
            raise Unreadable(f"{function} of a number too large or too small")
        value = getattr(self.mp, function)(x)
        noise = abs(value) < self.mp.mpf(10) ** (20 - self.digits) * max(1, abs(x))
        return self.mp.mpf(0) if noise else value

    def modular_power(self, tree: Apply, point: dict[str, Value]) -> Fraction | None:
        """`b^e mod m` of integers, without the power."""
        power, modulus = tree.args
        if not (isinstance(power, Apply) and power.name == "^"):
            return None
        found = [self.of(part, point) for part in (*power.args, modulus)]
        if not all(isinstance(v, Fraction) and v.denominator == 1 and v >= 0 for v in found) or not found[2]:
            return None
        return Fraction(pow(*map(int, found)))

    def whole(self, x: Value, function: str) -> Value:
        """Floor and ceiling of a number that is not exactly an integer."""
        if self.mp.im(x) or abs(x) > self.mp.mpf(10) ** 20 or abs(x - self.mp.nint(x)) < self.mp.mpf(10) ** (10 - self.digits):
            raise Unreadable("a floor that its digits do not decide")
        return Fraction(int(getattr(self.mp, function)(x)))

    def gamma(self, x: Value) -> Value:
        if abs(x) > self.mp.mpf(10) ** 13:
            raise Unreadable("a factorial grows too large")
        return self.mp.gamma(x)

    def tidy(self, value: Value) -> Value:
        """Without an imaginary part that is only noise, and exact where it is a small rational to all sure digits."""
        if isinstance(value, Fraction) or not self.mp.isfinite(value):
            return value
        noise = abs(value) * self.mp.mpf(10) ** (-SURE)
        if abs(self.mp.im(value)) <= noise:
            value = self.mp.re(value)
        elif abs(self.mp.re(value)) <= noise:
            value = self.mp.mpc(0, self.mp.im(value))
        if not self.mp.im(value) and 1e-6 < abs(value) < 1e15:
            near = Fraction(*_ratio(value)).limit_denominator(10**6)
            if abs(self.mp.mpf(near.numerator) / near.denominator - value) <= noise:
                return near
        return value if value else Fraction(0)


def _ratio(value: Value) -> tuple[int, int]:
    sign, man, exp, _ = value._mpf_
    signed = -int(man) if sign else int(man)
    return (signed << exp, 1) if exp >= 0 else (signed, 1 << -exp)


_NUMERIC: dict[str, Callable[..., Value]] = {
    "*": lambda s, a, b: a * b,
    "/": lambda s, a, b: a / b,
    "neg": lambda s, a: -a,
    "abs": lambda s, a: abs(a),
    "fact": lambda s, a: s.gamma(a + 1),
    "binom": lambda s, n, k: s.gamma(n + 1) / s.gamma(k + 1) / s.gamma(n - k + 1),
    "floor": lambda s, a: s.whole(a, "floor"),
    "ceil": lambda s, a: s.whole(a, "ceil"),
    "max": lambda s, *a: max(a),
    "min": lambda s, *a: min(a),
    "exp": lambda s, a: s.power(s.mp.e, a),
    "ln": lambda s, a: s.smooth("log", a, math.inf),
    "log": lambda s, a, b=None: s.smooth("log", a, math.inf) / (1 if b is None else s.mp.log(b)),
    "lg": lambda s, a: s.smooth("log10", a, math.inf),
    **{f: lambda s, a, f=f: s.smooth(f, a) for f in ("sin", "cos", "tan", "cot", "sec", "csc", "asin", "acos", "atan", "sinh", "cosh")},
    "conj": lambda s, a: s.mp.conj(a),
    "Re": lambda s, a: s.mp.re(a),
    "Im": lambda s, a: s.mp.im(a),
    "cis": lambda s, a: s.smooth("cos", a) + s.smooth("sin", a) * s.mp.mpc(0, 1),
    "tanh": lambda s, a: s.smooth("tanh", a, 20),
}


def digits_of(value: Value) -> str:
    """A value as text: rationals exactly, others to 45 significant digits; equal values give equal texts."""
    if isinstance(value, Fraction):
        short = max(abs(value.numerator), value.denominator) < 1 << 64
        return str(value) if short else f"{value.numerator:#x}/{value.denominator:x}"  # decimals of long numbers take quadratic time
    mp = context(SURE)
    if mp.im(value):
        return f"{digits_of(mp.re(value))}+{digits_of(mp.im(value))}i"
    return str(mp.nstr(mp.re(value), 45, min_fixed=1, max_fixed=0)) if mp.isfinite(value) else "inf" if value > 0 else "-inf"


def sortable(value: Value) -> Any:
    """A key that sorts real values; raises `Unreadable` for others."""
    if isinstance(value, Fraction | float):
        return value
    mp = context(SURE)
    if mp.im(value):
        raise Unreadable("complex numbers have no order")
    if not mp.isfinite(value):
        return float(value)
    return Fraction(*_ratio(mp.re(value)))


def less(a: Value, b: Value) -> bool:
    """a < b for real values; False where either is not real."""
    try:
        return bool(sortable(a) < sortable(b))
    except Unreadable:
        return False
