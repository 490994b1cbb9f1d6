"""The M-step: which texts are fitted with what weight, and exact EM through it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcot import mstep
from promptcot.cold_start import cold_start
from promptcot.engines.tabular import TabularModel
from promptcot.errors import Stopped
from promptcot.executors import MemoryWorkplace
from promptcot.fitting import annotated_examples, fit_role
from promptcot.recipe import ColdStart, Fit, Training
from promptcot.records import Selection, Triple, record_id
from promptcot.triples import Pool, replayed
from tests import toy

# exact EM: q is the posterior of the current p. LL after t rounds, and the tables after one
EXACT_EM = {1: -1.292128, 2: -1.253983, 3: -1.233824, 5: -1.223749, 10: -1.218817, 20: -1.216378}
Z_GIVEN_C_1 = [[0.712388, 0.287612], [0.5, 0.5], [0.249522, 0.750478]]
X_GIVEN_Z_1 = [[0.39642, 0.297131, 0.201296, 0.105153], [0.070197, 0.164568, 0.296292, 0.468943]]


def selection(triple, z, weight, role):
    ids = toy.TOKENIZER.encode(f"z{z}")
    return Selection(
        id=record_id("s", (triple.id,), z, role),
        round=1,
        role=role,
        triple=triple.id,
        ids=ids,
        rationale=f"z{z}",
        weight=weight,
        tau=1.0,
        ess=1.0,
    )


def m_step(place, name, role, weights):
    """Fit a role to every (c, x, z) of the toy with weight N times `weights` [C, X, Z]."""
    pool = toy.triples(None)
    chosen = [selection(t, z, float(toy.COUNTS[toy.cell(t)] * weights[*toy.cell(t), z]), role.name) for t in pool.rows for z in range(2)]
    with role.open() as engine:
        examples = mstep.selected_examples(role.name, chosen, pool, role.segmenter(engine))
    return fit_role(place, name, role, examples, Fit(), Training(), seed=0)


def test_exact_em_through_the_m_step_has_the_known_path(tmp_path):
    place, p = MemoryWorkplace(tmp_path / "work"), toy.pair(tmp_path / "start").generator
    before = toy.log_likelihood(p)
    assert before == pytest.approx(-1.347325, abs=1e-6)
    for t in range(1, 21):
        p = m_step(place, f"{t}", p, toy.responsibilities(p))
        if t == 1:
            assert toy.tables(p)["z_given_c"] == pytest.approx(np.array(Z_GIVEN_C_1), abs=1e-6)
            assert toy.tables(p)["x_given_z"] == pytest.approx(np.array(X_GIVEN_Z_1), abs=1e-6)
        assert toy.log_likelihood(p) >= before, f"round {t}"
        before = toy.log_likelihood(p)
        assert before == pytest.approx(EXACT_EM.get(t, before), abs=1e-6), f"round {t}"


def test_the_optimum_is_a_fixed_point(tmp_path):
    best = toy.pair_at_optimum(tmp_path / "start")
    again = m_step(MemoryWorkplace(tmp_path / "work"), "again", best.generator, toy.responsibilities(best.generator))
    assert toy.log_likelihood(best.generator) == pytest.approx(-1.216301, abs=1e-6)
    for name, table in toy.tables(best.generator).items():
        assert toy.tables(again)[name] == pytest.approx(table, abs=2e-4)
    q = m_step(MemoryWorkplace(tmp_path / "work"), "q", best.posterior, toy.responsibilities(best.generator))
    assert toy.tables(q)["z_given_cx"] == pytest.approx(toy.responsibilities(best.generator))
    assert toy.entropy(q) == pytest.approx(0.29804, abs=2e-4)


def test_what_nothing_was_selected_for_keeps_its_law(tmp_path):
    start = toy.pair(tmp_path / "start").posterior
    weights = np.zeros((3, 4, 2))
    weights[1, 2] = [0.25, 0.75]
    q = toy.tables(m_step(MemoryWorkplace(tmp_path / "work"), "q", start, weights))["z_given_cx"]
    assert q[1, 2] == pytest.approx([0.25, 0.75])
    untouched = np.ones((3, 4), bool)
    untouched[1, 2] = False
    assert (q[untouched] == 0.5).all()


def test_examples_carry_the_sampled_ids_and_weights_of_their_own_role(tmp_path):
    pair, pool = toy.pair(tmp_path / "start"), toy.triples(None)
    t = pool.rows[5]  # c1 x1
    chosen = [selection(t, 1, 0.25, "generator"), selection(t, 0, 0.75, "posterior")]
    with pair.generator.open() as engine:
        segmenter = pair.generator.segmenter(engine)
        (p,) = mstep.selected_examples("generator", chosen, pool, segmenter)
        (q,) = mstep.selected_examples("posterior", chosen, pool, segmenter)
    ids, eos = engine.tokenizer.encode, (engine.tokenizer.eos,)
    assert (p.weight, p.tokens.prefix, p.tokens.segments) == (0.25, ids("c1"), (ids("z1"), ids("x1") + eos))
    assert (q.weight, q.tokens.prefix, q.tokens.segments) == (0.75, ids("c1 x1"), (ids("z0") + eos,))


def annotated(count, rationales):
    return [
        Triple(id=f"t{i:03d}", family="f", concepts=("c0",), level="", rationale="z0" if i < rationales else None, problem=f"x{i % 4}")
        for i in range(count)
    ]


@given(st.integers(0, 20), st.integers(0, 20), st.floats(0, 2), st.integers(0, 40), st.integers(0, 3))
def test_replay_draws_its_share_of_annotated_triples_without_repeating_any(total, with_rationale, share, selected, seed):
    rows = annotated(total, with_rationale)
    picked = replayed(rows, share, selected, seed)
    assert len(picked) == len({t.id for t in picked}) == min(min(total, with_rationale), round(share * selected))
    assert all(t.rationale for t in picked)
    assert picked == replayed(rows, share, selected, seed)


def test_replay_depends_on_the_seed():
    assert len({tuple(t.id for t in replayed(annotated(20, 20), 0.5, 10, seed)) for seed in range(5)}) > 1


def test_the_cold_start_counts_the_annotated_triples(tmp_path):
    start, rows = toy.pair(tmp_path / "start"), annotated(12, 8)
    place = MemoryWorkplace(tmp_path / "work")
    p, q = cold_start(place, start.generator, start.posterior, Pool(tuple(rows), "a"), ColdStart(), Training(), seed=0)
    assert toy.tables(p)["z_given_c"][0] == pytest.approx([1, 0])
    assert toy.tables(p)["x_given_z"][0] == pytest.approx([0.25] * 4)
    assert toy.tables(q)["z_given_cx"][0] == pytest.approx(np.array([[1.0, 0.0]] * 4))
    with start.generator.open() as engine:
        assert len(annotated_examples("generator", rows, start.generator.segmenter(engine))) == 8


def test_a_cold_start_without_rationales_fits_p_of_x_alone_to_all_rows(tmp_path):
    q0, rows = toy.pair(tmp_path / "start").posterior, annotated(12, 4)
    p0 = toy.role(tmp_path / "alone", "generator", x_given_c=np.full((3, 4), 0.25))
    place = MemoryWorkplace(tmp_path / "work")
    p, q = cold_start(place, p0, q0, Pool(tuple(rows[:6]), "a"), ColdStart(), Training(), seed=0, with_rationale=False)
    assert toy.tables(p)["x_given_c"][0] == pytest.approx([2 / 6, 2 / 6, 1 / 6, 1 / 6])
    assert q == q0


def test_a_fit_on_nothing_is_refused(tmp_path):
    start = toy.pair(tmp_path / "start")
    with pytest.raises(Stopped, match="nothing to fit `generator` on"):
        fit_role(MemoryWorkplace(tmp_path), "em/1/generator", start.generator, [], Fit(), Training(), seed=0)
    assert TabularModel.load(start.generator.path).kind == "generator"
