r"""Units behind a number: `5\text{ cm}^2`, `5 square centimeters` and `500\text{ mm}^2` are one area, `5\text{ cm}` is none.

An answer without a unit is taken to be in the right one. A unit that is not in the table is only equal to itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

_TABLE = """
m: m meter meters metre metres | mm 1/1000 millimeter millimeters | cm 1/100 centimeter centimeters
| km 1000 kilometer kilometers
| inch 254/10000 in inches | ft 3048/10000 foot feet | yd 9144/10000 yard yards | mi 1609344/1000 mile miles
s: s sec second seconds | min 60 minute minutes | h 3600 hr hrs hour hours | day 86400 days | week 604800 weeks
year: year years yr yrs | month 1/12 months
g: g gram grams | mg 1/1000 milligram milligrams | kg 1000 kilogram kilograms
| lb 45359237/100000 lbs pound pounds | oz 45359237/1600000 ounce
angle: degree degrees deg | radian 0 radians rad
money: $ dollar dollars usd | cent 1/100 cents | euro 0 euros € | pounds_sterling 0 £
l: l liter liters litre litres | ml 1/1000 milliliter milliliters
percent: % percent | unit: unit units
"""
_SHORTHAND = {"mph": "mi/h", "kph": "km/h", "kmh": "km/h", "sq": "square", "cu": "cubic"}


@dataclass(frozen=True)
class Unit:
    """`factor` base units; `dimension`: base units with their powers, sorted."""

    factor: Fraction
    dimension: tuple[tuple[str, int], ...]


def _named() -> dict[str, tuple[Fraction, str]]:
    found: dict[str, tuple[Fraction, str]] = {}
    for part in re.split(r"\n(?=\S+:)|(?<=percent) \| (?=unit:)", _TABLE.strip()):
        base, _, kinds = part.partition(":")
        for kind in kinds.split("|"):
            names = kind.split()
            factor = Fraction(names[1]) if len(names) > 1 and re.fullmatch(r"[\d/]+", names[1]) else Fraction(1)
            own = base.strip() if factor else f"{base.strip()}_{names[0]}"
            for name in names:
                found[name] = (factor or Fraction(1), own)
    return found


_UNITS = _named()
ABBREVIATIONS = frozenset(["cm", "mm", "km", "kg", "mg", "ml", "mL", "ft", "in", "lb", "oz", "hr", "mi", "yd", "sq"])
"""Two letters that are a unit behind a number, not two variables."""


@lru_cache(maxsize=1024)
def unit_of(text: str) -> Unit | None:
    """The unit that a text names, None for one that is not known."""
    text = text.lower().replace("{", "").replace("}", "").replace("\\", " ")
    text = re.sub(r"\bper\b", "/", " ".join(_SHORTHAND.get(word, word) for word in text.split()))
    factor, powers, sign, power_of_next = Fraction(1), dict[str, int](), 1, 1
    for word, exponent in re.findall(r"([a-z_$€£%]+|/|\*|\S)(?:\s*\^\s*(-?\d+))?", text):
        if word in ("/", "*", "·", "."):
            sign = -1 if word == "/" else sign
        elif word in ("square", "squared", "cubic", "cubed"):
            power_of_next = 2 if word.startswith("sq") else 3
        elif word in _UNITS:
            scale, base = _UNITS[word]
            power = sign * power_of_next * int(exponent or 1)
            factor, power_of_next = factor * scale**power, 1
            powers[base] = powers.get(base, 0) + power
        else:
            return None
    powers.pop("unit", None)
    return Unit(factor, tuple(sorted((base, power) for base, power in powers.items() if power)))
