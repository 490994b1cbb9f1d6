"""The funnel as a picture: a band as wide as its rows runs down the stages, and what a stage drops leaves it to the right, by reason.

A unit of width stands for the same number of rows until a stage makes other rows than it was given (concept sets out of problems); there
the band begins anew, at a scale of its own, and the picture says so. Drawn twice, for wide and for narrow windows, since text in a figure
shrinks with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

import promptcot.reporting.wording as wording
from promptcot.reporting.charts import short
from promptcot.reporting.data import FunnelStage
from promptcot.reporting.figures import scales

HEAD, LINE, GAP = 36, 23, 22
"""Heights: of a stage's heading, of a reason at least, of the break before a band of another scale."""
TURN = 12
"""The inner radius of a ribbon's turn."""


@dataclass(frozen=True, slots=True)
class Form:
    """Where things stand, in pixels: the band from `left`, at most `band` wide; ribbons end at `turn`, where the words begin."""

    name: str
    width: int
    left: int
    band: int
    turn: int


WIDE = Form("wide", 720, 16, 190, 300)
NARROW = Form("narrow", 340, 6, 78, 106)


def flow(stages: Sequence[FunnelStage], parts: Mapping[tuple[str, str], int], form: Form = WIDE) -> Markup:
    """The picture. `parts`: by stage and reason (empty: passed on) the number of the part that lists its rows; others list none."""
    if not stages:
        return Markup("")
    drawn, y, before = list[Markup](), 4.0, 0
    for stage, most in zip(stages, scales(stages), strict=True):
        if before and before != most:
            y += GAP
        body, height = _stage(stage, form.band / most, y, parts, form)
        drawn.append(body)
        y += height
        before = most
    label = "; ".join(f"{wording.stage(s.name)}: {wording.count(s.rows_in)} in, {wording.count(s.rows_out)} out" for s in stages)
    frame = '<svg class="flow-picture {}" viewBox="0 0 {} {}" role="group" aria-label="{}">{}</svg>'
    return Markup(frame).format(form.name, form.width, round(y + 6, 1), label, Markup("").join(drawn))


def _stage(stage: FunnelStage, unit: float, y: float, parts: Mapping[tuple[str, str], int], form: Form) -> tuple[Markup, float]:
    reasons = sorted(stage.dropped.items(), key=lambda item: (-item[1], item[0]))
    heights = [max(float(LINE), n * unit + 5) for _, n in reasons]
    height = max(HEAD + sum(heights) + 10, 56.0)
    kept = max(stage.rows_out * unit, 0.75) if stage.rows_out else 0.0
    body = [_kept(stage, kept, y, height, parts, form)]
    right, line = form.left + (stage.rows_out + sum(stage.dropped.values())) * unit, y + HEAD
    for (reason, n), tall in zip(reasons, heights, strict=True):
        body.append(_lost(stage, reason, n, (right - n * unit, right), y, line, parts, form))
        right -= n * unit
        line += tall
    return Markup("<g>{}</g>").format(Markup("").join(body)), height


def _kept(stage: FunnelStage, width: float, y: float, height: float, parts: Mapping[tuple[str, str], int], form: Form) -> Markup:
    band = Markup('<rect class="kept" x="{}" y="{}" width="{}" height="{}"/>').format(form.left, _r(y), _r(width), _r(height + 0.5))
    words = Markup(
        '<text class="stage-name" x="{}" y="{}">{}</text>'
        '<text class="amount" x="{}" y="{}" text-anchor="end"><tspan class="soft">{} → </tspan>{}</text>'
    )
    name, counts = wording.stage(stage.name), (wording.count(stage.rows_in), wording.count(stage.rows_out))
    text = words.format(form.turn + 10, _r(y + 18), short(name, (form.width - form.turn) // 12), form.width - 4, _r(y + 18), *counts)
    said = f"{name}: {counts[1]} rows passed on"
    rule = Markup('<line class="rule" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(form.turn + 10, form.width - 4, _r(y + 25), _r(y + 25))
    return rule + _part(parts.get((stage.name, "")), said, band + text)


def _lost(
    stage: FunnelStage,
    reason: str,
    n: int,
    span: tuple[float, float],
    top: float,
    line: float,
    parts: Mapping[tuple[str, str], int],
    form: Form,
) -> Markup:
    """A ribbon that leaves the band's right side, turns, and ends at its words; as thick as its rows all the way."""
    (a, b), thick = span, span[1] - span[0]
    low = line + thick
    corner = f"Q{_r(b)} {_r(line)} {_r(b + TURN)} {_r(line)}"
    path = f"M{_r(b)} {_r(top)}V{_r(line - TURN)}{corner}H{form.turn}V{_r(low)}H{_r(b + TURN)}"
    path += f"Q{_r(a)} {_r(low)} {_r(a)} {_r(line - TURN)}V{_r(top)}Z"
    ribbon = Markup('<path class="lost" d="{}"/>').format(path)
    letters = (form.width - form.turn) // 8
    middle = line + max(thick, 1) / 2 + 4.5 if thick >= LINE else line + 10
    text = Markup('<text class="reason" x="{}" y="{}"><tspan class="amount">{}</tspan> {}</text>').format(
        form.turn + 10, _r(middle), wording.count(n), short(wording.reason(reason), letters - 7)
    )
    hair = Markup('<rect class="hit" x="{}" y="{}" width="{}" height="{}"/>').format(
        form.turn, _r(line - 5), form.width - form.turn, _r(max(thick, 16) + 6)
    )
    said = f"{wording.stage(stage.name)}: {wording.count(n)} dropped, {wording.reason(reason)}"
    return _part(parts.get((stage.name, reason)), said, ribbon + hair + text)


def _part(number: int | None, said: str, body: Markup) -> Markup:
    if number is None:
        return Markup("<g><title>{}</title>{}</g>").format(said, body)
    frame = '<g class="part" role="button" tabindex="0" data-part="{}" aria-label="{}. Show them"><title>{}</title>{}</g>'
    return Markup(frame).format(number, said, said, body)


def _r(value: float) -> float:
    return round(value, 2)
