"""Self-play and distillation: pass rates of the solver, what was trained on, the fits, the teacher's traces."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from promptcot.intervals import bounded_mean
from promptcot.records import PassRate, TraceFigures
from promptcot.reporting import charts, wording
from promptcot.reporting.blocks import Block, Figure, Grid, Heading, Paragraph, Section
from promptcot.reporting.data import SHARE, TOKENS, Estimate
from promptcot.reporting.run_tables import RunTables
from promptcot.store import Manifest

BINS = 10


def section(tables: RunTables) -> Section | None:
    """What post-training did; None for a run that has none."""
    blocks = (*_self_play(tables), *_distillation(tables))
    return Section("post-training", "Post-training", blocks) if blocks else None


def _self_play(tables: RunTables) -> Iterator[Block]:
    numbers = [name.split("/")[1] for name in tables.steps("self_play") if name.endswith("/pass_rates")]
    rounds = {number: tables.rows(f"self_play/{number}/pass_rates", PassRate) for number in numbers}
    rounds = {number: rates for number, rates in rounds.items() if rates}
    if not rounds:
        return
    yield Heading("Self-play")
    yield Paragraph(
        "The solver attempts every question; those that it solves sometimes, not always, are the band that is trained on. "
        "Where drawing ended early, because a question could no longer be in the band, its rate is of what was drawn."
    )
    yield _rounds(tables, rounds)
    for number, rates in rounds.items():
        yield Figure(
            f"Pass rates, round {number}",
            "Questions by the share of attempts that were right, in percent; strong bars hold questions in the band.",
            _histogram(rates),
        )
    yield from _fits(tables, [f"self_play/{number}/solver" for number in rounds])


def _rounds(tables: RunTables, rounds: dict[str, list[PassRate]]) -> Grid:
    rows = []
    for number, rates in rounds.items():
        known = [rate.rate for rate in rates if rate.counted]
        chosen = [m for kind in ("pairs", "right") if (m := tables.manifest(f"self_play/{number}/{kind}"))]
        kept = bounded_mean([float(rate.kept) for rate in rates])
        rows.append(
            (
                f"Round {number}",
                len(rates),
                _share(bounded_mean(known), "questions") if known else None,
                _share(kept, "questions"),
                sum(rate.censored for rate in rates),
                chosen[0].rows_out if chosen else None,
            )
        )
    head = ("", "Questions", "Mean pass rate", "In the band", "Not drawn to the end", "Pairs or right attempts")
    return Grid("Rounds of self-play", head, tuple(rows))


def _histogram(rates: Sequence[PassRate]) -> Any:
    known = [rate for rate in rates if rate.counted and math.isfinite(rate.rate)]
    counts = Counter(_bin(rate.rate) for rate in known)
    kept = Counter(_bin(rate.rate) for rate in known if rate.kept)
    names = ["none", *(f"<{100 * (i + 1) // BINS}" for i in range(BINS)), "all"]
    rows = [(name, float(counts[place])) for place, name in enumerate(names)]
    strong = frozenset(place for place in range(len(names)) if kept[place])
    return charts.bars(rows, strong=strong, about="questions by pass rate")


def _bin(rate: float) -> int:
    """0 for never solved, BINS + 1 for always, else 1 + the tenth."""
    return 0 if rate <= 0 else BINS + 1 if rate >= 1 else 1 + min(BINS - 1, int(rate * BINS))


def _fits(tables: RunTables, names: Sequence[str]) -> Iterator[Block]:
    found = [(name, m) for name in names if (m := tables.manifest(name)) is not None]
    if not found:
        return
    yield Grid(
        "Fits", ("", "Texts or pairs", "Too long", "Steps", "Tokens", "First loss", "Last loss", "Time"), tuple(_fit(*one) for one in found)
    )
    curves = [charts.Group(_title(name), tuple(enumerate(m.info.get("losses", ()), 1))) for name, m in found]
    if any(len(curve.points) > 1 for curve in curves):
        about = "Loss of each optimizer step before it was taken: nats per scored token, of pairs the mean of -log sigmoid(margin)."
        yield Figure("Loss", about, charts.plane(curves, joined=True, x_name="optimizer step", y_name="loss"))
    margins = [charts.Group(_title(name), tuple(enumerate(m.info["margins"], 1))) for name, m in found if m.info.get("margins")]
    if margins:
        yield Figure(
            "Margin",
            "Mean margin of the pairs of a step: above 0, what was right is preferred.",
            charts.plane(margins, joined=True, x_name="optimizer step", y_name="margin"),
        )


def _fit(name: str, m: Manifest) -> tuple[str | int | None, ...]:
    info, losses = m.info, m.info.get("losses", ())
    ends = [wording.number(losses[place], 3) for place in (0, -1)] if losses else [None, None]
    return (
        _title(name),
        info.get("examples"),
        len(info.get("dropped", ())),
        info.get("steps"),
        info.get("tokens"),
        *ends,
        wording.duration(m.seconds),
    )


def _title(name: str) -> str:
    return f"Round {name.split('/')[1]}" if name.startswith("self_play/") else "Student"


def _distillation(tables: RunTables) -> Iterator[Block]:
    found = tables.rows("distill/figures", TraceFigures)
    if not found:
        return
    yield Heading("Distillation")
    head = (
        "Teacher",
        "Problems asked",
        "Solutions",
        "Traces kept",
        "Problems with a trace",
        "Tokens a trace",
        "Median",
        "95 of 100 below",
        "Longest",
    )
    yield Grid("The teacher's traces", head, tuple(_traces(row) for row in found))
    share = ", ".join(wording.percent(row.reasoning) for row in found if math.isfinite(row.reasoning))
    if share:
        yield Paragraph(f"Traces that bring reasoning apart from the answer: {share}.", quiet=True)
    yield from _fits(tables, ["distill/student"])


def _traces(row: TraceFigures) -> tuple[str | int | Estimate | None, ...]:
    mean = Estimate(row.mean, _end(row.low), _end(row.high), row.problems, TOKENS, "problems", 0.95) if math.isfinite(row.mean) else None
    median, p95 = (round(value) if math.isfinite(value) else None for value in (row.median, row.p95))
    return (row.teacher[:12], row.asked, row.drawn, row.traces, row.problems, mean, median, p95, row.longest)


def _share(e: Any, of: str) -> Estimate:
    return Estimate(e.value, _end(e.low), _end(e.high), e.n, SHARE, of, e.level)


def _end(value: float) -> float | None:
    return value if math.isfinite(value) else None
