"""The E-step: weights, tempering, duplicates, leaks, and what `data: one` chooses."""

import json
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcot import estep
from promptcot.errors import UsageError
from promptcot.executors import MemoryWorkplace
from promptcot.outcomes import Drop
from promptcot.recipe import Em, EngineSpec, Reject, Rule, Sample
from promptcot.records import Candidate, Triple, record_id
from promptcot.roles import Role
from promptcot.templates import TAGGED
from promptcot.triples import Pool
from tests import toy

log_weights = st.lists(st.floats(-40, 40), min_size=1, max_size=12).map(np.array)
shares = st.floats(0, 1)


def triple(name, family=None):
    return Triple(id=record_id("t", (), 0, name), family=family or name, concepts=("c",), level="", rationale=None, problem="x")


def candidate(of, draw, log_w=0.0, *, rejected=None, rationale=None):
    """A candidate whose log weight is `log_w`: reward log_w - 2, log q -2."""
    return Candidate(
        id=record_id("candidate", (of.id,), draw),
        parents=(f"draw-{draw}", of.id),
        round=1,
        draw=draw,
        rationale=rationale or f"z{draw}",
        ids=(draw,),
        log_q=-2.0,
        tokens=2,
        finish="stop",
        log_p_problem=log_w - 1.5,
        log_p_rationale=-0.5,
        tokens_problem=4,
        leak=0.0,
        overlap=0.0,
        rejected=rejected,
    )


def group(name, log_w, mass=1.0, family=None):
    of = triple(name, family)
    return estep.Group(of, mass, tuple(candidate(of, i, w) for i, w in enumerate(log_w)))


def ess(log_w, tau):
    return estep.effective_sample_size(estep.softmax(tau * log_w))


@given(log_weights, shares)
def test_tau_is_the_largest_that_leaves_the_wanted_share_of_draws(log_w, share):
    wanted = share * len(log_w)
    tau = estep.temper(log_w, wanted)
    assert 0 <= tau <= 1
    assert ess(log_w, tau) >= wanted - 1e-9
    if tau < 1:
        assert ess(log_w, min(1.0, tau + 1e-3)) < wanted + 1e-9


@given(log_weights, shares, shares)
def test_the_effective_sample_size_falls_with_tau_from_n_to_no_less_than_one(log_w, a, b):
    low, high = sorted((a, b))
    assert 1 - 1e-9 <= ess(log_w, high) <= ess(log_w, low) + 1e-9 <= len(log_w) + 2e-9
    assert ess(log_w, 0.0) == pytest.approx(len(log_w))


@given(log_weights, st.floats(-500, 500))
def test_weights_do_not_depend_on_the_level_of_the_log_weights(log_w, shift):
    assert estep.softmax(log_w + shift) == pytest.approx(estep.softmax(log_w), abs=1e-9)
    assert estep.softmax(log_w).sum() == pytest.approx(1)


@given(log_weights, shares)
def test_snis_weights_are_tempered_ratios_and_say_so(log_w, share):
    weights = estep.weigh(group("t", log_w).candidates, Em(ess=share))
    assert weights.values == pytest.approx(estep.softmax(weights.tau * log_w))
    assert weights.ess == pytest.approx(estep.effective_sample_size(weights.values))
    assert estep.weigh(group("t", log_w).candidates, Em(ess=share, freeze_posterior=True)).tau == 1.0


@given(st.integers(1, 5), st.integers(1, 5), st.floats(-3, 3))
def test_equal_draws_count_each(first, second, log_w):
    of = triple("t")
    drawn = [candidate(of, 0, log_w, rationale="a")] * first + [candidate(of, 1, 0.0, rationale="b")] * second
    weights = estep.weigh(drawn, Em(ess=0)).values
    expected = first * np.exp(log_w) / (first * np.exp(log_w) + second)
    assert weights[:first].sum() == pytest.approx(expected)


@pytest.mark.parametrize("rule", [Rule.ARGMAX, Rule.PAPER])
def test_argmax_takes_the_best_reward_whatever_q_thinks(rule):
    of = triple("t")
    likely = replace(candidate(of, 0, 0.0), log_q=-9.0)
    better = replace(candidate(of, 1, 1.0), log_q=-1.0)
    assert likely.log_weight > better.log_weight
    assert estep.weigh([likely, better], Em(rule=rule)).values.tolist() == [0, 1]


def test_length_normalization_divides_each_reward_term_by_its_tokens():
    of = triple("t")
    short = replace(candidate(of, 0), ids=(1,), log_p_rationale=-2.0, log_p_problem=-4.0)
    long = replace(candidate(of, 1), ids=(1,) * 8, log_p_rationale=-8.0, log_p_problem=-4.0)
    assert estep.reward(short, True) == -4.0 / 4 - 2.0
    assert estep.weigh([short, long], Em(rule=Rule.ARGMAX)).values.tolist() == [1, 0]
    assert estep.weigh([short, long], Em(rule=Rule.ARGMAX, length_normalized=True)).values.tolist() == [0, 1]


