"""The starter corpus: every answer is computed again by its program, and the rows are fit to learn from."""

import contextlib
import io
import json
from collections import Counter, defaultdict
from fractions import Fraction

import pytest

from promptcot.duplicates import clusters
from promptcot.errors import UsageError
from promptcot.leak import containment, overlap
from promptcot.recipe import Input
from promptcot.seeds import read_seeds
from promptcot.starter import DOMAINS, LICENSE, corpus
from promptcot.wellposed import complete, loops, not_a_proof, states_task
from promptcot.words import words

ROWS = {domain: [json.loads(line) for line in corpus(domain).read_text(encoding="utf-8").splitlines()] for domain in DOMAINS}
ALL = [row for rows in ROWS.values() for row in rows]


def run(program: str, given: str = "") -> str:
    """What one of our own programs prints for an input. Trusted: it is part of this repository."""
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        patch.setattr("sys.stdin", io.StringIO(given))
        exec(compile(program, "program", "exec"), {"__name__": "__main__"})
    return out.getvalue().strip()


@pytest.mark.parametrize("row", ROWS["math"], ids=lambda row: row["key"])
def test_an_answer_is_what_its_program_prints(row):
    assert Fraction(run(row["program"])) == Fraction(row["answer"])


@pytest.mark.parametrize("row", ROWS["code"], ids=lambda row: row["key"])
def test_the_reference_program_passes_every_test(row):
    assert len(row["tests"]) >= 4
    assert len({test["input"] for test in row["tests"]}) == len(row["tests"])
    for test in row["tests"]:
        assert run(row["program"], test["input"]).split() == test["output"].split(), test["input"]


@pytest.mark.parametrize("row", ROWS["code"], ids=lambda row: row["key"])
def test_tests_tell_programs_apart(row):
    """Printing one constant never passes."""
    assert len({test["output"] for test in row["tests"]}) > 1


def test_there_is_enough_to_start_from():
    assert len(ROWS["math"]) >= 200
    assert len(ROWS["code"]) >= 40
    assert len({concept for row in ROWS["math"] for concept in row["concepts"]}) >= 60
    assert len({row["key"] for row in ALL}) == len(ALL)
    assert LICENSE == "Apache-2.0"


@pytest.mark.parametrize("row", ALL, ids=lambda row: row["key"])
def test_a_row_is_fit_to_learn_from(row):
    assert 30 <= len(row["rationale"].split()) <= 60
    assert 2 <= len(row["concepts"]) == len(set(row["concepts"]))
    assert row["level"]
    problem = row["problem"]
    assert complete(problem)
    assert states_task(problem)
    assert not_a_proof(problem)
    assert not loops(problem)


@pytest.mark.parametrize("row", ALL, ids=lambda row: row["key"])
def test_a_rationale_does_not_repeat_its_problem(row):
    rationale, problem = words(row["rationale"]), words(row["problem"])
    grams = {tuple(problem[i : i + 5]) for i in range(len(problem) - 4)}
    assert not [rationale[i : i + 5] for i in range(len(rationale) - 4) if tuple(rationale[i : i + 5]) in grams]
    assert containment(row["problem"], row["rationale"]) == 0
    assert overlap(row["problem"], row["rationale"]) < 0.5


def test_no_two_problems_are_near_duplicates():
    representatives = clusters([row["problem"] for row in ALL], threshold=0.7)
    assert representatives == list(range(len(ALL)))


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_family_lies_in_one_split_and_splits_are_60_20_20(domain):
    splits = defaultdict(set)
    for row in ROWS[domain]:
        splits[row["family"]].add(row["split"])
    assert all(len(found) == 1 for found in splits.values())
    shares = Counter(row["split"] for row in ROWS[domain])
    assert {split: round(n / len(ROWS[domain]), 1) for split, n in shares.items()} == {"train": 0.6, "dev": 0.2, "test": 0.2}


def test_most_training_concepts_are_met_more_than_once():
    """The concept sampler learns from what occurs together."""
    counts = Counter(concept for row in ROWS["math"] if row["split"] == "train" for concept in row["concepts"])
    assert sum(n > 1 for n in counts.values()) / len(counts) > 0.7


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_reader_takes_every_row_as_it_is(domain):
    reading = read_seeds([Input(path="builtin:starter")], domain=domain, seed=0)
    assert not reading.dropped
    assert Counter((row.problem, row.split, row.family) for row in reading.rows) == Counter(
        (row["problem"], row["split"], row["family"]) for row in ROWS[domain]
    )
    assert {row.license for row in reading.rows} == {LICENSE}


def test_an_unknown_domain_is_refused():
    with pytest.raises(UsageError, match="no domain `physics`"):
        corpus("physics")
