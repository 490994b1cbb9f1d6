"""A judge's reply is read strictly or counted as unusable; what it grades too low is dropped; what it says nothing of stays."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcot.outcomes import Drop
from promptcot.records import Judgment
from promptcot.screening import judged
from promptcot.templates_annotation import Unusable
from promptcot.templates_judging import CRITERIA, GRADES, faults, judging_prompt, parse_judgment
from tests.test_screening import POND, TRAM, problem

FINE = dict.fromkeys(CRITERIA, "perfect")


def reply(grades, before="It can be solved: the answer is 21.\n"):
    return f"{before}```json\n{json.dumps(grades)}\n```"


grades = st.fixed_dictionaries({name: st.sampled_from(GRADES) for name in CRITERIA})


@given(grades, st.permutations(list(CRITERIA)))
def test_any_judgment_comes_back_whatever_the_order_of_its_criteria(given_grades, order):
    assert parse_judgment(reply({name: given_grades[name] for name in order})) == given_grades


def test_the_last_block_after_the_reasoning_counts():
    worse = {**FINE, "solvability": "bad"}
    assert parse_judgment(f"<think>{reply(FINE)}</think>\n{reply(FINE)}\nNo, wait.\n{reply(worse)}") == worse


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("<think>all fine</think>", "empty"),
        ("All five are perfect.", "no closed code fence"),
        ("```json\n{", "no closed code fence"),
        (reply({**FINE, "style": "perfect"}), "once"),
        (reply({k: v for k, v in FINE.items() if k != "solvability"}), "once"),
        (reply({**FINE, "solvability": "good"}), "no grade (solvability: good)"),
        (reply({**FINE, "solvability": "Perfect"}), "no grade"),
        (reply({**FINE, "solvability": 5}), "no grade"),
        (reply({**FINE, "solvability": ["perfect"]}), "no grade"),
        (reply(list(FINE)), "not an object"),
        ('```json\n{"format": "perfect", "format": "bad"}\n```', "once"),
        ("```json\n{'format': 'perfect'}\n```", "not JSON"),
        (f"```json\n{'[' * 3000}\n```", "not JSON"),
        (f"```json\n{' ' * 5000}\n```", "a judgment of 5001 characters"),
    ],
)
def test_what_is_no_judgment_is_unusable_and_says_why(text, why):
    found = parse_judgment(text)
    assert isinstance(found, Unusable)
    assert why in found.why


@given(st.text(max_size=200))
def test_no_text_makes_the_parser_fail(text):
    assert isinstance(parse_judgment(text), dict | Unusable)
    assert isinstance(parse_judgment(f"```json\n{text}\n```"), dict | Unusable)


def test_the_prompt_holds_what_a_judge_must_know_and_its_example_is_readable():
    text = judging_prompt("math", TRAM, ("fractions", "division"), "AMC8")
    assert all(part in text for part in (TRAM, "1. fractions\n2. division", "Difficulty Level: AMC8", *CRITERIA, *GRADES))
    assert parse_judgment(text) == dict.fromkeys(CRITERIA, "acceptable")


def judgment(problem_id, **grades_given):
    return Judgment(id=f"j-{problem_id}", problem=problem_id, **{**FINE, **grades_given})


def test_a_problem_goes_for_one_criterion_below_the_wanted_grade_and_stays_unjudged():
    rows = [problem("a", TRAM), problem("b", POND), problem("c", "What is 3 + 4?")]
    said = [judgment("a", difficulty="acceptable"), judgment("b", solvability="bad", format="bad")]
    loose, strict = judged(rows, said, "acceptable"), judged(rows, said, "perfect")
    assert [p.id for p in loose.kept] == ["a", "c"]
    assert [(d.id, d.reason, d.detail) for d in loose.dropped] == [("b", Drop.JUDGED, "below `acceptable`: format: bad, solvability: bad")]
    assert [p.id for p in strict.kept] == ["c"]
    assert json.loads(loose.dropped[0].content)["problem"] == POND


@given(grades)
def test_faults_are_the_grades_below_the_bar(given_grades):
    row = Judgment(id="j", problem="p", **given_grades)
    assert len(faults(row, "perfect")) == sum(g != "perfect" for g in given_grades.values())
    assert len(faults(row, "acceptable")) == sum(g == "bad" for g in given_grades.values())
    assert faults(row, "bad") == []
