"""The figures are drawn to scale."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from promptcot.outcomes import Drop
from promptcot.reporting import charts, figures, wording
from promptcot.reporting.data import NATS, Estimate, FunnelStage
from promptcot.reporting.flow import NARROW, WIDE, Form, flow
from tests.report import samples

BOUND, DELTA = wording.METRICS[:2]
finite = st.floats(-1e6, 1e6)


def floats(pattern: str, markup: str) -> list[float]:
    return [float(found) for found in re.findall(pattern, markup)]


@given(finite, finite)
@example(1.0, 0.9999999999999999)
@example(0.0, 5e-324)
def test_ticks_are_round_numbers_that_span_the_data(a: float, b: float) -> None:
    low, high = sorted((a, b))
    marks = figures.ticks(low, high)
    step = marks[1] - marks[0]
    slack = 1e-6 * max(step, abs(low), abs(high))
    assert marks[0] <= low + slack
    assert high - slack <= marks[-1]
    assert 2 <= len(marks) <= 7
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert min(abs(mantissa - wanted) for wanted in (1, 2, 5)) < 1e-3


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0.001, 1)), min_size=1, max_size=12))
def test_a_curve_draws_every_round_to_scale(points: list[tuple[float, float]]) -> None:
    estimates = [(number, samples.estimate(value, half)) for number, (value, half) in enumerate(points)]
    svg = str(figures.curve(BOUND, estimates, range(len(points)), best=0))
    heights = floats(r'class="dot" cx="[\d.]+" cy="([\d.]+)"', svg)
    whiskers = [(float(low), float(high)) for low, high in re.findall(r'class="whisker" d="M[\d.]+ ([\d.]+)V([\d.]+)M', svg)]
    assert len(heights) == len(whiskers) == len(points)
    assert all(low >= at >= high for at, (low, high) in zip(heights, whiskers, strict=True))
    for (value, _), height in zip(points, heights, strict=True):
        for (other, _), other_height in zip(points, heights, strict=True):
            assert height <= other_height or value <= other
    assert svg.count('class="ring"') == 1


def test_round_zero_is_in_the_curve_and_gaps_stay_gaps() -> None:
    svg = str(figures.curve(DELTA, [(2, samples.estimate(0.01, 0.02))], range(4)))
    assert re.findall(r'text-anchor="middle">([^<]+)<', svg) == ["start", "1", "2", "3"]
    assert svg.count('class="dot"') == 1
    assert 'class="zero"' in svg


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_not_drawn(value: float) -> None:
    bad = Estimate(value, None, None, 3, NATS)
    assert figures.curve(BOUND, [(0, bad)], range(1)) == ""
    assert figures.curve(BOUND, [(0, bad), (1, samples.estimate(-1.0, 0.1))], range(2)).count('class="dot"') == 1
    assert figures.against_zero(replace(bad, low=value, high=value)) == ""


@given(
    st.integers(0, 10**7), st.dictionaries(st.sampled_from(list(Drop)), st.integers(1, 10**6), max_size=4), st.sampled_from([WIDE, NARROW])
)
def test_the_flow_is_as_wide_as_its_rows(kept: int, dropped: dict[str, int], form: Form) -> None:
    lost = sum(dropped.values())
    stage = FunnelStage(name="screen", rows_in=kept + lost, rows_out=kept, dropped=dropped)
    unit = form.band / max(1, kept + lost)
    svg = str(flow([stage], {}, form))
    [band] = floats(r'class="kept" x="[\d.]+" y="[\d.]+" width="([\d.]+)"', svg)
    assert band == pytest.approx(max(kept * unit, 0.75 if kept else 0), abs=2e-2)
    ends = [(float(top), float(low)) for top, low in re.findall(rf"H{form.turn}V([\d.]+)H[\d.]+Q[\d.]+ ([\d.]+) ", svg)]
    assert len(ends) == len(dropped)
    starts = floats(r" ([\d.]+)H" + str(form.turn), svg)
    thick = sorted(low - start for start, (low, _) in zip(starts, ends, strict=True))
    assert thick == pytest.approx(sorted(n * unit for n in dropped.values()), abs=3e-2)


def test_only_parts_whose_rows_are_listed_can_be_chosen() -> None:
    stage = FunnelStage(name="screen", rows_in=9, rows_out=4, dropped={Drop.LEAK: 3, Drop.EMPTY: 2})
    svg = str(flow([stage], {("screen", Drop.LEAK): 7}))
    assert re.findall(r'data-part="(\d+)"', svg) == ["7"]
    assert 'aria-label="Screen: 3 dropped, leak. Show them"' in svg


def test_a_flow_that_makes_other_rows_begins_anew() -> None:
    def widths(*counts: tuple[int, int]) -> list[float]:
        stages = [
            FunnelStage(name=f"s{i}", rows_in=a, rows_out=b, dropped={Drop.LEAK: a - b} if b < a else {}) for i, (a, b) in enumerate(counts)
        ]
        return floats(r'class="kept" x="[\d.]+" y="[\d.]+" width="([\d.]+)"', str(flow(stages, {})))

    assert widths((100, 50), (50, 25)) == pytest.approx([WIDE.band / 2, WIDE.band / 4])
    assert widths((100, 50), (7, 7)) == pytest.approx([WIDE.band / 2, WIDE.band])


@given(st.lists(st.tuples(st.floats(-100, 100), st.floats(0.01, 10)), min_size=1, max_size=6))
def test_intervals_are_drawn_in_order_and_to_scale(points: list[tuple[float, float]]) -> None:
    rows = [(f"n{i}", samples.estimate(value, half)) for i, (value, half) in enumerate(points)]
    svg = str(charts.intervals(rows, signed=True))
    at = floats(r'class="dot" cx="([\d.]+)"', svg)
    spans = [(float(low), float(high)) for low, high in re.findall(r'class="whisker" d="M([\d.]+) [\d.]+H([\d.]+)M', svg)]
    assert len(at) == len(spans) == len(points)
    assert all(low <= x <= high for x, (low, high) in zip(at, spans, strict=True))
    assert sorted(range(len(at)), key=lambda i: points[i][0]) == sorted(range(len(at)), key=lambda i: (at[i], points[i][0]))


def test_bars_stand_on_zero_and_a_map_has_one_unit() -> None:
    svg = str(charts.bars([("a", 1.0), ("b", 3.0)], strong=frozenset({1})))
    low, high = floats(r'class="bar(?: strong)?" x="[\d.]+" y="[\d.]+" width="[\d.]+" height="([\d.]+)"', svg)
    assert high == pytest.approx(3 * low, abs=0.05)
    cloud = charts.Group("p", ((0.0, 0.0), (1.0, 0.0), (0.0, 0.2)))
    svg = str(charts.plane([cloud], joined=False, x_name="first", y_name="second", square=True))
    points = [(float(x), float(y)) for x, y in re.findall(r'class="point g0" cx="([\d.]+)" cy="([\d.]+)" r="4"', svg)]
    (x0, y0), (x1, _), (_, y2) = points
    assert (x1 - x0) * 0.2 == pytest.approx(y0 - y2, rel=0.06)


@pytest.mark.parametrize("empty", [[], [("a", math.nan)]])
def test_a_chart_of_nothing_is_empty(empty: list[tuple[str, float]]) -> None:
    assert charts.bars(empty) == ""
    assert charts.intervals([(name, Estimate(value, None, None, 1)) for name, value in empty]) == ""
    assert charts.plane([charts.Group("a", tuple((value, value) for _, value in empty))], joined=True, x_name="x", y_name="y") == ""


def test_bars_share_a_scale_until_a_stage_makes_rows() -> None:
    def stage(rows_in: int, rows_out: int) -> FunnelStage:
        return FunnelStage(
            name="s", rows_in=rows_in, rows_out=rows_out, dropped={Drop.LEAK: rows_in - rows_out} if rows_out < rows_in else {}
        )

    assert figures.scales([stage(300, 288), stage(288, 261), stage(261, 1044), stage(1044, 1000), stage(7, 7)]) == [300, 300, 1044, 1044, 7]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=4))
def test_a_curve_stays_inside_its_frame(values: list[float]) -> None:
    points = [(number, Estimate(value, None, None, 3, NATS)) for number, value in enumerate(values)]
    heights = floats(r'class="dot" cx="[\d.]+" cy="([\d.]+)"', str(figures.curve(DELTA, points, range(len(values)))))
    assert len(heights) == len(values)
    assert all(figures.TOP <= height <= figures.HEIGHT - figures.BOTTOM for height in heights)
