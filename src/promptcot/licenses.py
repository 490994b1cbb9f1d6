"""Licenses as expressions, `MIT AND Apache-2.0`: what a row made of several things may be passed on under.

combined("MIT", "Apache-2.0", "MIT")  ->  "Apache-2.0 AND MIT"
combined("MIT", "")                   ->  "MIT AND none"
"""

from __future__ import annotations

NONE = "none"
"""What stands in an expression for a part that states no license."""


def parts(license: str) -> list[str]:
    """The licenses of an expression; `none` alone for an empty one."""
    return [part.strip() for part in license.split(" AND ")] if license else [NONE]


def combined(*given: str) -> str:
    """The licenses of all that a row is made of, each said once. What states none is `none` among them, since a row is only as free as
    what is least known of it; empty where nothing states one."""
    return " AND ".join(sorted({part for text in given for part in parts(text)})) if any(given) else ""
