"""EM on the tabular engine, through the code that runs real models, against numbers known by exact computation."""

import pytest

from promptcot import em
from promptcot.executors import MemoryWorkplace
from promptcot.recipe import Em, Rule
from promptcot.triples import Pool
from tests import toy

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
    (Rule.UNIFORM, 8): {1: -1.381214, 5: -1.381214},
}
ENTROPY = {
    (Rule.ARGMAX, 2): {1: 0.56234, 5: 0.0},
    (Rule.ARGMAX, 4): {1: 0.23379, 5: 0.0},
    (Rule.SNIS, 2): {1: 0.6662, 5: 0.58202, 60: 0.30157},
    (Rule.SNIS, 4): {1: 0.62426, 5: 0.42935, 60: 0.29926},
    (Rule.SNIS, 8): {1: 0.60012, 5: 0.39141, 60: 0.29864},
    (Rule.UNIFORM, 8): {1: 0.69315, 5: 0.69315},
}


def rounds(tmp_path, settings: Em, pool, *, exact=False, seed=0, sees_concepts=False):
    start = toy.pair(tmp_path / "start", sees_concepts=sees_concepts)
    place = MemoryWorkplace(tmp_path / "work")
    return em.run(place, start, pool, NO_DEV, toy.setting(settings, exact=exact, seed=seed)).rounds


@pytest.mark.parametrize("last", [5, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("rule", "k"), EXACT, ids=lambda value: str(value))
def test_selection_rules_follow_their_exact_expectation(tmp_path, rule, k, last):
    settings = Em(rounds=last, rule=rule, candidates=k, ess=0, data="all")
    done = rounds(tmp_path, settings, toy.triples(), exact=True)
    listed = [t for t in EXACT[rule, k] if t <= last]
    assert listed
    for t in listed:
        assert toy.log_likelihood(done[t - 1].pair.generator) == pytest.approx(EXACT[rule, k][t], abs=2e-6), f"round {t}"
    for t, expected in ((t, h) for t, h in ENTROPY.get((rule, k), {}).items() if t <= last):
        assert toy.entropy(done[t - 1].pair.posterior) == pytest.approx(expected, abs=2e-5), f"entropy in round {t}"
