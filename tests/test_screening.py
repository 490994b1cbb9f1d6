"""Screening: every reason by an example, the order of the sieves, and that neither rows nor order get lost or matter."""

import json
import random
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptcot.concept_use import ConceptUse
from promptcot.contamination import NgramIndex
from promptcot.outcomes import Drop
from promptcot.recipe import Screen
from promptcot.records import Problem, Triple, content_hash
from promptcot.screening import screen, touching_evaluations

TRAM = "A tram carries 48 people. At each stop a third of them get off and nobody gets on. How many people are left after two stops?"
POND = "A round pond has a radius of 6 m. A path 1 m wide runs around it. How many whole square metres does the path cover?"
CARDS = "Ines draws two cards from a stack numbered 1 to 9 without looking. What is the probability that their sum is odd?"
HELD = "A lighthouse keeper climbs 164 steps each evening and rests for 2 minutes after every 41 steps. How long does he rest in all?"
RULES = Screen()


def problem(id, text, rationale="The idea is a share taken twice.", concepts=("fractions",)):
    return Problem(
        id=id,
        parents=(f"set-{id}",),
        concepts=concepts,
        level="AMC8",
        rationale=rationale,
        problem=text,
        draw=0,
        tokens=1,
        log_p=-1.0,
        content_hash=content_hash(text),
    )


def seed(id, text, concepts=("fractions",)):
    return Triple(id=id, family=id, concepts=concepts, level="AMC8", rationale=None, problem=text)


def evaluation(rows):
    index = NgramIndex()
    index.add("held-out", [HELD])
    return touching_evaluations(rows, index, {"held-out": [HELD]})


def reasons(screened):
    return {row.id: (row.reason, row.detail) for row in screened.dropped}


CASES = {
    "empty": (problem("a", " \n"), Drop.EMPTY, "no problem text"),
    "copy of a seed": (problem("a", CARDS.upper().replace(" ", "\n")), Drop.EXACT_DUPLICATE, "seed s1"),
    "near a seed": (problem("a", CARDS.replace("Ines", "Yusuf")), Drop.NEAR_DUPLICATE, "seed s1, Jaccard 0."),
    "leak": (problem("a", TRAM, f"I ask this: {TRAM}"), Drop.LEAK, "1.00 of its 8-grams"),
    "contaminated": (problem("a", f"By the sea. {HELD} Tell."), Drop.CONTAMINATED, "held-out 0 (ngram): a lighthouse keeper climbs 164"),
    "incomplete": (problem("a", "A tram carries 48 people. How many of the"), Drop.INCOMPLETE, "`complete`"),
    "no task": (problem("a", "A tram carries 48 people along the river."), Drop.NO_TASK, "`states_task`"),
    "proof": (problem("a", "Let n be odd. Prove that its square is odd."), Drop.PROOF, "`not_a_proof`"),
}


@pytest.mark.parametrize("case", CASES)
def test_every_reason_is_given_with_what_it_rests_on(case):
    row, reason, words = CASES[case]
    screened = screen([row], [seed("s1", CARDS)], RULES, evaluation([row]))
    ((got, detail),) = reasons(screened).values()
    assert (got, screened.kept) == (reason, [])
    assert words in detail


def test_a_dropped_row_stays_readable_and_keeps_its_lineage():
    row = problem("a", "A tram carries 48 people along the river.")
    (dropped,) = screen([row], [], RULES).dropped
    assert (dropped.id, dropped.parents) == (row.id, row.parents)
    assert json.loads(dropped.content)["problem"] == row.problem


def test_good_problems_stay_in_their_order():
    rows = [problem("c", TRAM), problem("a", POND), problem("b", CARDS)]
    assert screen(rows, [seed("s1", HELD)], RULES).kept == rows
    assert screen([], [seed("s1", HELD)], RULES, evaluation([])).kept == []


def test_the_smallest_id_of_duplicates_stays():
    rows = [problem("b", TRAM.upper()), problem("a", TRAM), problem("c", TRAM.replace("tram", "bus")), problem("d", POND)]
    screened = screen(rows, [], RULES)
    assert [row.id for row in screened.kept] == ["a", "d"]
    assert reasons(screened)["b"] == (Drop.EXACT_DUPLICATE, "of a")
    assert reasons(screened)["c"] == (Drop.NEAR_DUPLICATE, "of a")


