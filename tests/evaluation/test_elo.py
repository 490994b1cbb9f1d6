"""Ratings from rated problems and from contests: known answers, refusals, and how often the truth is in the interval."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptcot.errors import UsageError
from promptcot.evaluation.contest_rank import Combine, Contest, Person, contest_elo, expected_ahead, place, score
from promptcot.evaluation.elo import Prior, Rule, Tried, elo, tried
from tests.evaluation.simulated import marks, tolerance

FLAT = Prior(1500, 1e6)


def test_half_of_the_problems_of_one_rating_is_that_rating():
    rows = [Tried(f"{i}", 1700, i % 2, 1) for i in range(40)]
    got = elo(rows, prior=FLAT, draws=200)
    assert got.rating.value == pytest.approx(1700, abs=0.01)
    assert got.rating.low < 1700 < got.rating.high


def test_three_quarters_lie_191_points_higher():
    rows = [Tried("a", 1500, 3, 4)]
    assert elo(rows, prior=FLAT).rating.value == pytest.approx(1500 + 400 * math.log10(3), abs=0.01)


def test_the_mode_is_that_of_a_fine_grid():
    rows = [Tried("a", 1200, 3, 4), Tried("b", 1900, 1, 4), Tried("c", 2400, 0, 2)]
    r = np.linspace(0, 4000, 400_001)
    p = [1 / (1 + 10 ** ((row.rating - r) / 400)) for row in rows]
    logs = sum(row.solved * np.log(q) + (row.tries - row.solved) * np.log(1 - q) for row, q in zip(rows, p, strict=True))
    assert elo(rows, draws=50).rating.value == pytest.approx(r[np.argmax(logs - ((r - 1500) / 500) ** 2 / 2)], abs=0.02)


@pytest.mark.parametrize("solved", [0, 1])
def test_all_or_nothing_has_a_finite_rating_and_a_wide_interval(solved):
    got = elo([Tried(f"{i}", 1500 + i, solved, 1) for i in range(20)], draws=100).rating
    assert math.isfinite(got.value)
    assert got.high - got.low > 400
    assert (got.value > 1500) == bool(solved)


def test_the_rating_is_in_its_interval_even_under_a_flat_prior():
    got = elo([Tried("a", 3500, 1, 1)], prior=Prior(0, 1e5)).rating
    assert got.low <= got.value <= got.high


def test_a_rating_carries_problems_tries_rule_and_prior():
    rows = (Tried("a", 1500, 1, 3), Tried("b", 1600, 0, 3))
    got = elo(rows, rule=Rule.ANY_OF_TRIES, tries=3, prior=Prior(1400, 300), draws=50)
    assert (got.problems, got.rule, got.tries, got.prior) == (rows, Rule.ANY_OF_TRIES, 3, Prior(1400, 300))
    assert "any_of_tries, k = 3; prior 1400 +- 300" in str(got)
    assert got.rating.value > elo(rows, prior=Prior(1400, 300), draws=50).rating.value


def test_marks_become_rows_by_their_first_counted_tries():
    run = [marks("b", "vwwc"), marks("a", "wc"), marks("none", "vv")]
    ratings = {"a": 1000.0, "b": 2000.0, "none": 1.0}
    assert tried(run, ratings, tries=2) == (Tried("a", 1000, 1, 2), Tried("b", 2000, 0, 2))
    assert tried(run, ratings) == (Tried("a", 1000, 1, 2), Tried("b", 2000, 1, 3))


def test_without_ratings_there_is_a_solve_rate_only():
    with pytest.raises(UsageError, match="solve rate only"):
        tried([marks("a", "c")], {})
    with pytest.raises(UsageError, match="solve rate only"):
        elo([])
    with pytest.raises(UsageError, match="solve rate only"):
        contest_elo([])
    with pytest.raises(UsageError, match="not 3"):
        elo([Tried("a", 1500, 0, 2)], rule=Rule.ANY_OF_TRIES, tries=3)
    with pytest.raises(UsageError, match="needs the number"):
        elo([Tried("a", 1500, 0, 2)], rule=Rule.ANY_OF_TRIES)
    with pytest.raises(UsageError, match="cannot be"):
        elo([Tried("a", 1500, 3, 2)])


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(800, 3500), st.integers(0, 4)), min_size=1, max_size=8))
def test_ratings_do_not_depend_on_the_order_and_rise_with_success(found):
    rows = [Tried(f"{i}", d, s, 4) for i, (d, s) in enumerate(found)]
    got = elo(rows, draws=50).rating
    assert got == elo(rows[::-1], draws=50).rating
    assert got.low <= got.value <= got.high
    better = [Tried(r.question, r.rating, min(4, r.solved + 1), 4) for r in rows]
    assert elo(better, draws=50).rating.value >= got.value - 1e-6


CONTEST = Contest(
    "invented",
    {"A": 500.0, "B": 1000.0, "C": 2000.0},
    (Person(2400, 3100), Person(1900, 1420), Person(1600, 1400), Person(1500, 900), Person(1200, 480), Person(1000, 0)),
)


def test_a_score_counts_failures_before_the_first_success():
    assert score(CONTEST, {"A": [True], "B": [False, False, True, False], "C": [False] * 8}) == (1400, 0)
    counted = Contest("counted", {"A": None, "B": None}, CONTEST.people)
    assert score(counted, {"A": [False, True], "B": [True]}) == (2, 10)
    with pytest.raises(UsageError, match="no problem D"):
        score(CONTEST, {"D": [True]})


def test_a_place_gives_the_rating_at_which_it_is_expected():
    got = place(CONTEST, {"A": [True], "B": [False, False, True]})
    assert (got.points, got.ahead, got.people) == (1400, 2.5, 6)
    assert expected_ahead(got.rating, np.array([p.rating for p in CONTEST.people])) == pytest.approx(2.5, abs=1e-9)
    assert place(CONTEST, {"A": [True], "B": [False, False, True]}, level_counts=1.0).rating < got.rating


def test_the_first_and_the_last_place_stay_within_bounds():
    assert place(CONTEST, {"A": [True], "B": [True], "C": [True]}).rating == pytest.approx(2500)
    assert place(CONTEST, {}, level_counts=1.0).rating == pytest.approx(0, abs=1e-6)


def test_contests_average_and_one_alone_says_nothing_of_others():
    submitted = {"A": [True], "B": [False, False, True]}
    other = Contest("other", CONTEST.problems, tuple(Person(p.rating + 200, p.points) for p in CONTEST.people))
    got = contest_elo([(CONTEST, submitted), (other, submitted)])
    assert got.rating.value == pytest.approx(place(CONTEST, submitted).rating + 100, abs=1e-6)
    assert got == contest_elo([(other, submitted), (CONTEST, submitted)])
    assert contest_elo([(CONTEST, submitted)]).rating.high == math.inf
    assert contest_elo([(CONTEST, submitted), (other, submitted)], combine=Combine.POOLED).rating.n == 2


@pytest.mark.slow
@pytest.mark.parametrize("level", [0.95, 0.9])
@pytest.mark.parametrize(("n", "k", "ability"), [(30, 16, 1500), (30, 1, 1500), (30, 1, 2300), (100, 4, 900)])
def test_the_true_rating_is_in_the_interval_at_least_as_often_as_stated(n, k, ability, level):
    rng, runs, hits = np.random.default_rng(2), 250, 0
    for seed in range(runs):
        d = rng.uniform(800, 2400, n)
        solved = rng.binomial(k, 1 / (1 + 10 ** ((d - ability) / 400)))
        rows = [Tried(f"{i:03d}", d[i], int(solved[i]), k) for i in range(n)]
        got = elo(rows, level=level, draws=200, seed=seed).rating
        hits += got.low <= ability <= got.high
    assert hits / runs >= level - tolerance(level, runs)


@pytest.mark.slow
@pytest.mark.parametrize("level", [0.95, 0.9])
@pytest.mark.parametrize("contests", [5, 20])
def test_the_true_rating_is_in_the_interval_over_contests_as_often_as_stated(contests, level):
    """Everybody's day is the rating plus Gumbel noise, so that who is ahead follows the law; problems are 60 thresholds."""
    rng, runs = np.random.default_rng(4), 150
    hits = dict.fromkeys(Combine, 0)
    for _ in range(runs):
        played = [threshold_contest(f"{i:02d}", 1500, rng) for i in range(contests)]
        for combine in Combine:
            got = contest_elo(played, combine=combine, level=level).rating
            hits[combine] += got.low <= 1500 <= got.high
    assert abs(hits[Combine.POOLED] / runs - level) <= tolerance(level, runs)
    assert hits[Combine.MEAN] / runs >= level - tolerance(level, runs) - 0.03  # biased by some 10 points here


def threshold_contest(name, ability, rng, people=100):
    thresholds = {f"{i:02d}": d for i, d in enumerate(rng.uniform(600, 2400, 60))}
    ratings = rng.normal(1500, 350, people)
    days, ours = ratings + rng.gumbel(0, 400 / math.log(10), people), ability + rng.gumbel(0, 400 / math.log(10))
    points = (days[:, None] > np.array(list(thresholds.values()))).sum(1)
    standings = tuple(Person(float(r), float(s)) for r, s in zip(ratings, points, strict=True))
    return Contest(name, dict.fromkeys(thresholds), standings), {q: [bool(ours > d)] for q, d in thresholds.items()}
