"""Operations on exact rationals: each gives a rational, or None where the result is irrational or too long, or raises `Unreadable`."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from promptcot.verify.guards import Unreadable

MAX_BITS = 20_000
"""Bits of an exact number."""

MAX_DEGREE = 1000
"""Of a root: one of a higher degree is no rational that anybody writes, and searching for it takes memory without bound."""


def power(base: Fraction, exponent: Fraction) -> Fraction | None:
    """base^exponent where it is rational and short."""
    if exponent.denominator != 1:
        base_root = root(base, exponent.denominator) if exponent.denominator <= MAX_DEGREE else None
        return None if base_root is None else power(base_root, Fraction(exponent.numerator))
    if not base and exponent <= 0:
        raise Unreadable("a power of 0")
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if abs(base) != 1 and base and abs(exponent) * bits > MAX_BITS:
        return None
    return base ** int(exponent) if abs(base) != 1 and base else Fraction(base ** int(exponent % 2) if base else 0)


def root(value: Fraction, degree: int) -> Fraction | None:
    """The real root where it is rational."""
    if value < 0:
        inner = root(-value, degree) if degree % 2 else None
        return None if inner is None else -inner
    top, bottom = _integer_root(value.numerator, degree), _integer_root(value.denominator, degree)
    return None if top is None or bottom is None else Fraction(top, bottom)


def _integer_root(n: int, degree: int) -> int | None:
    if n < 2:
        return n
    low, high = 1, 1 << (n.bit_length() // degree + 1)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**degree < n else (low, middle)
    return low if low**degree == n else None


def _divide(a: Fraction, b: Fraction) -> Fraction:
    if not b:
        raise Unreadable("a division by 0")
    return a / b


def _factorial(n: Fraction) -> Fraction | None:
    if n < 0 and n.denominator == 1:
        raise Unreadable("a factorial of a negative integer")
    return Fraction(math.factorial(int(n))) if n.denominator == 1 and n <= 2100 else None


def _binomial(n: Fraction, k: Fraction) -> Fraction | None:
    whole = n.denominator == 1 and k.denominator == 1 and k >= 0 and n >= 0
    return Fraction(math.comb(int(n), int(k))) if whole and n <= 10_000 else None


def _of_integers(function: Callable[..., int]) -> Callable[..., Fraction | None]:
    return lambda *args: Fraction(function(*map(int, args))) if all(a.denominator == 1 for a in args) else None


EXACT: dict[str, Callable[..., Fraction | None]] = {
    "+": lambda a, b: a + b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "^": power,
    "neg": lambda a: -a,
    "abs": abs,
    "fact": _factorial,
    "fact2": lambda n: Fraction(math.prod(range(int(n), 0, -2))) if n.denominator == 1 and 0 <= n <= 2100 else None,
    "mod": lambda a, b: a % b if b else None,
    "conj": lambda a: a,
    "Re": lambda a: a,
    "Im": lambda a: Fraction(0),
    "binom": _binomial,
    "floor": lambda a: Fraction(math.floor(a)),
    "ceil": lambda a: Fraction(math.ceil(a)),
    "gcd": _of_integers(math.gcd),
    "lcm": _of_integers(math.lcm),
    "max": max,
    "min": min,
}
