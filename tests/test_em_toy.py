"""EM on the tabular engine, through the code that runs real models, against numbers known by exact computation."""

from functools import partial

import numpy as np
import pytest

from promptcot import em, estep
from promptcot.engines.protocol import FitExample
from promptcot.executors import MemoryWorkplace
from promptcot.fitting import fit_role
from promptcot.heldout import Pair
from promptcot.recipe import Em, Fit, Rule, Training
from promptcot.triples import Pool
from tests import toy

LIMIT = -1.216301  # of EM: the best LL that p(z|c) and a p(x|z) shared by all c can reach from the start here
NO_LATENT = -1.381214  # one p(x) for all c: what a p whose z says nothing ends at
SATURATED = -1.151796  # p(x|c) equal to the observed shares

NO_DEV = Pool((), "none")

# LL after t rounds when selection is an expectation over the K draws (enumerated), tau = 1
EXACT = {
    (Rule.ARGMAX, 2): {1: -1.315501, 2: -1.237491, 5: -1.23534, 10: -1.23534, 20: -1.23534, 60: -1.23534},
    (Rule.ARGMAX, 4): {1: -1.237491, 2: -1.235336, 5: -1.23534, 10: -1.23534, 20: -1.23534, 60: -1.23534},
    (Rule.ARGMAX, 8): {1: -1.234395, 2: -1.23534, 5: -1.23534, 10: -1.23534, 20: -1.23534, 60: -1.23534},
    (Rule.SNIS, 2): {1: -1.355354, 2: -1.341206, 5: -1.276207, 10: -1.224762, 20: -1.218579, 60: -1.216302},
    (Rule.SNIS, 4): {1: -1.320266, 2: -1.287028, 5: -1.228921, 10: -1.220426, 20: -1.216824, 60: -1.216301},
    (Rule.SNIS, 8): {1: -1.303868, 2: -1.266618, 5: -1.22527, 10: -1.219531, 20: -1.216511, 60: -1.216301},
    (Rule.UNIFORM, 2): {1: -1.381214, 2: -1.381214, 5: -1.381214, 60: -1.381214},
    (Rule.UNIFORM, 4): {1: -1.381214, 5: -1.381214},
    (Rule.UNIFORM, 8): {1: -1.381214, 2: -1.381214},
}
ENTROPY = {
    (Rule.ARGMAX, 2): {1: 0.56234, 5: 0.0},
    (Rule.ARGMAX, 4): {1: 0.23379, 5: 0.0},
    (Rule.SNIS, 2): {1: 0.6662, 5: 0.58202, 60: 0.30157},
    (Rule.SNIS, 4): {1: 0.62426, 5: 0.42935, 60: 0.29926},
    (Rule.SNIS, 8): {1: 0.60012, 5: 0.39141, 60: 0.29864},
    (Rule.UNIFORM, 8): {1: 0.69315, 2: 0.69315},
}


def rounds(tmp_path, settings: Em, pool, *, exact=False, seed=0, sees_concepts=False):
    start = toy.pair(tmp_path / "start", sees_concepts=sees_concepts)
    place = MemoryWorkplace(tmp_path / "work")
    return em.run(place, start, pool, NO_DEV, toy.setting(settings, exact=exact, seed=seed)).rounds


CASES = [(rule, k, 2 if k == 8 else 5) for rule, k in EXACT]
LONG = [pytest.param(rule, k, 60, marks=pytest.mark.slow) for (rule, k), listed in EXACT.items() if 60 in listed]


