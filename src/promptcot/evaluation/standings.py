"""Contest standings from a file, and what an evaluation submitted to these contests.

A line is a contest: `{"contest": "1900", "problems": {"A": 500, "B": null}, "people": [{"rating": 1500, "points": 2, "penalty": 30}]}`,
null where a problem counts as one and failures cost penalty. A question belongs to the contest it names; the problem is its own name,
with or without the contest's before it (`1900A`, `A`). Its attempts are submitted in the order of their draws.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from promptcot.errors import UsageError
from promptcot.evaluation.contest_rank import Contest, Person
from promptcot.evaluation.stored import Stored
from promptcot.lines import read_lines
from promptcot.outcomes import Verdict
from promptcot.records import Question

Played = list[tuple[Contest, dict[str, list[bool]]]]


def read(path: Path) -> list[Contest]:
    """The contests of a file. Raises `UsageError` naming file, line and key."""
    rows = read_lines(path, {"contest": (str, int), "problems": dict, "people": (list,)})
    return [_contest(row, f"{path}, contest {row['contest']}") for row in rows]


def _contest(row: Mapping[str, Any], where: str) -> Contest:
    try:
        people = tuple(Person(float(p["rating"]), float(p["points"]), float(p.get("penalty", 0))) for p in row["people"])
        problems = {str(name): None if worth is None else float(worth) for name, worth in row["problems"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"no standings: {error!r}", where=where, remedy='people are {"rating", "points", "penalty"}') from None
    return Contest(str(row["contest"]), problems, people)


def played(contests: Sequence[Contest], questions: Sequence[Question], stored: Stored) -> Played:
    """The contests that questions belong to, with the results of every submission. Raises `UsageError` where there are none."""
    marks = {m.question: m for m in stored.marks}
    found = []
    for contest in contests:
        submitted = defaultdict[str, list[bool]](list)
        for question in questions:
            name = next((name for name in _names(question) if name in contest.problems), None)
            if question.contest == contest.name and name is not None and question.id in marks:
                submitted[name] += _results(marks[question.id].verdicts)
        if submitted:
            found.append((contest, dict(submitted)))
    if not found:
        raise UsageError(
            f"no question of `{stored.benchmark}` belongs to a problem of these contests",
            where="--standings",
            remedy="questions need `contest`, and a name such as A or 1900A",
        )
    return found


def _names(question: Question) -> Iterator[str]:
    yield question.name
    yield question.name.removeprefix(question.contest).strip("-_/ ")


def _results(verdicts: Sequence[Verdict]) -> list[bool]:
    return [v is Verdict.CORRECT for v in verdicts if v is not Verdict.VERIFIER_ERROR]
