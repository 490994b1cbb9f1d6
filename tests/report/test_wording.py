"""What the report says: the verdict follows the interval, and a number carries its interval, its unit and its n."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcot.outcomes import Drop
from promptcot.reporting import wording
from promptcot.reporting.data import NATS, SHARE, Change, Estimate, Facts, Gate
from tests.report import samples

finite = st.floats(-1e6, 1e6)
WENT = "288 human problems went in, 26 new problems came out, and "


# The verdict


@given(st.lists(finite, min_size=3, max_size=3))
def test_the_verdict_follows_the_interval_alone(ends: list[float]) -> None:
    low, value, high = sorted(ends)
    change = Estimate(value, low, high, 8, NATS).change
    assert (change is Change.GAIN) == (low > 0)
    assert (change is Change.WORSE) == (high < 0)


@pytest.mark.parametrize("ends", [(None, None), (math.nan, math.nan), (0.0, 0.0), (0.0, 1.0), (-1.0, 0.0)])
def test_an_interval_that_is_missing_undefined_or_touches_zero_is_no_evidence(ends: tuple[float | None, float | None]) -> None:
    assert Estimate(0.5, *ends, 8, NATS).change is Change.NO_EVIDENCE


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        (
            0.020,
            "EM beat its start by 0.020 nats per token of x (90\u00a0% interval 0.005 to 0.035).",
        ),
        (
            -0.020,
            "EM ended 0.020 nats per token of x below its start (90\u00a0% interval 0.005 to 0.035).",
        ),
        (
            0.004,
            "there is no evidence that EM beat its start: +0.004 nats per token of x (90\u00a0% interval −0.011 to +0.019).",
        ),
    ],
)
def test_the_first_sentence(gain: float, said: str) -> None:
    assert wording.headline(replace(samples.sample(), em=samples.gain(gain))) == f"{WENT}{said}"


def test_the_first_sentence_claims_only_what_the_run_has() -> None:
    assert wording.headline(samples.without_em()) == "74 concept sets went in, 38 new problems came out, and EM was not part of this run."
    assert wording.headline(samples.no_rounds()).endswith("and EM ran no round, so the generator is its cold start.")
    assert wording.headline(samples.nothing()) == "Nothing has come out of this run yet."
    assert wording.headline(samples.nothing(), ["The corpora", "The trial"]) == "The corpora. The trial."
    one = replace(samples.without_em(), facts=Facts(seeds=1, kept=0))
    assert wording.headline(one).startswith("1 human problem went in, 0 new problems came out")


def test_a_verdict_on_the_problems_that_chose_the_round_says_so() -> None:
    assert "choose the round" in wording.caution(samples.gain())
    assert wording.caution(replace(samples.gain(), split="test")) == ""


# Numbers


@pytest.mark.parametrize(
    ("estimate", "said"),
    [
        (Estimate(0.5625, 0.36, 0.75, 16, SHARE, "completions"), "56\u00a0% [36, 75], 16 completions"),
        (Estimate(-1.622, -1.69, -1.55, 40, NATS), "−1.62 [−1.69, −1.55] nats per token of x, 40 problems"),
        (Estimate(1234.5, 1200.0, 1300.0, 1, "tokens"), "1\u202f234 [1\u202f200, 1\u202f300] tokens, 1 problem"),
        (Estimate(0.25, None, None, 1), "0.25 (no interval), 1 problem"),
        (Estimate(math.nan, None, None, 0, "tokens"), "undefined (no interval) tokens, 0 problems"),
        (None, "not measured"),
    ],
)
def test_an_estimate_prints_value_interval_unit_and_n(estimate: Estimate | None, said: str) -> None:
    assert wording.full(estimate) == said


@given(finite, st.integers(0, 4), st.booleans())
def test_a_printed_number_reads_back_and_zero_has_no_sign(value: float, digits: int, signed: bool) -> None:
    text = wording.number(value, digits, signed=signed)
    back = float(text.replace(wording.MINUS, "-").replace("\u202f", ""))
    assert abs(back - value) <= 0.5 * 10**-digits + 1e-9
    assert text[0] not in "+−" or back != 0


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (Facts(), "all steps, the fits included"),
        (Facts(tokens=0), "all steps, the fits included"),
        (Facts(tokens=1), "1 token"),
        (Facts(tokens=1_234_567, usd=20.305, gpu_hours=1.5), "1\u202f234\u202f567 tokens, $20.30, 1.50 GPU-hours"),
        (Facts(usd=0.0042), "$0.0042"),
    ],
)
def test_what_work_used_is_said_where_it_was_counted(facts: Facts, said: str) -> None:
    assert wording.cost(facts) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.42, "0.4 s"), (59.4, "59 s"), (60, "1 min"), (185.2, "3 min 5 s"), (864, "14 min"), (7810, "2 h 10 min"), (None, "")],
)
def test_durations(seconds: float | None, said: str) -> None:
    assert wording.duration(seconds) == said


def test_every_drop_reason_is_explained() -> None:
    assert set(wording.REASONS) == set(Drop)


def test_a_gate_prints_its_limit_in_the_unit_of_its_value() -> None:
    value = Estimate(0.5, 0.4, 0.6, 16, SHARE)
    assert wording.limit(Gate(name="copy_rate", value=value, limit=0.025)) == "2.5\u00a0%"
    assert wording.limit(Gate(name="length", value=replace(value, unit="tokens"), limit=-1.5)) == "−1.5 tokens"


@pytest.mark.parametrize(
    ("value", "side", "passed"), [(0.3, "at least", True), (0.29, "at least", False), (0.3, "at most", True), (0.31, "at most", False)]
)
def test_a_gate_passes_at_its_limit(value: float, side: str, passed: bool) -> None:
    gate = Gate(name="rate", value=Estimate(value, None, None, 16, SHARE), limit=0.3, side="at least" if side == "at least" else "at most")
    assert gate.passed is passed
