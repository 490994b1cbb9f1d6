"""The figures, as inline SVG: an interval against zero, a curve over the rounds of EM, a bar of the funnel.

Lengths and colors come from presentation attributes and classes alone, since the page's security policy forbids inline styles. Text goes
through `Markup.format`, which escapes it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

import promptcot.reporting.wording as wording
from promptcot.reporting.data import SHARE, Estimate, FunnelStage
from promptcot.reporting.wording import Metric

Point = tuple[int, Estimate]
"""A round and what was measured in it."""

WIDTH, HEIGHT = 340, 190
LEFT, RIGHT, TOP, BOTTOM = 54, 14, 12, 30


def ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers that span [low, high]: the step is 1, 2 or 5 times a power of ten."""
    size = max(abs(low), abs(high))
    span = high - low if high - low > 1e-6 * size else size  # equal up to rounding: a difference floats cannot count in
    span = span if span > 1e-9 else 1.0
    raw = span / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, max(last, first + 1) + 1)]


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear map from values to pixels, with its tick marks."""

    marks: tuple[float, ...]
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value, within the axis."""
        low, high = self.marks[0], self.marks[-1]
        share = min(1.0, max(0.0, (value - low) / (high - low)))
        return round(self.start + share * (self.end - self.start), 2)

    def label(self, mark: float, *, signed: bool = False) -> str:
        """A tick mark as text."""
        step = self.marks[1] - self.marks[0]
        return wording.number(mark, max(0, -math.floor(math.log10(step) + 1e-9)), signed=signed)


def _ends(estimate: Estimate) -> list[float]:
    return [end for end in (estimate.low, estimate.value, estimate.high) if end is not None and math.isfinite(end)]


def _drawable(points: Sequence[Point], scale: float) -> list[Point]:
    def scaled(e: Estimate) -> Estimate:
        low, high = (None if end is None else end * scale for end in (e.low, e.high))
        return Estimate(e.value * scale, low, high, e.n, e.unit, e.of, e.coverage)

    return [(number, scaled(e)) for number, e in points if math.isfinite(e.value)]


def curve(metric: Metric, points: Sequence[Point], rounds: range, *, best: int | None = None) -> Markup:
    """A metric over all `rounds`, with interval whiskers; `best` rings a round. Empty without a finite point.

    All figures of a report share `rounds`, so that a round stands at the same place in each."""
    percent = bool(points) and points[0][1].unit == SHARE
    drawn = _drawable(points, 100.0 if percent else 1.0)
    if not drawn:
        return Markup("")
    values = [end for _, e in drawn for end in _ends(e)] + ([0.0] if metric.signed else [])
    y = Axis(tuple(ticks(min(values), max(values))), HEIGHT - BOTTOM, TOP)
    texts = {r: f"round {r}: {wording.full(e, signed=metric.signed)}" for r, e in points}
    body = [_grid(y, signed=metric.signed, percent=percent), _round_labels(rounds)]
    body += [_line(drawn, rounds, y)] if metric.joined else []
    body += [_mark(r, e, rounds, y, ringed=r == best, text=texts[r]) for r, e in drawn]
    label = f"{metric.title} by round: " + "; ".join(texts[r] for r, _ in drawn)
    frame = '<svg class="curve" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    return Markup(frame).format(WIDTH, HEIGHT, label, Markup("").join(body))


def _x(number: int, rounds: range) -> float:
    """Rounds are spread over the width, half a step from either side."""
    return round(LEFT + (WIDTH - LEFT - RIGHT) * (number - rounds[0] + 0.5) / len(rounds), 2)


def _grid(y: Axis, *, signed: bool, percent: bool) -> Markup:
    line = Markup('<line class="{}" x1="{}" x2="{}" y1="{}" y2="{}"/><text class="tick" x="{}" y="{}" text-anchor="end">{}</text>')
    marks = [
        ("zero" if signed and mark == 0 else "grid", y(mark), y.label(mark, signed=signed) + (" %" if percent else "")) for mark in y.marks
    ]
    return Markup("").join(line.format(name, LEFT, WIDTH - RIGHT, at, at, LEFT - 8, at + 4, label) for name, at, label in marks)


def _round_labels(rounds: range) -> Markup:
    every = max(1, math.ceil(len(rounds) / 8))
    text = Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>')
    return Markup("").join(text.format(_x(r, rounds), HEIGHT - 8, "start" if r == 0 else r) for r in rounds if (r - rounds[0]) % every == 0)


def _line(drawn: Sequence[Point], rounds: range, y: Axis) -> Markup:
    path = " ".join(f"{_x(r, rounds)},{y(e.value)}" for r, e in drawn)
    return Markup('<polyline class="line" points="{}"/>').format(path)


def _mark(number: int, e: Estimate, rounds: range, y: Axis, *, ringed: bool, text: str) -> Markup:
    x, whisker = _x(number, rounds), Markup("")
    if e.low is not None and e.high is not None and math.isfinite(e.low) and math.isfinite(e.high):
        low, high = y(e.low), y(e.high)
        path = f"M{x} {low}V{high}M{x - 5} {low}h10M{x - 5} {high}h10"
        whisker = Markup('<path class="whisker" d="{}"/>').format(path)
    ring = Markup('<circle class="ring" cx="{}" cy="{}" r="8"/>').format(x, y(e.value)) if ringed else Markup("")
    dot = '<g><title>{}</title>{}{}<circle class="dot" cx="{}" cy="{}" r="4"/></g>'
    return Markup(dot).format(text, whisker, ring, x, y(e.value))


def against_zero(estimate: Estimate) -> Markup:
    """One interval on a line that shows zero. Empty where there is no finite interval."""
    if estimate.low is None or estimate.high is None or len(_ends(estimate)) < 3:
        return Markup("")
    x = Axis(tuple(ticks(min(estimate.low, 0.0), max(estimate.high, 0.0), 3)), 24, 296)
    marks = Markup("").join(
        Markup('<line class="{}" x1="{}" x2="{}" y1="6" y2="40"/><text class="tick" x="{}" y="56" text-anchor="middle">{}</text>').format(
            "zero" if mark == 0 else "grid", x(mark), x(mark), x(mark), x.label(mark, signed=True)
        )
        for mark in x.marks
    )
    low, high = x(estimate.low), x(estimate.high)
    whisker = Markup('<path class="whisker" d="M{} 23H{}M{} 17v12M{} 17v12"/><circle class="dot" cx="{}" cy="23" r="5"/>').format(
        low, high, low, high, x(estimate.value)
    )
    frame = '<svg class="against-zero" viewBox="0 0 320 62" role="img" aria-label="{}">{}{}</svg>'
    return Markup(frame).format(wording.full(estimate, signed=True), marks, whisker)


def scales(stages: Sequence[FunnelStage]) -> list[int]:
    """For each stage the rows that a full bar stands for: one scale for a run of stages, a new one where a stage makes rows."""
    runs: list[list[FunnelStage]] = []
    for stage in stages:
        passes_on = runs and runs[-1][-1].rows_out == stage.rows_in and stage.rows_out <= stage.rows_in
        if passes_on:
            runs[-1].append(stage)
        else:
            runs.append([stage])
    return [most for run in runs for most in [max(_width(stage) for stage in run)] * len(run)]


def _width(stage: FunnelStage) -> int:
    return max(stage.rows_out + sum(stage.dropped.values()), 1)
