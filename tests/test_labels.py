"""Labels by vote: what agrees is labeled, what does not is dropped with its vote, and no draw is made that could not matter."""

import json

import pytest
from pydantic import ValidationError

from promptcot import labeling, labels
from promptcot.executors import MemoryWorkplace
from promptcot.models import fingerprint
from promptcot.outcomes import Drop, LabelKind
from promptcot.recipe import EngineSpec, Label, Sample
from promptcot.records import Problem
from promptcot.roles import Role
from promptcot.templates import TAGGED
from promptcot.verify.answers import Verifier
from tests.runs import script

SETTINGS = Label(votes=8, agree=5, sample=Sample(max_tokens=400))
REPLIES = [
    ("sure", r"Thinking. \boxed{\frac{1}{2}}"),
    ("torn", r"\boxed{{draw}}"),
    ("mute", "I cannot say."),
    ("endless", "so " * 400),
]


def problem(text: str) -> Problem:
    facts = {"domain": "math", "license": "CC0-1.0", "concepts": ("a",), "level": "easy", "rationale": "r", "content_hash": text}
    return Problem(id=text.ljust(32, "0"), problem=text, draw=0, tokens=1, log_p=-1.0, **facts)  # type: ignore[arg-type]


def voter(folder, license="Apache-2.0") -> Role:
    path = script(folder / "solver", *REPLIES, default="?")
    return Role("solver", path, fingerprint(path), EngineSpec(kind="scripted"), TAGGED, license)


def voted(folder, *texts, settings=SETTINGS, place=None):
    place = place or MemoryWorkplace()
    problems = labeling.chosen([problem(t) for t in texts], settings)
    way = labels.by_vote(place, problems, "d", voter(folder), settings, Verifier(), seed=0)
    return labeling.decided(place, problems, "d", {"math": way})


def test_what_agrees_is_labeled_and_the_rest_says_why_not(tmp_path):
    table = voted(tmp_path, "sure", "torn", "mute", "endless")
    [label] = table.rows
    assert (label.problem, label.kind, label.answer, label.status) == (problem("sure").id, LabelKind.VOTE, r"\frac{1}{2}", "agreed")
    assert (label.parents, label.license) == ((problem("sure").id,), "Apache-2.0")
    assert {drop.parents[0][:4]: drop.reason for drop in table.drops} == {
        "torn": Drop.TOO_FEW,
        "mute": Drop.NO_ANSWER,
        "endl": Drop.NO_ANSWER,
    }


def test_the_whole_vote_is_kept(tmp_path):
    table = voted(tmp_path, "sure", "torn")
    evidence = json.loads(table.rows[0].evidence)
    assert evidence["clusters"] == [{"answer": r"\frac{1}{2}", "draws": [0, 1, 2, 3, 4]}]
    assert [c["draws"] for c in json.loads(table.drops[0].content)["clusters"]] == [[n] for n in range(5)]


class Counting(MemoryWorkplace):
    """Remembers how many rows each step made."""

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[str, int] = {}

    def rows(self, spec, *args, **options):
        table = super().rows(spec, *args, **options)
        self.made[spec.name] = len(table.rows)
        return table


def test_no_draw_is_made_that_could_not_change_the_outcome(tmp_path):
    place = Counting()
    voted(tmp_path, "sure", "torn", "mute", place=place)
    assert place.made["label/first_draws"] == 3 * 5
    assert place.made["label/more_draws"] == 3  # nobody answered `mute` yet: all of the rest could
    assert voted(tmp_path, "torn", settings=SETTINGS.model_copy(update={"agree": 1, "votes": 3})).drops[0].reason == Drop.TOO_CLOSE


def test_rows_limits_the_problems_that_are_voted_on(tmp_path):
    table = voted(tmp_path, "sure 1", "sure 2", "sure 3", settings=SETTINGS.model_copy(update={"rows": 2}))
    assert [label.problem[:6] for label in table.rows] == ["sure 1", "sure 2"]


def test_more_agreement_than_votes_is_refused():
    with pytest.raises(ValidationError, match="nothing could ever be agreed on"):
        Label(votes=4, agree=5)
