"""The real-model tier of the EM study, on exact tables: arms share their start, the shared proposal bounds log p, tables are printed."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from benchmarks.em_study import held_out, reading, real, real_tables
from benchmarks.em_study.arms import PROPOSERS, Bench
from benchmarks.em_study.corpus import Corpus

from promptcot.executors import LocalWorkplace
from promptcot.recipe import ColdStart, Em, Fit, Input, Inputs, Recipe, Reject
from promptcot.store import Run
from promptcot.triples import Pool
from promptcot.words import words
from tests import toy

ARMS = ("cold", "continued", "fixed", "uniform", "argmax", "paper", "snis", "shuffled")
PLAN = real.Plan(ARMS, ("starter", "champ"), PROPOSERS, "results", rounds=2, train=48, test=12, champ=0, each=6, prior=2, written=0)


def corpus():
    rows = toy.triples(1).rows
    learned = tuple(replace(t, split="train", family=t.id, rationale=f"z{i % 2}" if i % 4 == 0 else None) for i, t in enumerate(rows))
    test = toy.renamed(toy.triples(None), "test")
    annotated = Pool(tuple(t for t in learned if t.rationale), "annotated")
    return Corpus(Pool(learned, "train"), annotated, {"starter": test, "champ": Pool((), "champ")}, learned)


def recipe():
    em = Em(candidates=4, check=0, fit=Fit(replay=0.25), reject=Reject(leak=1.0, overlap=1.0))
    return Recipe(schema_=1, name="study", inputs=Inputs(seeds=[Input(path="none")]), cold_start=ColdStart(), em=em)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    run = Run.create(folder / "seed-0", {})
    with run.writing():
        yield Bench(LocalWorkplace(run), recipe(), corpus(), 0, toy.pair(folder / "base"))


@pytest.fixture(scope="module")
def walks(bench):
    return {arm: bench.walk(arm, 2) for arm in ARMS}


def test_all_arms_start_alike_and_share_the_first_rounds_candidates(bench, walks):
    assert len({walk.rounds[0].generator.digest + walk.rounds[0].posterior.digest for walk in walks.values()}) == 1
    drawn = {tuple(c.id for c in walk.trained[0].candidates) for walk in walks.values() if walk.trained}
    assert len(drawn) == 1
    assert len({c.log_p_problem for c in walks["snis"].trained[0].candidates}) > 1


def test_fixed_keeps_q_and_its_first_choice(walks):
    fixed = walks["fixed"]
    assert {pair.posterior.fingerprint for pair in fixed.rounds} == {fixed.rounds[0].posterior.fingerprint}
    assert fixed.trained[0].selections == fixed.trained[1].selections
    assert len({pair.posterior.fingerprint for pair in walks["snis"].rounds}) > 1


def test_continued_training_takes_the_steps_of_the_other_arms_on_annotated_rows_alone(bench, walks):
    ours, others = ({row["arm"]: row for row in real.trained_rows(bench, walks[arm])}[arm] for arm in ("continued", "snis"))
    assert ours["steps"] == others["steps"]


def test_the_shared_proposal_bounds_log_p_and_tightens_with_k(bench, walks):
    pool = bench.corpus.held_out["starter"]
    posteriors = held_out.posteriors_of([walks["cold"].rounds[0], *(walks[arm].rounds[-1] for arm in PROPOSERS)])
    shared = held_out.proposal(bench.place, posteriors, pool, each=32, max_tokens=8, seed=0)
    generator = walks["snis"].rounds[-1].generator
    found = held_out.readings(bench.place, pool, generator, shared, prior=256, max_tokens=8, seed=0)
    exact = {t.id: np.log(toy.x_given_c(generator)[toy.cell(t)]) for t in pool.rows}
    rows = [{"arm": "snis", "seed": 0, "readings": [asdict(reading) for reading in found]}]
    truth = np.mean([exact[reading.problem] for reading in found]) / 2  # |x| is 2 tokens with its terminator
    one, many = (real_tables.arm_estimate(rows, "snis", real_tables.bound(k)).value for k in (1, 64))
    assert one < many
    assert many == pytest.approx(truth, abs=0.01)
    assert real_tables.arm_estimate(rows, "snis", real_tables.prior_bound).value == pytest.approx(truth, abs=0.03)


def test_the_study_writes_its_tables(bench, walks, tmp_path):
    rows = real.held_out_rows(bench, "starter", walks, PLAN)
    assert real.held_out_rows(bench, "champ", walks, PLAN) == []
    real.keep(tmp_path, "starter", 0, rows)
    real.keep(tmp_path, "trained", 0, [row for walk in walks.values() for row in real.trained_rows(bench, walk)])
    text = "\n".join(real_tables.section(tmp_path, ["uniform", "shuffled"]))
    assert "| arm minus | uniform | shuffled |" in text
    assert f"IWAE-{real_tables.largest_k(rows)}" in text
    assert text.count("| snis |") == 6  # bound, difference, curve, probe and two rounds


def test_an_arm_minus_itself_is_nothing(bench, walks):
    rows = real.held_out_rows(bench, "starter", walks, PLAN)
    same = real_tables.arm_estimate(rows, "snis", real_tables.bound(real_tables.largest_k(rows)), "snis")
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_copied_runs_are_the_longest_shared_ones():
    from benchmarks.em_study.written import Runs

    known = tuple(replace(t, problem="a train leaves at nine with forty guests") for t in toy.triples(None).rows[:1])
    assert Runs(known).longest("Two boats leave; a train leaves at nine, with fifty guests") == len(words("a train leaves at nine with"))
    assert Runs(known).longest("nothing of that kind") == 0


def test_distinct_counts_grams_once():
    assert real_tables.distinct(["a b a b", "a b"], 2) == pytest.approx(2 / 4)


def test_a_sheet_names_no_arm_and_its_verdicts_find_their_way_back(tmp_path):
    rows = [
        {"seed": 0, "arm": arm, "concepts": [f"c{n}"], "level": "easy", "parsed": n != 3, "problem": f"How many {arm} of {n}?"}
        for arm in ("snis", "cold")
        for n in range(5)
    ]
    (tmp_path / "results").mkdir()
    real.keep(tmp_path / "results", "written", 0, rows)
    reading.main(["sheet", str(tmp_path), "--out", str(tmp_path / "sheet.jsonl"), "--each", "4"])
    lines = [json.loads(line) for line in (tmp_path / "sheet.jsonl").read_text().splitlines()]
    assert len(lines) == 6
    assert all(set(line) == {"id", "concepts", "problem"} for line in lines)
    verdicts = [{"id": line["id"], "well_formed": True, "on_concept": "snis" in line["problem"], "solvable": False} for line in lines]
    (tmp_path / "verdicts.jsonl").write_text("".join(json.dumps(v) + "\n" for v in verdicts))
    cold, snis = reading.table(reading.chosen(rows, 4), reading.read(tmp_path / "verdicts.jsonl"))[2:]
    assert cold.startswith("| cold | 4 | 0.75 [")
    assert "| 0.00 [" in cold
    assert snis.count("| 0.75 [") == 2