many_groups = st.lists(st.tuples(st.lists(st.floats(-20, 20), min_size=1, max_size=6), st.floats(0.01, 9)), min_size=1, max_size=8).map(
    lambda rows: [group(f"t{i}", log_w, mass) for i, (log_w, mass) in enumerate(rows)]
)


@given(many_groups, st.sampled_from([r for r in Rule if r is not Rule.NO_RATIONALE]), st.sampled_from(["one", "all"]), st.booleans())
def test_the_selections_of_a_group_weigh_its_mass_for_every_role(grouped, rule, data, frozen):
    em = Em(rule=rule, data=data, freeze_posterior=frozen)
    selections = estep.select(grouped, em, round=1, seed=3)
    sums: defaultdict[tuple[str, str], float] = defaultdict(float)
    for s in selections:
        sums[s.parents[1], s.role] += s.weight
    origin = {c.id: g for g in grouped for c in g.candidates}
    masses: defaultdict[tuple[str, str], float] = defaultdict(float)
    for (chosen, role), weight in sums.items():
        masses[origin[chosen].triple.id, role] += weight
    roles = {"posterior"} if rule is Rule.PAPER else {"generator"} if rule is Rule.FIXED or frozen else {"posterior", "generator"}
    assert dict(masses) == pytest.approx({(g.triple.id, role): g.mass for g in grouped for role in roles})
    if data == "one":
        assert len(selections) == len(grouped) * len(roles)
        assert len({s.parents[1] for s in selections}) == len(grouped)  # both roles see the same choice


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=5), st.integers(1, 60), st.integers(0, 9))
def test_one_per_seed_follows_the_weights_to_less_than_one_choice(log_w, n, seed):
    """Over n equal seeds; independent draws would miss by sqrt(n w (1 - w))."""
    em = Em(data="one", ess=0)
    selections = estep.select([group(f"t{i}", log_w) for i in range(n)], em, round=1, seed=seed)
    counts = Counter(s.rationale for s in selections if s.role == "generator")
    for i, weight in enumerate(estep.softmax(np.array(log_w))):
        assert abs(counts[f"z{i}"] - n * weight) < 1 + 1e-9


def test_every_round_and_seed_chooses_anew_and_repeats_itself():
    grouped = [group(f"t{i}", [0.0, 0.0, 0.0]) for i in range(20)]
    chosen = {(r, s): [x.id for x in estep.select(grouped, Em(), round=r, seed=s)] for r in (1, 2) for s in (0, 1)}
    assert len({tuple(ids) for ids in chosen.values()}) == 4
    assert [x.id for x in estep.select(grouped, Em(), round=2, seed=1)] == chosen[2, 1]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=15), st.integers(0, 3))
def test_shuffling_moves_every_group_and_out_of_its_family_where_that_is_possible(families, seed):
    grouped = [group(f"t{i}", [0.0], family=str(f)) for i, f in enumerate(families)]
    selections = estep.select(grouped, Em(rule=Rule.SHUFFLED), round=1, seed=seed)
    source = {c.id: g.triple for g in grouped for c in g.candidates}
    family = {g.triple.id: g.triple.family for g in grouped}
    moves = [(s.triple, source[s.parents[1]]) for s in selections if s.role == "generator"]
    assert sorted(target for target, _ in moves) == sorted(t.id for _, t in moves) == sorted(family)
    if len(grouped) > 1:
        assert all(target != origin.id for target, origin in moves)
    if max(Counter(families).values()) * 2 <= len(families):
        assert all(family[target] != origin.family for target, origin in moves)


class Counting(Role):
    """A role that notes how many texts it is asked to score."""

    @contextmanager
    def open(self, meter=None):
        with super().open(meter) as engine:
            yield self._noted(engine)

    def _noted(self, engine):
        score = engine.score

        def noted(requests):
            for reply in score(requests):
                ASKED.append(reply.id)
                yield reply

        engine.score = noted
        return engine


ASKED: list[str] = []


def test_equal_draws_are_scored_once_and_kept_each(tmp_path):
    pair, pool, place, em = toy.pair(tmp_path / "start"), toy.triples(), MemoryWorkplace(tmp_path / "work"), Em(candidates=8)
    counting = Counting(**{name: getattr(pair.generator, name) for name in pair.generator.__dataclass_fields__})
    draws = estep.draw(place, "draws", pair.posterior, pool, em, round=1, seed=0)
    ASKED.clear()
    candidates = estep.score(place, "candidates", counting, draws, pool, Reject(leak=1, overlap=1))
    assert len(ASKED) == len({(d.parents[0], d.ids) for d in draws.rows}) <= 2 * len(pool.rows)
    assert sorted(c.parents[0] for c in candidates.rows) == sorted(d.id for d in draws.rows)
    joint, by_id = np.log(toy.joint(pair.generator)), {t.id: t for t in pool.rows}
    for c in candidates.rows:
        z = int(c.rationale[1:])
        assert c.log_p_problem + c.log_p_rationale == pytest.approx(joint[*toy.cell(by_id[c.parents[1]]), z])
        assert c.log_q == pytest.approx(np.log(0.5))