@pytest.mark.parametrize(("rule", "k", "last"), [*CASES, *LONG], ids=str)
def test_selection_rules_follow_their_exact_expectation(tmp_path, rule, k, last):
    settings = Em(rounds=last, rule=rule, candidates=k, ess=0, data="all")
    done = rounds(tmp_path, settings, toy.triples(), exact=True)
    listed = [t for t in EXACT[rule, k] if t <= last]
    assert listed
    for t in listed:
        assert toy.log_likelihood(done[t - 1].pair.generator) == pytest.approx(EXACT[rule, k][t], abs=2e-6), f"round {t}"
    for t, expected in ((t, h) for t, h in ENTROPY.get((rule, k), {}).items() if t <= last):
        assert toy.entropy(done[t - 1].pair.posterior) == pytest.approx(expected, abs=2e-5), f"entropy in round {t}"


# Sampled, K = 8. 200 repetitions of the same algorithm in a few lines of numpy, each with its own random numbers, gave for 10 triples per
# observation (`all`) and 20 (`one`) the mean and standard deviation of LL in rounds 1, 2, 5, 10, 20, 25:
SPREAD = {
    "all": (10, {1: (-1.30349, 0.0033), 2: (-1.26599, 0.0038), 5: (-1.22529, 0.0016), 10: (-1.21979, 0.0013), 25: (-1.21667, 0.00032)}),
    "one": (20, {1: (-1.30459, 0.0071), 2: (-1.26777, 0.0082), 5: (-1.22624, 0.0036), 10: (-1.22103, 0.0025), 25: (-1.21785, 0.0011)}),
}


@pytest.mark.slow
@pytest.mark.parametrize("data", ["all", "one"])
def test_sampled_snis_climbs_to_the_limit_of_em(tmp_path, data):
    repeat, expected = SPREAD[data]
    done = rounds(tmp_path, Em(rounds=25, rule=Rule.SNIS, candidates=8, ess=0, data=data), toy.triples(repeat))
    reached = [toy.log_likelihood(r.pair.generator) for r in done]
    for t, (mean, deviation) in expected.items():
        assert abs(reached[t - 1] - mean) < 4 * deviation, f"round {t}"
    assert max(reached) <= LIMIT + 1e-6
    assert reached[-1] > -1.23534 + 3 * expected[25][1]  # well above where argmax ends


@pytest.mark.parametrize("data", ["all", "one"])
def test_sampled_argmax_ends_where_hard_em_does(tmp_path, data):
    last = rounds(tmp_path, Em(rounds=3, rule=Rule.ARGMAX, candidates=8, data=data), toy.triples(3))[-1]
    assert toy.log_likelihood(last.pair.generator) == pytest.approx(-1.23534, abs=1e-5)
    assert toy.tables(last.pair.generator)["z_given_c"] == pytest.approx(np.array([[0.875, 0.125], [0.5, 0.5], [0.125, 0.875]]))
    expected = np.array([[0.458333, 0.458333, 0.083333, 0.0], [0.0, 0.0, 0.416667, 0.583333]])
    assert toy.tables(last.pair.generator)["x_given_z"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("data", "deviation"), [("all", 0.00042), ("one", 0.0031)])  # of round 2 in 200 repetitions as above, 10 triples
def test_sampled_uniform_weights_teach_p_nothing_about_z(tmp_path, data, deviation):
    last = rounds(tmp_path, Em(rounds=2, rule=Rule.UNIFORM, candidates=8, data=data), toy.triples(10))[-1]
    assert toy.log_likelihood(last.pair.generator) == pytest.approx(NO_LATENT, abs=5 * deviation)


def test_a_problem_that_sees_the_concepts_makes_the_latent_superfluous(tmp_path):
    done = rounds(tmp_path, Em(rounds=2, rule=Rule.SNIS, candidates=8, ess=0, data="all"), toy.triples(), exact=True, sees_concepts=True)
    assert [toy.log_likelihood(r.pair.generator) for r in done] == pytest.approx([SATURATED, SATURATED], abs=1e-6)


