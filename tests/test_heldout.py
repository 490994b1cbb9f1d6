"""The held-out comparison against exact enumeration of its draws, with valid and invalid rationales; and the probes."""

from dataclasses import dataclass, replace
from itertools import pairwise
from math import comb

import numpy as np
import pytest

from promptcot import bounds, heldout
from promptcot.engines.tabular import SymbolTokenizer
from promptcot.executors import MemoryWorkplace
from promptcot.heldout import Pair
from promptcot.outcomes import Drop
from promptcot.templates import PlainTemplate
from promptcot.triples import Pool
from tests import toy

SKEWED = np.array([[[0.9, 0.1], [0.7, 0.3], [0.4, 0.6], [0.2, 0.8]]] * 3)


def compared(tmp_path, best, new, pool, *, k, seed=0):
    place = MemoryWorkplace(tmp_path / "work")
    return heldout.compare(place, 1, 0, best, new, pool, k=k, max_tokens=8, seed=seed)


def repeated(times):
    """Every cell (c, x) `times` times, each with draws of its own."""
    return Pool(tuple(replace(t, id=f"{t.id}-{i}") for t in toy.triples(None).rows for i in range(times)), f"repeated-{times}")


def two_pairs(tmp_path):
    """p0 with a skewed q, and the optimum with its posterior: different p, different q."""
    best = Pair(toy.pair(tmp_path / "p0").generator, toy.role(tmp_path / "q0", "posterior", z_given_cx=SKEWED))
    return best, toy.pair_at_optimum(tmp_path / "new")


def exact_bound(log_joint, q_best, q_new, each):
    """E of the bound on one cell: `each` draws from either posterior, every outcome by its probability. All laws over two z."""
    log_w, total = log_joint - np.log((q_best + q_new) / 2), 0.0
    for i in range(each + 1):
        for j in range(each + 1):
            mass = comb(each, i) * q_best[0] ** i * q_best[1] ** (each - i) * comb(each, j) * q_new[0] ** j * q_new[1] ** (each - j)
            total += mass * bounds.iwae(np.repeat(log_w, [i + j, 2 * each - i - j]), 2 * each)
    return total


def by_cell(rows, pool, which, k):
    """IWAE-k of every row, [3, 4, repetitions]."""
    cells = {t.id: toy.cell(t) for t in pool.rows}
    out: list[list[list[float]]] = [[[] for _ in range(4)] for _ in range(3)]
    for row in rows:
        c, x = cells[row.parents[0]]
        out[c][x].append(bounds.iwae(bounds.log_weights(row, which), k))
    return np.array(out)


