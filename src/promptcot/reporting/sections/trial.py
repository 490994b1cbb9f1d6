"""What a trial of corpora came to: the students of each, their differences, and the curve over parts of a corpus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from promptcot.intervals import Estimate as Interval
from promptcot.records import TrialStudent
from promptcot.reporting import charts
from promptcot.reporting.blocks import Block, Figure, Grid, Paragraph, Section
from promptcot.reporting.data import SHARE, Estimate
from promptcot.reporting.run_tables import RunTables
from promptcot.trials.outcome import Group, Outcome, outcome


def section(tables: RunTables) -> Section | None:
    """The trial; None for a run without one, or one that is not yet evaluated."""
    if not tables.rows("trial/students", TrialStudent) or not tables.steps("evaluate"):
        return None
    return Section("trial", "The trial", tuple(_blocks(outcome(tables.run))))


def _blocks(found: Outcome) -> Iterator[Block]:
    yield Paragraph(
        "The same student, fitted on equally many tokens of solutions of each corpus and asked the same held-out questions. Differences are"
        " paired by question and by training seed; their intervals are for other questions and other seeds alike."
    )
    for benchmark, before in found.before.items():
        groups = [group for group in found.groups if group.benchmark == benchmark]
        rows = [("as it came", None, None, None, None, _share(before)), *(_row(group) for group in groups)]
        head = ("", "Texts", "Tokens", "Steps", "Seeds", "Accuracy")
        yield Grid(f"Students on {benchmark}", head, tuple(rows))
        pairs = [(f"{one.new} less {one.old}", _share(one.value)) for one in found.differences if one.benchmark == benchmark]
        about = "Where an interval holds zero there is no evidence of a difference."
        yield Figure(f"Differences on {benchmark}", about, charts.intervals(pairs, signed=True))
        yield from _curve(benchmark, groups)


def _row(group: Group) -> tuple[str | int | Estimate | None, ...]:
    return (_name(group), round(group.texts), round(group.tokens), round(group.steps), len(group.seeds), _share(group.accuracy))


def _name(group: Group) -> str:
    return group.corpus if group.share == 1 else f"{group.corpus}, {group.share:.0%}, same {group.same}"


def _curve(benchmark: str, groups: Sequence[Group]) -> Iterator[Block]:
    if all(group.share == 1 for group in groups):
        return
    lines = []
    for corpus in dict.fromkeys(group.corpus for group in groups):
        for same in dict.fromkeys(group.same for group in groups if group.share < 1):
            own = [g for g in groups if g.corpus == corpus and (g.share == 1 or g.same == same)]
            values = [g.accuracy for g in own]
            points = tuple((g.tokens, e.value) for g, e in zip(own, values, strict=True))
            lines.append(charts.Group(f"{corpus}, same {same}", points, tuple(e.low for e in values), tuple(e.high for e in values)))
    about = "Accuracy by tokens learned; smaller parts are within larger ones. With the same steps they are seen more often."
    yield Figure(f"Scaling on {benchmark}", about, charts.plane(lines, joined=True, x_name="tokens of solutions", y_name="accuracy"))


def _share(e: Interval) -> Estimate:
    return Estimate(e.value, e.low, e.high, e.n, SHARE, "questions", e.level)