def test_an_earlier_sieve_speaks_first():
    row = problem("a", CARDS, rationale=CARDS)
    assert reasons(screen([row], [seed("s", CARDS)], RULES, evaluation([row])))["a"][0] == Drop.EXACT_DUPLICATE
    assert reasons(screen([row], [], RULES, evaluation([row])))["a"][0] == Drop.LEAK


def test_the_settings_decide():
    near = problem("a", CARDS.replace("Ines", "Yusuf"))
    assert screen([near], [seed("s", CARDS)], Screen(near_duplicate=1.0)).kept == [near]
    leaky = problem("a", TRAM, rationale=" ".join(TRAM.split()[:12]))
    assert screen([leaky], [], Screen(leak=0.2)).kept == []
    assert screen([leaky], [], Screen(leak=0.5)).kept == [leaky]


def test_a_problem_off_its_concepts_goes():
    lines = (resources.files("promptcot") / "starter" / "math.jsonl").read_text(encoding="utf-8").splitlines()
    use = ConceptUse.fit([seed(f"s{n}", r["problem"], tuple(r["concepts"])) for n, r in enumerate(map(json.loads, lines))])
    area, chance = ("area of circles", "circumference"), ("simple probability", "combinations")
    rows = [problem("on", POND, concepts=area), problem("off", POND.replace("6 m", "70 m").replace("1 m", "half a metre"), concepts=chance)]
    screened = screen(rows, [], Screen(near_duplicate=1.0), concept_use=use)
    assert [row.id for row in screened.kept] == ["on"]
    assert reasons(screened)["off"][0] == Drop.OFF_CONCEPT
    assert f"below {use.threshold:.2f}" in reasons(screened)["off"][1]


def test_screening_and_the_rule_agree_on_every_starter_problem():
    lines = (resources.files("promptcot") / "starter" / "math.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    use = ConceptUse.fit([seed(f"s{n}", r["problem"], tuple(r["concepts"])) for n, r in enumerate(found)])
    rows = [problem(f"{n:03d}", r["problem"], concepts=tuple(found[n - 40]["concepts"])) for n, r in enumerate(found)]
    screened = screen(rows, [], RULES, concept_use=use)
    assert [r.id for r in screened.kept] == [r.id for r, uses in zip(rows, use.uses(rows), strict=True) if uses]
    assert screened.dropped


BASES = [TRAM, POND, CARDS, HELD, "Prove that 3 is odd.", "", "A tale without end"]
edits = st.tuples(st.sampled_from(BASES), st.sampled_from(["", " ", "UPPER", "tail", "swap"]))


def edited(base, edit):
    match edit:
        case "UPPER":
            return base.upper()
        case "tail":
            return f"{base} Give a whole number."
        case "swap":
            return base.replace("A ", "One ", 1)
        case _:
            return base + edit


@given(st.lists(edits, max_size=14), st.integers(0, 99))
@settings(max_examples=60)
def test_no_row_is_lost_and_order_does_not_matter(chosen, shuffle):
    rows = [problem(f"{i:02d}", edited(*pair), rationale=TRAM if i % 5 == 0 else "A plan.") for i, pair in enumerate(chosen)]
    seeds = [seed("s2", CARDS), seed("s1", CARDS.lower()), seed("s3", POND)]
    once = screen(rows, seeds, RULES, evaluation(rows))
    assert sorted(r.id for r in [*once.kept, *once.dropped]) == [r.id for r in rows]
    mixed, mixed_seeds = rows[:], seeds[:]
    random.Random(shuffle).shuffle(mixed)
    random.Random(shuffle).shuffle(mixed_seeds)
    again = screen(mixed, mixed_seeds, RULES, evaluation(mixed))
    assert {r.id for r in again.kept} == {r.id for r in once.kept}
    assert reasons(again) == reasons(once)


@given(st.lists(edits, max_size=14))
@settings(max_examples=30)
def test_what_stays_is_clean_and_stays_again(chosen):
    rows = [problem(f"{i:02d}", edited(*pair)) for i, pair in enumerate(chosen)]
    kept = screen(rows, [seed("s", POND)], RULES, evaluation(rows)).kept
    assert screen(kept, [seed("s", POND)], RULES, evaluation(kept)).kept == kept
    assert len({r.problem.lower() for r in kept}) == len(kept)


def test_a_problem_that_names_no_concepts_ignores_none():
    use = ConceptUse.fit([seed(f"s{n}", text) for n, text in enumerate((TRAM, POND, CARDS, HELD))])
    assert [row.id for row in screen([problem("a", "What is 3 + 4?", concepts=())], [], RULES, concept_use=use).kept] == ["a"]
