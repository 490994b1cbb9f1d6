"""Gates stop a run for gross faults alone, and show what was written."""

import json
from typing import Any

import pytest

from promptcot.concept_use import ConceptUse
from promptcot.errors import Stopped
from promptcot.gates import check, measure
from promptcot.outcomes import Drop
from promptcot.recipe import Gates
from promptcot.records import Dropped, Problem, Triple, content_hash

TOPICS = {
    "tides": "The sea at the harbor rises and falls with the tides. How high does it stand {n} hours after noon?",
    "clocks": "The hands of two clocks drift apart by {n} minutes a day. After how many days do the clocks agree again?",
    "ribbons": "A tailor cuts {n} ribbons of equal length from a roll. How many meters of the roll are left over?",
}
TRAIN = [
    Triple(id=f"{topic}{n}", family=f"{topic}{n}", concepts=(topic,), level="AMC8", rationale="z", problem=text.format(n=n))
    for topic, text in TOPICS.items()
    for n in range(2, 6)
]


def written(*texts: str, concepts: tuple[str, ...] = ("tides",)) -> list[Problem]:
    common: dict[str, Any] = {"level": "AMC8", "rationale": "z", "draw": 0, "tokens": 9, "log_p": -9.0}
    return [Problem(id=f"p{n}", concepts=concepts, problem=text, content_hash=content_hash(text), **common) for n, text in enumerate(texts)]


def unparsed(count: int) -> list[Dropped]:
    raw = json.dumps({"concepts": ["tides"], "level": "AMC8", "completion": "I like trains."})
    return [Dropped(id=f"d{n}", reason=Drop.UNPARSABLE, detail="", content=raw) for n in range(count)]


def gates(problems, dropped=(), use=None, **limits):
    return {gate.name: gate for gate in measure(problems, list(dropped), TRAIN, use, Gates(**limits))}


def test_the_format_rate_is_over_all_completions():
    gate = gates(written("a", "b", "c"), unparsed(1))["format_rate"]
    assert (gate.value.value, gate.value.n) == (0.75, 4)


def test_a_gate_fails_only_when_its_whole_interval_is_on_the_wrong_side():
    assert not gates(written("a"), unparsed(3), format_rate=0.5)["format_rate"].failed  # 1 of 4: anything from 5 % to 70 %
    assert gates(written("a"), unparsed(40), format_rate=0.5)["format_rate"].failed
    assert not gates([], unparsed(3), format_rate=0.0)["format_rate"].failed


def test_copies_of_a_training_problem_are_counted():
    copy = TRAIN[0].problem
    assert gates(written(copy, "A new question about boats?"))["copy_rate"].value.value == 0.5
    shorter = " ".join(copy.split()[:12])
    assert gates(written(shorter))["copy_rate"].value.value == 0.0
    assert gates(written(*[copy] * 40))["copy_rate"].failed


def test_problems_that_ignore_their_concepts_are_counted():
    use = ConceptUse.fit(TRAIN)
    on, off = TOPICS["tides"].format(n=9), TOPICS["ribbons"].format(n=9)
    gate = gates(written(on, on, on, off), use=use)["concept_coverage"]
    assert gate.value.value == 0.75
    assert "concept_coverage" not in gates(written(on))


@pytest.mark.parametrize("length", [3, 300])
def test_problems_far_shorter_or_longer_than_the_seeds_fail(length):
    gate = gates(written(*[" ".join(["word"] * length)] * 5), length_ratio=0.3)["length_ratio"]
    assert gate.failed
    assert 0 < gate.value.value < 0.3


def test_a_passing_probe_says_nothing_and_a_failing_one_shows_examples():
    good = written(*(text.format(n=8) for text in TOPICS.values()))
    check(list(gates(good).values()), good, [])
    failing = list(gates(good, unparsed(80)).values())
    with pytest.raises(Stopped) as stopped:
        check(failing, good, unparsed(80))
    assert stopped.value.exit_code == 4
    assert "format_rate" in stopped.value.what
    assert "| I like trains." in stopped.value.what
    assert good[0].problem in stopped.value.what


def test_nothing_written_at_all_is_measured_too():
    found = gates([], unparsed(20))
    assert found["format_rate"].failed
    assert set(found) == {"format_rate", "copy_rate"}
