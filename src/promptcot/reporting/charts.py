"""Charts for the sections of the report: intervals beside one another, bars, lines, points of several groups.

As in `figures`, SVG with presentation attributes and classes alone; the page colors groups by their order (`g0` to `g7`), the same in every
chart. Text is escaped. What is not finite is not drawn, and a chart of nothing is empty.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

import promptcot.reporting.wording as wording
from promptcot.reporting.data import SHARE, Estimate
from promptcot.reporting.figures import Axis, ticks

WIDTH = 560
GROUPS = 8
"""Colors of the page; further groups begin again."""

Mark = tuple[float, float]
"""x and y of a point."""


@dataclass(frozen=True, slots=True)
class Group:
    """Points that share a name and a color; `low` and `high`, where given, are aligned with them and drawn as whiskers."""

    name: str
    points: tuple[Mark, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


def intervals(rows: Sequence[tuple[str, Estimate]], *, signed: bool = False) -> Markup:
    """A line for each name: value and interval over one axis. `signed`: differences, so zero is on the axis."""
    percent = bool(rows) and rows[0][1].unit == SHARE
    scale = 100.0 if percent else 1.0
    shown = [(name, e) for name, e in rows if math.isfinite(e.value)]
    if not shown:
        return Markup("")
    ends = [end * scale for _, e in shown for end in (e.low, e.value, e.high) if end is not None and math.isfinite(end)]
    x = Axis(tuple(ticks(min([*ends, 0.0] if signed else ends), max([*ends, 0.0] if signed else ends), 5)), 190, WIDTH - 24)
    height = 30 * len(shown) + 40
    body = [_vertical(x, height - 30, signed=signed, percent=percent)]
    body += [_interval(place, name, e, x, scale, signed=signed) for place, (name, e) in enumerate(shown)]
    label = "; ".join(f"{name}: {wording.full(e, signed=signed)}" for name, e in shown)
    return _frame(height, label, body)


def _interval(place: int, name: str, e: Estimate, x: Axis, scale: float, *, signed: bool) -> Markup:
    y, whisker = 22 + 30 * place, Markup("")
    if e.low is not None and e.high is not None and math.isfinite(e.low) and math.isfinite(e.high):
        low, high = x(e.low * scale), x(e.high * scale)
        whisker = Markup('<path class="whisker" d="M{} {}H{}M{} {}v10M{} {}v10"/>').format(low, y, high, low, y - 5, high, y - 5)
    text = (
        '<g><title>{}</title><text class="tick name" x="178" y="{}" text-anchor="end">{}</text>'
        '{}<circle class="dot" cx="{}" cy="{}" r="4.5"/></g>'
    )
    return Markup(text).format(f"{name}: {wording.full(e, signed=signed)}", y + 4, short(name, 26), whisker, x(e.value * scale), y)


def _vertical(x: Axis, bottom: int, *, signed: bool, percent: bool) -> Markup:
    line = '<line class="{}" x1="{}" x2="{}" y1="6" y2="{}"/><text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>'
    parts = [
        ("zero" if signed and mark == 0 else "grid", x(mark), x.label(mark, signed=signed) + (" %" if percent else "")) for mark in x.marks
    ]
    return Markup("").join(Markup(line).format(name, at, at, bottom, at, bottom + 18, label) for name, at, label in parts)


def bars(rows: Sequence[tuple[str, float]], *, strong: frozenset[int] = frozenset(), about: str = "") -> Markup:
    """A bar for each name, from 0; those whose places are in `strong` stand out. `about` names the whole for those who cannot see it."""
    shown = [(name, value) for name, value in rows if math.isfinite(value)]
    if not shown:
        return Markup("")
    height, left = 220, 46
    y = Axis(tuple(ticks(0.0, max(max(value for _, value in shown), 1e-9))), height - 34, 16)
    slot = (WIDTH - left - 12) / len(shown)
    body = [_horizontal(y, left)]
    for place, (name, value) in enumerate(shown):
        body.append(_bar(left + slot * place, slot, name, value, y, strong=place in strong, height=height))
    return _frame(height, (about + ": " if about else "") + "; ".join(f"{name}: {value:g}" for name, value in shown), body)


def _bar(x: float, slot: float, name: str, value: float, y: Axis, *, strong: bool, height: int) -> Markup:
    top, wide = y(value), round(slot * 0.72, 2)
    middle = round(x + slot / 2, 2)
    text = (
        '<g><title>{}: {}</title><rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="2"/>'
        '<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text></g>'
    )
    label = wording.number(value, 0 if float(value).is_integer() else 2)
    kind = "bar strong" if strong else "bar"
    shape = (round(middle - wide / 2, 2), top, wide, round(max(0.0, y(0.0) - top), 2))
    return Markup(text).format(name, label, kind, *shape, middle, height - 14, short(name, max(3, int(slot / 7))))


def _horizontal(y: Axis, left: int) -> Markup:
    line = '<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/><text class="tick" x="{}" y="{}" text-anchor="end">{}</text>'
    return Markup("").join(Markup(line).format(left, WIDTH - 12, y(m), y(m), left - 8, y(m) + 4, y.label(m)) for m in y.marks)


def plane(groups: Sequence[Group], *, joined: bool, x_name: str, y_name: str, square: bool = False) -> Markup:
    """Groups of points over two axes: lines where `joined`, else a cloud; `square`: a unit is as long on both axes, as a map needs it."""
    finite = [_finite(group) for group in groups]
    points = [point for group in finite for point in group.points]
    if not points:
        return Markup("")
    ends = [end for group in finite for end in (*group.low, *group.high)]
    x_ends, y_ends = _ends([px for px, _ in points], [], square), _ends([py for _, py in points], ends, square)
    x_marks, y_marks = ticks(*x_ends), ticks(*y_ends)
    if square:
        x_marks, y_marks = _same_unit(x_ends, y_ends)
    left, top = 58, 14 + 20 * math.ceil(len(finite) / 3)
    bottom = top + (WIDTH - 16 - left if square else 240)
    x, y = Axis(tuple(x_marks), left, WIDTH - 16), Axis(tuple(y_marks), bottom, top)
    body = [_horizontal(y, left), _bottom(x, bottom), _names(x_name, y_name, left, top, bottom), *_legend(finite)]
    body += [_group(place, group, x, y, joined=joined) for place, group in enumerate(finite)]
    return _frame(bottom + 46, f"{y_name} by {x_name}: " + ", ".join(group.name for group in finite), body)


def _finite(group: Group) -> Group:
    kept = [i for i, (a, b) in enumerate(group.points) if math.isfinite(a) and math.isfinite(b)]
    if group.low and group.high:
        kept = [i for i in kept if math.isfinite(group.low[i]) and math.isfinite(group.high[i])]
        return Group(
            group.name, tuple(group.points[i] for i in kept), tuple(group.low[i] for i in kept), tuple(group.high[i] for i in kept)
        )
    return Group(group.name, tuple(group.points[i] for i in kept))


def _ends(values: Sequence[float], more: Sequence[float], padded: bool) -> tuple[float, float]:
    low, high = min([*values, *more]), max([*values, *more])
    pad = 0.06 * (high - low) if padded else 0.0
    return low - pad, high + pad


def _same_unit(a: tuple[float, float], b: tuple[float, float]) -> tuple[list[float], list[float]]:
    """Marks of two axes with one step and as many on each, so that axes of one length have one unit."""
    marks = ticks(0.0, max(a[1] - a[0], b[1] - b[0]))
    step = marks[1] - marks[0]
    firsts, lasts = ([math.floor(ends[0] / step) for ends in (a, b)], [math.ceil(ends[1] / step) for ends in (a, b)])
    count = max(1, *(last - first for first, last in zip(firsts, lasts, strict=True)))
    return ([i * step for i in range(firsts[0], firsts[0] + count + 1)], [i * step for i in range(firsts[1], firsts[1] + count + 1)])


def _bottom(x: Axis, bottom: int) -> Markup:
    text = '<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>'
    return Markup("").join(Markup(text).format(x(mark), bottom + 18, x.label(mark)) for mark in x.marks)


def _names(x_name: str, y_name: str, left: int, top: int, bottom: int) -> Markup:
    text = (
        '<text class="tick name" x="{}" y="{}" text-anchor="end">{}</text>'
        '<text class="tick name" x="{}" y="{}" text-anchor="end" transform="rotate(-90 14 {})">{}</text>'
    )
    return Markup(text).format(WIDTH - 16, bottom + 38, x_name, 14, top, top, y_name)


def _legend(groups: Sequence[Group]) -> list[Markup]:
    text = '<circle class="point g{}" cx="{}" cy="{}" r="4.5"/><text class="tick name" x="{}" y="{}">{}</text>'
    places = [(58 + 168 * (i % 3), 12 + 20 * (i // 3)) for i in range(len(groups))]
    return [
        Markup(text).format(i % GROUPS, x, y, x + 10, y + 4, short(g.name, 21))
        for i, (g, (x, y)) in enumerate(zip(groups, places, strict=True))
    ]


def _group(place: int, group: Group, x: Axis, y: Axis, *, joined: bool) -> Markup:
    color, parts = f"g{place % GROUPS}", []
    if joined and len(group.points) > 1:
        path = " ".join(f"{x(a)},{y(b)}" for a, b in sorted(group.points))
        parts.append(Markup('<polyline class="series {}" points="{}"/>').format(color, path))
    for (a, _), low, high in zip(group.points, group.low, group.high, strict=False):
        at = x(a)
        parts.append(
            Markup('<path class="spread {}" d="M{} {}V{}m-4 0h8M{} {}h8"/>').format(color, at, y(low), y(high), round(at - 4, 2), y(low))
        )
    if not joined or len(group.points) <= 40:
        radius = 4 if len(group.points) <= 60 else 2.5
        dot = Markup('<circle class="point {}" cx="{}" cy="{}" r="{}"/>')
        parts += [dot.format(color, x(a), y(b), radius) for a, b in group.points]
    return Markup("<g><title>{}</title>{}</g>").format(group.name, Markup("").join(parts))


def short(text: str, most: int) -> str:
    """The text, cut with an ellipsis where it is longer than `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _frame(height: float, label: str, body: Sequence[Markup]) -> Markup:
    frame = '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    return Markup(frame).format(WIDTH, round(height, 2), short(label, 2_000), Markup("").join(body))