def by_hand(tmp_path, weigh, last, *, frozen=False):
    """EM in exact mode with one triple per cell that counts N times, and weights from outside: LL after each of `last` rounds."""
    place, pool, settings = MemoryWorkplace(tmp_path / "work"), toy.triples(None), toy.setting(Em(candidates=8)).em
    pair, reached = toy.pair(tmp_path / "start"), []
    for t in range(1, last + 1):
        draws = estep.draw(place, f"{t}/draws", pair.posterior, pool, settings, round=t, seed=0, exact=True)
        candidates = estep.score(place, f"{t}/candidates", pair.generator, draws, pool, settings.reject)
        chosen = [
            (group.triple, candidate.ids, float(weight) * group.mass * toy.COUNTS[toy.cell(group.triple)])
            for group in estep.groups(candidates.rows, pool)
            for candidate, weight in weigh(group.candidates)
        ]
        generator, posterior = (fitted(place, t, role, chosen) for role in (pair.generator, pair.posterior))
        pair = Pair(generator, pair.posterior if frozen else posterior)
        reached.append(toy.log_likelihood(pair.generator))
    return reached


def fitted(place, t, role, chosen):
    with role.open() as engine:
        segmenter = role.segmenter(engine)
        render = segmenter.generator if role.name == "generator" else segmenter.posterior
        examples = [FitExample(triple.id, render(triple, ids), weight) for triple, ids, weight in chosen]
    return fit_role(place, f"{t}/{role.name}", role, examples, Fit(), Training(), seed=0)


def tempered(candidates, ess):
    return zip(candidates, estep.weigh(candidates, Em(ess=ess)).values, strict=True)


def without_duplicates(candidates):
    once = list({c.ids: c for c in candidates}.values())
    return zip(once, estep.softmax(np.array([c.log_weight for c in once])), strict=True)


def test_em_by_hand_is_em(tmp_path):
    reached = by_hand(tmp_path, partial(tempered, ess=0), 2)
    assert reached == pytest.approx([EXACT[Rule.SNIS, 8][t] for t in (1, 2)], abs=2e-6)


def test_tempering_damps_the_first_step(tmp_path):
    done = rounds(tmp_path, Em(rounds=1, rule=Rule.SNIS, candidates=8, ess=0.5, data="all"), toy.triples(), exact=True)
    assert toy.log_likelihood(done[0].pair.generator) == pytest.approx(-1.304003, abs=1e-6)


@pytest.mark.slow
def test_tempering_leaves_the_limit_as_it_is(tmp_path):
    reached = by_hand(tmp_path, partial(tempered, ess=0.5), 50)
    assert reached[0] == pytest.approx(-1.304003, abs=1e-6)
    assert reached[-1] == pytest.approx(LIMIT, abs=2e-6)


def test_a_frozen_posterior_stays_and_its_weights_are_not_tempered(tmp_path):
    settings = Em(rounds=3, rule=Rule.SNIS, candidates=8, ess=0.5, data="all", freeze_posterior=True)
    last = rounds(tmp_path, settings, toy.triples(), exact=True)[-1]
    assert toy.entropy(last.pair.posterior) == pytest.approx(np.log(2))
    untempered = by_hand(tmp_path / "by_hand", partial(tempered, ess=0), 3, frozen=True)
    assert toy.log_likelihood(last.pair.generator) == pytest.approx(untempered[-1])
    assert untempered[-1] == pytest.approx(-1.251853, abs=1e-6)  # tempered, it would be at -1.265377


@pytest.mark.slow
@pytest.mark.parametrize(("ess", "last", "end"), [(0, 100, -1.21867), (0.5, 40, -1.2464)])
def test_tempering_under_a_frozen_posterior_would_stall_far_below(tmp_path, ess, last, end):
    assert by_hand(tmp_path, partial(tempered, ess=ess), last, frozen=True)[-1] == pytest.approx(end, abs=5e-5 if ess else 2e-6)


@pytest.mark.slow
def test_dropping_duplicates_before_weighting_would_learn_nothing(tmp_path):
    assert by_hand(tmp_path, without_duplicates, 60)[-1] == pytest.approx(NO_LATENT, abs=2e-6)