@pytest.mark.parametrize("which", ["best", "new"])
def test_the_bound_under_the_mixture_is_right_on_average(tmp_path, which):
    best, new = two_pairs(tmp_path)
    pool, k = repeated(60), 4
    rows = compared(tmp_path, best, new, pool, k=k).table.rows
    p = best.generator if which == "best" else new.generator
    joint, q = np.log(toy.joint(p)), toy.tables(new.posterior)["z_given_cx"]
    got = by_cell(rows, pool, which, k)
    exact = np.array([[exact_bound(joint[c, x], SKEWED[c, x], q[c, x], k // 2) for x in range(4)] for c in range(3)])
    error = np.sqrt(got.var(axis=-1, ddof=1).sum() / 60) / 12
    assert abs((got.mean(axis=-1) - exact).mean()) < 4 * error
    assert error < 0.01
    assert (exact < np.log(toy.x_given_c(p))).all()


def test_a_single_draw_gives_the_elbo_of_the_mixture(tmp_path):
    best, new = two_pairs(tmp_path)
    pool = repeated(60)
    rows = compared(tmp_path, best, new, pool, k=4).table.rows
    joint, m = np.log(toy.joint(new.generator)), (SKEWED + toy.tables(new.posterior)["z_given_cx"]) / 2
    exact = np.array([[bounds.elbo(joint[c, x], m[c, x]) for x in range(4)] for c in range(3)])
    got = by_cell(rows, pool, "new", 1)
    assert abs((got.mean(axis=-1) - exact).mean()) < 4 * np.sqrt(got.var(axis=-1, ddof=1).sum() / 60) / 12


def test_both_models_are_judged_on_the_same_draws_in_equal_parts(tmp_path):
    best, new = two_pairs(tmp_path)
    pool = repeated(3)
    rows = compared(tmp_path, best, new, pool, k=5).table.rows
    cells = {t.id: toy.cell(t) for t in pool.rows}
    q = toy.tables(new.posterior)["z_given_cx"]
    old, young = np.log(toy.joint(best.generator)), np.log(toy.joint(new.generator))
    seen = set()
    for row in rows:
        c, x = cells[row.parents[0]]
        assert len(row.log_p_best) == len(row.log_p_new) == len(row.log_m) == row.draws == 6  # three of each, to have at least 5
        for a, b, log_m in zip(row.log_p_best, row.log_p_new, row.log_m, strict=True):
            z = int(np.argmin(abs(old[c, x] - a)))
            seen.add(z)
            expected = old[c, x, z], young[c, x, z], np.log((SKEWED[c, x, z] + q[c, x, z]) / 2)
            assert (a, b, log_m) == pytest.approx(expected, abs=1e-9)
    assert seen == {0, 1}
    assert {row.tokens_problem for row in rows} == {2}  # x and its terminator


def test_two_posteriors_that_write_the_same_have_it_scored_once(tmp_path):
    asked_for = {}

    class Counting(MemoryWorkplace):
        def rows(self, spec, items, work, **how):
            asked_for[spec.name] = [item.id for item in items]
            return super().rows(spec, items, work, **how)

    best, pool = two_pairs(tmp_path)[0], repeated(3)
    alike = Pair(best.generator, toy.role(tmp_path / "alike", "posterior", z_given_cx=0.99 * SKEWED + 0.005))
    table = heldout.compare(Counting(tmp_path / "work"), 1, 0, best, alike, pool, k=8, max_tokens=8, seed=0).table
    scored = asked_for["em/1/bound/log_p_new"]
    assert len(scored) == len(set(scored)) < sum(len(row.log_m) for row in table.rows) == 8 * len(pool.rows)


def test_one_posterior_is_drawn_from_once(tmp_path):
    best, new = two_pairs(tmp_path)
    shared = Pair(new.generator, best.posterior)
    result = compared(tmp_path, best, shared, toy.triples(None), k=4)
    cells = {t.id: toy.cell(t) for t in toy.triples(None).rows}
    for row in result.table.rows:
        assert (len(row.log_m), row.draws) == (4, 4)
        assert all(min(abs(np.log(SKEWED[cells[row.parents[0]]]) - m)) < 1e-12 for m in row.log_m)


def test_a_model_compared_with_itself_gains_nothing(tmp_path):
    best, _ = two_pairs(tmp_path)
    gain = bounds.difference(compared(tmp_path, best, best, toy.triples(), k=8).table.rows, 8)
    assert (gain.value, gain.low, gain.high) == (0.0, 0.0, 0.0)


def test_draws_of_the_bound_are_not_those_of_the_e_step_and_follow_the_seed(tmp_path):
    _, new = two_pairs(tmp_path)
    place = MemoryWorkplace(tmp_path / "work")
    strata = [heldout.stratum(place, "d", new.posterior, toy.triples(), 4, 8, seed) for seed in (0, 0, 1)]
    drawn = [[d.rationale for rows in s.draws.values() for d in rows] for s in strata]
    assert drawn[0] == drawn[1] != drawn[2]
    assert min(d.draw for rows in strata[0].draws.values() for d in rows) >= heldout.FIRST_DRAW


@dataclass(frozen=True)
class Fussy(PlainTemplate):
    """Symbols, of which `z2` does not parse."""

    def parse_rationale(self, text):
        return Drop.UNPARSABLE if text.strip() == "z2" else super().parse_rationale(text)


THREE = SymbolTokenizer(toy.TOKENIZER.concepts, ("z0", "z1", "z2"), toy.TOKENIZER.problems)
Z_OF_THREE = [[0.5, 0.3, 0.2]] * 3
X_OF_THREE = [[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4], [0.25] * 4]


def fussy_pair(folder, q):
    generator = toy.role(folder, "generator", tokenizer=THREE, template=Fussy(), z_given_c=Z_OF_THREE, x_given_z=X_OF_THREE)
    return Pair(generator, toy.role(folder, "posterior", tokenizer=THREE, template=Fussy(), z_given_cx=q))


def test_invalid_draws_correct_the_density_of_the_valid_ones_by_their_share(tmp_path):
    """q wastes 30 % of its mass on a rationale that does not parse; the bound is then that of q given `valid`."""
    q = np.array([[[0.5, 0.2, 0.3]] * 4] * 3)
    pair, pool, wanted = fussy_pair(tmp_path, q), repeated(8), 64
    made = heldout.stratum(MemoryWorkplace(tmp_path / "work"), "em/1/bound/draws_new", pair.posterior, pool, wanted, 8, 0)
    valid_share = np.exp(list(made.log_valid.values()))
    assert valid_share.mean() == pytest.approx(0.7, abs=4 * np.sqrt(0.21 / sum(made.made.values())))
    result = compared(tmp_path, pair, pair, pool, k=wanted)
    for row in result.table.rows:
        assert len(row.log_m) == wanted
        assert row.draws == made.made[row.parents[0]] == 2 * wanted  # 64 draws never hold 64 valid ones here, 128 always do
        share = made.log_valid[row.parents[0]]
        for d, log_m in zip(made.draws[row.parents[0]], row.log_m, strict=True):
            assert d.rationale != "z2"
            assert log_m == pytest.approx(np.log(q[0, 0, int(d.rationale[1:])]) - share)
    joint = np.log(np.array(Z_OF_THREE)[:, None, :2] * np.array(X_OF_THREE).T[None, :, :2])
    given_valid = q[..., :2] / 0.7
    exact = np.array([[bounds.elbo(joint[c, x], given_valid[c, x]) for x in range(4)] for c in range(3)])
    got = by_cell(result.table.rows, pool, "new", 1)
    error = np.sqrt(got.var(axis=-1, ddof=1).sum() / 8) / 12
    assert abs((got.mean(axis=-1) - exact).mean()) < 4 * error + 0.002  # log of an estimated share: 0.3 / (2 * 0.7 * 128) too low
    assert error < 0.01


def test_a_problem_that_a_posterior_hardly_writes_for_leaves_both_models(tmp_path):
    q = np.array([[[0.5, 0.2, 0.3]] * 4] * 3)
    sparse = q.copy()
    sparse[1, 2] = [0.0005, 0.0005, 0.999]
    best, new = fussy_pair(tmp_path / "best", q), fussy_pair(tmp_path / "new", sparse)
    pool = toy.triples(None)
    lost = next(t.id for t in pool.rows if toy.cell(t) == (1, 2))
    for old, young in ((best, new), (new, best)):
        result = compared(tmp_path, old, young, pool, k=8)
        assert {t.id for t in pool.rows} - {row.parents[0] for row in result.table.rows} == {lost}
        assert {t.id for t in pool.rows} - result.first_draws.keys() == {lost}
    given_up = heldout.stratum(MemoryWorkplace(tmp_path / "work"), "d", new.posterior, pool, 4, 8, 0)
    assert given_up.made[lost] == heldout.CAP * 4


def probed(tmp_path, generator, posterior, pool):
    pair = Pair(generator, posterior)
    result = compared(tmp_path, pair, pair, pool, k=4)
    rows = heldout.probe(MemoryWorkplace(tmp_path / "probe"), 1, generator, result.first_draws, pool, "d").rows
    return rows, result.first_draws


def test_the_probe_of_a_generator_that_ignores_its_rationale_is_zero(tmp_path):
    deaf = toy.role(tmp_path / "deaf", "generator", z_given_c=toy.Z_GIVEN_C, x_given_z=[[0.3, 0.3, 0.2, 0.2]] * 2)
    rows, _ = probed(tmp_path, deaf, toy.pair(tmp_path / "start").posterior, toy.triples())
    assert len(rows) == 48
    assert all(row.own == row.other_rationale == row.other_concepts for row in rows)


def test_the_probe_is_log_p_of_x_under_own_and_foreign_rationale_and_concepts(tmp_path):
    best = toy.pair_at_optimum(tmp_path / "start")
    x_given_z = np.array(toy.X_GIVEN_Z_STAR)
    by_concept = toy.role(tmp_path / "by", "generator", z_given_c=toy.Z_GIVEN_C_STAR, x_given_cz=[x_given_z, x_given_z[::-1], x_given_z])
    pool, law = toy.triples(), np.log(np.array([x_given_z, x_given_z[::-1], x_given_z]))
    rows, first = probed(tmp_path, by_concept, best.posterior, pool)
    by_id = {t.id: t for t in pool.rows}
    for row in rows:
        own, other = (by_id[key] for key in row.parents)
        assert own.family != other.family
        (c, x), foreign = toy.cell(own), toy.cell(other)[0]
        z, z_other = (int(first[t.id].rationale[1:]) for t in (own, other))
        assert (row.own, row.other_rationale, row.other_concepts) == pytest.approx((law[c, z, x], law[c, z_other, x], law[foreign, z, x]))
        assert row.tokens_problem == 2


def test_a_generator_that_uses_its_rationale_is_better_off_with_its_own(tmp_path):
    best = toy.pair_at_optimum(tmp_path / "start")
    rows, _ = probed(tmp_path, best.generator, best.posterior, toy.triples())
    assert np.mean([row.own - row.other_rationale for row in rows]) > 0.2
    assert all(row.own == row.other_concepts for row in rows)  # this p(x|z) does not see c


def test_a_lone_family_is_probed_with_itself(tmp_path):
    pool = Pool(tuple(replace(t, family="f") for t in toy.triples(None).rows[:3]), "lone")
    best = toy.pair_at_optimum(tmp_path / "start")
    rows, _ = probed(tmp_path, best.generator, best.posterior, pool)
    order = [t.id for t in pool.rows]
    assert [row.parents for row in rows] == list(pairwise([*order, order[0]]))
