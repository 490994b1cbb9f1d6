"""The middle tier's truth is the truth, its enumeration is exact, and a study killed and started again reads the same numbers."""

import json
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from benchmarks.em_study import middle, middle_arms, middle_measures, middle_models, middle_tables
from benchmarks.em_study.middle_arms import Arm, Size
from benchmarks.em_study.middle_language import LENGTH, WORDS, Language, read
from benchmarks.em_study.middle_models import log_sum_exp

from promptcot.engines.protocol import SampleRequest, Sampling, ScoreRequest
from promptcot.recipe import Rule

TINY = Size(annotated=16, train=32, dev=3, rounds=2, candidates=4, epochs=1, cold_epochs=40, lr=1e-2, width=16, layers=1)


@pytest.mark.parametrize("knob", [0.0, 0.8])
def test_the_language_is_a_law(knob):
    language = Language.drawn(1, knob)
    for concepts in product(range(6), range(6)):
        assert np.exp(language.log_prior(concepts)).sum() == pytest.approx(1)
        assert np.exp(language.log_emission(concepts)).sum(axis=-1) == pytest.approx(np.ones((len(language.texts), LENGTH)))


def test_the_exact_likelihood_sums_to_one_over_problems():
    """With all other places summed out, log p* of two places is a law over their 64 outcomes: the mixture over z, not its best term."""
    language = Language.drawn(2, 0.8)
    law, prior = np.exp(language.log_emission((1, 2))), np.exp(language.log_prior((1, 2)))
    pairs = np.einsum("z,zv,zw->vw", prior, law[:, 3], law[:, 9])
    assert pairs.sum() == pytest.approx(1)
    words = tuple(int(w) for w in np.arange(LENGTH) % WORDS)
    by_hand = sum(prior[z] * np.prod([law[z, t, w] for t, w in enumerate(words)]) for z in range(len(prior)))
    assert log_sum_exp(language.log_joint((1, 2), words)) == pytest.approx(np.log(by_hand))


def test_at_knob_zero_the_posterior_is_the_prior():
    language = Language.drawn(3, 0.0)
    for triple in language.triples(5, "dev"):
        concepts, words = read(triple)
        joint = language.log_joint(concepts, words)
        assert joint - log_sum_exp(joint) == pytest.approx(language.log_prior(concepts))


def test_words_follow_the_law_they_are_drawn_from():
    language = Language.drawn(4, 0.8)
    rows = language.triples(400, "train", annotated=400)
    nats = [language.log_joint(*read(t))[language.texts.index(t.rationale or "")] for t in rows]
    laws = [(np.exp(language.log_prior(c)), np.exp(language.log_emission(c))) for c in (read(t)[0] for t in rows)]
    expected = [float(np.sum(p * (np.log(p) + (law * np.log(law)).sum(axis=(1, 2))))) for p, law in laws]
    assert abs(np.mean(nats) - np.mean(expected)) < 4 * np.std(nats) / np.sqrt(len(rows))


def test_enumeration_is_what_the_engine_samples_from(tmp_path: Path):
    """log q of a text, scored alone, is the enumerated one; so is that of every draw that is a rationale of the language."""
    language = Language.drawn(0, 0.8)
    (triple,) = language.triples(1, "dev")
    role = middle_models.role("posterior", middle_models.save_base(tmp_path / "q", seed=0, width=16, layers=1), TINY.spec)
    enumerated = dict(zip(language.texts, middle_models.log_q(role, [triple], language.texts)[0], strict=True))
    with role.open() as engine:
        segmenter = role.segmenter(engine)
        ids = segmenter.rationale("s1 d2 e0 .")
        (scored,) = engine.score([ScoreRequest("r", segmenter.posterior(triple, ids))])
        request = SampleRequest("r", segmenter.posterior_prefix(triple), tuple(range(64)))
        (sampled,) = engine.sample([request], Sampling(max_tokens=8), 0)
    assert scored.log_p[0] == pytest.approx(enumerated["s1 d2 e0 ."], abs=1e-5)
    known = [c for c in sampled.completions if c.text in enumerated]
    assert all(c.log_p == pytest.approx(enumerated[c.text], abs=1e-4) for c in known)


def test_a_nested_interval_counts_seeds_as_drawn():
    rng = np.random.default_rng(0)
    problems, seeds = rng.normal(size=(8, 50)), np.repeat(rng.normal(size=(8, 1)), 50, axis=1)
    within, between = middle_tables.nested(problems), middle_tables.nested(seeds)
    assert within.high - within.low < 0.4 < between.high - between.low
    assert middle_tables.nested(np.full((4, 3), 0.25)).low == pytest.approx(0.25)


@pytest.mark.slow
def test_the_study_resumes_to_the_same_numbers_and_all_arms_take_the_same_steps(tmp_path: Path):
    arms = (middle.BY_NAME["snis"], middle.BY_NAME["no_rationale"], middle_arms.CONTINUED, Arm("frozen, tempered", kind="tempered_frozen"))
    parts = (middle.Part("decides", 0.8, 9, arms, bounds=True),)
    first, again = (list(middle.run(tmp_path, parts, range(1), TINY, 1)) for _ in range(2))
    for result in (*first, *again):
        assert result.pop("seconds") > 0
    as_text = partial(json.dumps, sort_keys=True)  # NaN equals NaN then, and what was read back comes in another order
    assert as_text(first) == as_text(again)
    assert {arm["effort"]["steps"] for arm in first[0]["arms"].values()} == {4}
    assert first[0]["arms"]["frozen, tempered"]["p"]["2"] != first[0]["arms"]["snis"]["p"]["2"]


def test_the_measures_of_the_language_itself_leave_no_gap(tmp_path: Path):
    s = middle_arms.start(tmp_path, 0.8, 0, TINY)
    truth = middle_measures.truth(s)
    assert all(0 <= share <= 1 for share in truth["short"])
    assert all(value < 0 for value in truth["log_p"])
    assert Rule.NO_RATIONALE in {arm.change.get("rule") for arm in middle.PARTS[0].arms}
