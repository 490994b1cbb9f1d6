"""The figures of a round, from rows made by hand."""

import math
from typing import Any

import pytest

from promptcot.health import Evidence, gain_of, summarize
from promptcot.intervals import wilson
from promptcot.outcomes import Drop
from promptcot.recipe import Bound, Em, Rule
from promptcot.records import BoundRow, Candidate, Draw, ProbeRow, Selection

EM = Em(candidates=2, bound=Bound(k=[4, 1]))


def draw(triple, n, rationale, invalid=None):
    fields: dict[str, Any] = {
        "round": 1,
        "draw": n,
        "rationale": rationale,
        "ids": (1,) * (n + 1),
        "log_q": -1.0 - n,
        "tokens": n + 2,
        "finish": "stop",
    }
    return Draw(id=f"{triple}{n}", parents=(triple,), invalid=invalid, **fields)


def candidate(d, rejected=None):
    kept = {name: getattr(d, name) for name in Draw.__dataclass_fields__ if name not in ("id", "parents")}
    scores: dict[str, Any] = {"log_p_problem": -4.0, "log_p_rationale": -2.0, "tokens_problem": 3, "leak": 0.0, "overlap": 0.0}
    return Candidate(id=f"c-{d.id}", parents=(d.id, d.parents[0]), rejected=rejected, **scores, **kept)


def selection(triple, candidate_id, role, tau=1.0, ess=2.0):
    fields: dict[str, Any] = {
        "round": 1,
        "role": role,
        "triple": triple,
        "ids": (1,),
        "rationale": "z",
        "weight": 1.0,
        "tau": tau,
        "ess": ess,
    }
    return Selection(id=f"{triple}-{role}", parents=(triple, candidate_id), **fields)


def bound(name, best, new, tokens):
    return BoundRow(
        id=name, round=1, best=0, log_p_best=best, log_p_new=new, log_m=(0.0,) * len(best), tokens_problem=tokens, draws=len(best)
    )


DRAWS = [draw("a", 0, "u"), draw("a", 1, "u"), draw("b", 0, "v"), draw("b", 1, "w", Drop.TRUNCATED), draw("c", 0, "x"), draw("c", 1, "y")]
CANDIDATES = [candidate(d, Drop.LEAK if d.parents[0] == "c" else None) for d in DRAWS if d.invalid is None]
SELECTIONS = [
    selection(t, f"c-{t}0", role, tau, ess) for t, tau, ess in (("a", 0.5, 1.5), ("b", 1.0, 1.0)) for role in ("posterior", "generator")
]
BOUND = [bound("i", (-2.0,) * 4, (-1.0,) * 4, 1), bound("j", (-6.0,) * 4, (-6.0,) * 4, 3)]
PROBE = [
    ProbeRow(id="i", round=1, own=-1.0, other_rationale=-3.0, other_concepts=-1.0, tokens_problem=1),
    ProbeRow(id="j", round=1, own=-6.0, other_rationale=-8.0, other_concepts=-5.0, tokens_problem=3),
]


def test_the_e_step_in_figures():
    got = summarize(1, 0, EM, Evidence(3, DRAWS, CANDIDATES, SELECTIONS, [], []))
    assert got.valid_share[0] == pytest.approx(5 / 6)
    assert got.leak_share == pytest.approx((2 / 5, wilson(2, 5).low, wilson(2, 5).high))
    assert got.distinct_share == pytest.approx(5 / 6)  # u twice
    assert (got.ess, got.tau, got.sat_out, got.seeds) == (1.25, 0.75, 1, 3)
    assert (got.rationale_tokens, got.log_q) == (1.5, -1.5)
    assert (got.log_p_problem, got.log_p_rationale) == (-4.0, -2.0)


def test_greedy_rationales_do_not_hide_that_a_seed_sat_out():
    """The rule `paper` fits p to a greedy rationale of every seed."""
    greedy = [selection(t, f"greedy-{t}", "generator", 1.0, 1.0) for t in "abc"]
    chosen = [s for s in SELECTIONS if s.role == "posterior"]
    got = summarize(1, 0, EM.model_copy(update={"rule": Rule.PAPER}), Evidence(3, DRAWS, CANDIDATES, [*chosen, *greedy], [], []))
    assert (got.sat_out, got.ess) == (1, 1.25)


def test_bounds_gain_and_probes_are_nats_per_token_of_x():
    got = summarize(2, 1, EM, Evidence(3, DRAWS, CANDIDATES, SELECTIONS, BOUND, PROBE, 2))
    assert (got.round, got.best_before, got.dev, got.ks) == (2, 1, 2, (1, 4))
    assert (*got.iwae_best, *got.iwae_new) == pytest.approx((-2.0, -2.0, -1.75, -1.75))
    assert (got.bound_best[0], got.bound_new[0], got.gain[0]) == pytest.approx((-2.0, -1.75, 0.25))
    assert got.gain[1:] == pytest.approx((0.0, 1.0))
    assert (got.uses_rationale[0], got.uses_concepts[0]) == pytest.approx((4 / 4, -1 / 4))
    assert got.is_best
    gain = gain_of(got)
    assert gain is not None
    assert ((gain.value, gain.low, gain.high), gain.n, gain.verdict) == (got.gain, 2, "no evidence")


def test_a_k_beyond_the_draws_is_left_out():
    few = [bound("i", (-2.0,) * 3, (-1.0,) * 3, 1)] * 2
    assert summarize(1, 0, EM, Evidence(3, [], [], [], few, [], 2)).ks == (1,)
    assert summarize(1, 0, EM.model_copy(update={"bound": Bound(k=[8])}), Evidence(3, [], [], [], few, [], 2)).ks == (3,)


def test_an_equal_or_worse_round_is_not_the_best():
    equal = [bound("i", (-2.0,) * 4, (-2.0,) * 4, 1)] * 2
    assert not summarize(1, 0, EM, Evidence(3, [], [], [], equal, [], 2)).is_best


def test_without_dev_problems_the_last_round_counts_and_unmeasured_figures_are_nan():
    got = summarize(1, 0, EM, Evidence(3, [], [], [], [], []))
    assert (got.is_best, got.dev, gain_of(got), got.sat_out) == (True, 0, None, 0)
    unmeasured = (*got.gain, got.bound_new[0], got.uses_rationale[0], got.valid_share[0], got.distinct_share, got.ess, got.tau, got.log_q)
    assert all(map(math.isnan, unmeasured))


def test_a_round_that_could_not_be_compared_on_any_dev_problem_is_not_the_best():
    got = summarize(1, 0, EM, Evidence(3, DRAWS, CANDIDATES, SELECTIONS, [], [], 5))
    assert (got.is_best, got.dev) == (False, 0)
