"""Only what may be passed on: rows by their license, the others counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from promptcot.licenses import NONE, parts
from promptcot.material import Material
from promptcot.records import Record

R = TypeVar("R", bound=Record)


def allowed(license: str, allow: Sequence[str]) -> bool:
    """Whether every part of a license is among those allowed (expressions too), case aside; all are where nothing is said."""
    known = {part.lower() for name in allow for part in parts(name)}
    return not known or all(part.lower() in known for part in parts(license))


def only(material: Material, allow: Sequence[str]) -> tuple[Material, dict[str, int]]:
    """The rows whose license is allowed, and how many others there are, by license. A label that is not allowed leaves with its problem."""
    dropped = Counter[str]()

    def kept(rows: Iterable[R]) -> tuple[R, ...]:
        found = []
        for row in rows:
            if allowed(row.license, allow):
                found.append(row)
            else:
                dropped[row.license or NONE] += 1
        return tuple(found)

    labels = {key: label for key, label in material.labels.items() if allowed(label.license, allow)}
    problems = kept(material.problems)
    for problem in problems:
        if problem.id in material.labels and problem.id not in labels:
            dropped[material.labels[problem.id].license or NONE] += 1
    problems = tuple(p for p in problems if p.id not in material.labels or p.id in labels)
    labels = {p.id: labels[p.id] for p in problems if p.id in labels}
    done = replace(material, problems=problems, labels=labels, pairs=kept(material.pairs), traces=kept(material.traces))
    return done, dict(sorted(dropped.items()))


def expression(rows: Iterable[Record]) -> str:
    """All licenses of the rows as one expression, `none` among them for rows without."""
    return " AND ".join(sorted({part for row in rows for part in parts(row.license)}))
