"""Concept use, learned from a small set of human-like problems: own concepts pass, foreign ones pass clearly less often."""

import json
from dataclasses import dataclass
from importlib import resources

import numpy as np
import pytest

from promptcot.concept_use import ConceptUse, EmbeddingTable, WordingEmbedder, features, name_stems
from promptcot.errors import UsageError
from promptcot.intervals import wilson


@dataclass(frozen=True)
class Row:
    concepts: tuple[str, ...]
    problem: str
    family: str = ""


SENTENCES = {
    "percentages": ["A shop takes {}% off a coat of 80 euros.", "In a poll {}% of the voters chose Ada.", "The price rose by {}% in May."],
    "area of circles": [
        "A round pond has a radius of {} m.",
        "A round rug has a diameter of {} cm.",
        "What part of the disc of radius {} is red?",
    ],
    "prime factorization": ["Write {} as a product of primes.", "Which primes divide {}?", "What is the largest prime factor of {}?"],
    "elapsed time": [
        "The train leaves at 9:{} and needs an hour.",
        "A film lasts {} minutes from noon on.",
        "School ends {} minutes past 3 o'clock.",
    ],
}
ROWS = [Row((c,), s.format(n), f"{c} {n}") for c, sentences in SENTENCES.items() for s in sentences for n in range(11, 16)]


def shuffled(rows):
    names = list(SENTENCES)
    return [Row((names[(names.index(r.concepts[0]) + 1 + i % 3) % 4],), r.problem) for i, r in enumerate(rows)]


@pytest.mark.parametrize("part", range(5))
def test_own_concepts_pass_and_foreign_ones_fail_on_numbers_never_seen(part):
    held = [r for r in ROWS if r.family.endswith(str(11 + part))]
    rule = ConceptUse.fit([r for r in ROWS if r not in held], keep=0.95)
    assert sum(rule.uses(held)) >= 0.9 * len(held)
    assert sum(rule.uses(shuffled(held))) <= 0.2 * len(held)


def test_starter_problems_use_their_own_concepts_and_clearly_less_often_foreign_ones():
    """Held out by family, by wording alone: at least 85 % pass with their own, and the Wilson intervals lie apart."""
    lines = (resources.files("promptcot") / "starter" / "math.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [Row(tuple(r["concepts"]), r["problem"], r["family"]) for r in map(json.loads, lines)]
    families = sorted({r.family for r in rows})
    own, foreign = [], []
    for k in range(3):
        held = [r for r in rows if families.index(r.family) % 3 == k]
        rule = ConceptUse.fit([r for r in rows if r not in held], sorted({c for r in rows for c in r.concepts}))
        own += rule.uses(held)
        foreign += rule.uses([Row(held[i].concepts, r.problem) for r, i in zip(held, swapped(held), strict=True)])
    assert sum(own) >= 0.85 * len(own)
    assert wilson(sum(foreign), len(foreign)).high < wilson(sum(own), len(own)).low


def swapped(rows):
    rng = np.random.default_rng(0)
    return [rng.choice([i for i, o in enumerate(rows) if not set(o.concepts) & set(r.concepts)]) for r in rows]


def test_one_used_concept_of_several_is_enough():
    rule = ConceptUse.fit(ROWS)
    best = max(rule.evidence([Row((c,), ROWS[0].problem)])[0] for c in SENTENCES)
    assert rule.evidence([Row(tuple(SENTENCES), ROWS[0].problem)]) == [best]
    assert rule.uses([Row(tuple(SENTENCES), ROWS[0].problem)]) == [True]


def test_about_the_wanted_share_passes():
    strict, loose = (ConceptUse.fit(ROWS, keep=k) for k in (0.3, 1.0))
    assert strict.threshold > loose.threshold
    assert all(loose.uses(ROWS))


def test_an_embedder_decides_by_meaning():
    rng = np.random.default_rng(0)
    topic = {c: rng.normal(size=16).astype(np.float32) for c in SENTENCES}
    table = EmbeddingTable(
        topic | {r.problem: topic[r.concepts[0]] + rng.normal(size=16).astype(np.float32) * np.float32(0.3) for r in ROWS}
    )
    rule = ConceptUse.fit(ROWS, embedder=table)
    assert sum(rule.uses(ROWS)) >= 0.85 * len(ROWS)
    assert not any(rule.uses(shuffled(ROWS)))


def test_a_concept_of_no_training_problem_has_its_name():
    rule = ConceptUse.fit(ROWS, ["rounding"])
    near, far = rule.evidence([Row(("rounding",), "Round 3.7 to a whole number."), Row(("rounding",), "A film lasts 12 minutes.")])
    assert near > far


def test_the_order_of_the_training_problems_changes_nothing():
    once, again = ConceptUse.fit(ROWS), ConceptUse.fit(ROWS[::-1])
    assert once.threshold == pytest.approx(again.threshold, abs=1e-4)
    assert once.evidence(ROWS) == pytest.approx(again.evidence(ROWS), abs=1e-4)


def test_no_rows_no_verdicts():
    assert ConceptUse.fit(ROWS).uses([]) == []


def test_one_family_alone_calibrates_nothing_and_all_pass():
    rule = ConceptUse.fit([Row(("a",), "One two.", "f"), Row(("b",), "Three four.", "f")])
    assert rule.uses([Row(("b",), "five"), Row((), "six")]) == [True, True]


def test_what_is_missing_is_named():
    with pytest.raises(UsageError, match="no annotated problem"):
        ConceptUse.fit([])
    with pytest.raises(UsageError, match="`spheres` has no anchor"):
        ConceptUse.fit(ROWS).uses([Row(("spheres",), "x")])
    with pytest.raises(UsageError, match="no embedding for `percent"):
        EmbeddingTable({}).embed(["percentages"])


def test_stems_meet_across_endings():
    assert name_stems("percentages") & features("What percentage is it?")
    assert name_stems("Permutations") & features("each permutation of the letters")
    assert not name_stems("number of the day") & features("the number of apples")


def test_wording_vectors_are_unit_or_zero():
    vectors = WordingEmbedder.fit([r.problem for r in ROWS]).embed([ROWS[0].problem, "zzz"])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 0])