def test_draws_differ_between_rounds_and_repeat_with_the_seed(tmp_path):
    pair, pool, place = toy.pair(tmp_path / "start"), toy.triples(), MemoryWorkplace(tmp_path / "work")

    def drawn(round, seed):
        table = estep.draw(place, "draws", pair.posterior, pool, Em(candidates=4), round=round, seed=seed)
        return [d.rationale for d in table.rows]

    assert drawn(1, 0) == drawn(1, 0)
    assert len({tuple(drawn(r, s)) for r in (1, 2) for s in (0, 1)}) == 4


@pytest.mark.parametrize("rule", [Rule.SNIS, Rule.SHUFFLED])
@pytest.mark.parametrize("sample", [Sample(temperature=0.7), Sample(temperature=0.0), Sample(top_p=0.95)])
def test_importance_weights_refuse_draws_that_are_not_from_q_itself(tmp_path, rule, sample):
    pair = toy.pair(tmp_path / "start")
    with pytest.raises(UsageError, match="draws from q itself"):
        estep.draw(MemoryWorkplace(tmp_path), "draws", pair.posterior, toy.triples(None), Em(rule=rule, sample=sample), round=1, seed=0)


def test_argmax_may_sample_at_any_temperature(tmp_path):
    pair, em = toy.pair(tmp_path / "start"), Em(rule=Rule.ARGMAX, candidates=2, sample=Sample(temperature=0.7))
    table = estep.draw(MemoryWorkplace(tmp_path), "draws", pair.posterior, toy.triples(None), em, round=1, seed=0)
    assert len(table.rows) == 24


PROBLEMS = {
    "fine": "Find the number of ways to tile a strip of ten squares with dominoes and single squares in two colors.",
    "leaks": "A baker fills twelve trays with nine rolls each and sells all but seventeen. How many are sold?",
    "breaks": "Show which of the numbers from one to a hundred have an odd number of positive divisors in all.",
    "endless": "Determine all pairs of positive integers whose sum is one more than half of their product.",
}


def scripted(folder, name, replies):
    (folder / name).mkdir(parents=True)
    script = {"replies": [{"contains": part, "text": text} for part, text in replies.items()], "default": ""}
    (folder / name / "script.json").write_text(json.dumps(script))
    return Role(name, folder / name, name, EngineSpec(kind="scripted"), TAGGED)


def test_leaky_unterminated_and_unparsable_rationales_weigh_nothing_and_their_seeds_sit_out(tmp_path):
    own = [replace(triple(name), problem=text) for name, text in PROBLEMS.items()]
    pool = Pool(tuple(own), "four")
    replies = {
        PROBLEMS["fine"]: TAGGED.render_rationale("Count by the last tile, so a recurrence is hidden."),
        PROBLEMS["leaks"]: TAGGED.render_rationale(f"I want to ask: {PROBLEMS['leaks']}"),
        PROBLEMS["breaks"]: "no tags",
        PROBLEMS["endless"]: TAGGED.render_rationale("word " * 200),
    }
    posterior, generator = scripted(tmp_path, "posterior", replies), scripted(tmp_path, "generator", {})
    place, em = MemoryWorkplace(tmp_path / "work"), Em(candidates=3, data="all", sample=Sample(max_tokens=300))
    draws = estep.draw(place, "draws", posterior, pool, em, round=1, seed=0)
    assert Counter(d.invalid for d in draws.rows) == {None: 6, Drop.UNPARSABLE: 3, Drop.TRUNCATED: 3}
    candidates = estep.score(place, "candidates", generator, draws, pool, em.reject)
    assert {(c.parents[1], c.rejected) for c in candidates.rows} == {(own[0].id, None), (own[1].id, Drop.LEAK)}
    selections = estep.select(estep.groups(candidates.rows, pool), em, round=1, seed=0)
    assert {s.triple for s in selections} == {own[0].id}
    assert sum(s.weight for s in selections if s.role == "generator") == pytest.approx(1)


def test_a_leaky_candidate_beside_a_clean_one_leaves_its_share_to_it():
    of = triple("t")
    rows = [candidate(of, 0, 9.0, rejected=Drop.LEAK), candidate(of, 1, 0.0), candidate(of, 2, -np.inf)]
    (only,) = estep.groups(rows, Pool((of,), "p"))
    assert [c.draw for c in only.candidates] == [1]
    assert [s.weight for s in estep.select([only], Em(), round=1, seed=0)] == [1.0, 1.0]
