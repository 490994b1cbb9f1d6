"""The figures are drawn to scale."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from promptcot.outcomes import Drop
from promptcot.report import figures, wording
from promptcot.report.data import NATS, Estimate, FunnelStage
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


@given(st.integers(0, 10**7), st.dictionaries(st.sampled_from(list(Drop)), st.integers(1, 10**6), max_size=4))
def test_a_bar_is_as_wide_as_its_rows(kept: int, dropped: dict[str, int]) -> None:
    stage = FunnelStage(name="screen", rows_in=kept + sum(dropped.values()), rows_out=kept, dropped=dropped)
    [most] = figures.scales([stage])
    svg = str(figures.bar(stage, most))
    widths = dict.fromkeys(("kept", "lost"), 0.0) | {
        name: float(width) for name, width in re.findall(r'class="(kept|lost)" x="[\d.]+" width="([\d.]+)"', svg)
    }
    assert widths["kept"] == pytest.approx(100 * kept / most, abs=2e-3)
    assert widths["lost"] == pytest.approx(100 * sum(dropped.values()) / most, abs=2e-3)


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
