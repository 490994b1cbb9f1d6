"""Votes: the table is what was counted, the outcome does not depend on order, and stopping early loses nothing."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcot.outcomes import Equality
from promptcot.verify.answers import Verifier
from promptcot.verify.calibration import Judged, calibrate, precision_at
from promptcot.verify.votes import Poll, Rule, VoteStatus, vote

ANSWERS = [r"\boxed{\frac{1}{2}}", r"\boxed{0.5}", r"so \boxed{1/2}", r"\boxed{2}", r"the answer is \boxed{x=2}", "no idea", r"\boxed{3}"]
MEANT = ["half", "half", "half", "two", "two", None, "three"]
draws = st.lists(st.integers(0, len(ANSWERS) - 1), min_size=1, max_size=12)
rules = st.builds(Rule, agree=st.integers(1, 8), margin=st.integers(1, 4))


@given(draws, rules)
def test_a_vote_counts_meanings_not_spellings(picks, rule):
    found = vote([ANSWERS[p] for p in picks], rule)
    counted = sorted((sum(MEANT[p] == m for p in picks) for m in {MEANT[p] for p in picks} - {None}), reverse=True)
    assert [len(c.draws) for c in found.clusters] == counted
    assert sorted([*(d for c in found.clusters for d in c.draws), *found.silent]) == list(range(len(picks)))
    assert (found.answer is not None) == (found.status is VoteStatus.AGREED)


@given(draws, rules, st.randoms())
def test_the_order_of_counting_does_not_matter(picks, rule, chance):
    poll, order = Poll(Verifier(), rule, len(picks)), list(range(len(picks)))
    chance.shuffle(order)
    for draw in order:
        poll.add(draw, ANSWERS[picks[draw]])
    assert poll.vote() == vote([ANSWERS[p] for p in picks], rule)


@given(draws, rules)
def test_a_settled_vote_ends_like_the_whole_one(picks, rule):
    poll = Poll(Verifier(), rule, len(picks))
    for draw, pick in enumerate(picks):
        poll.add(draw, ANSWERS[pick])
        if poll.settled():
            break
    early, whole = poll.vote(), vote([ANSWERS[p] for p in picks], rule)
    verifier = Verifier()
    assert (early.status is VoteStatus.AGREED) == (whole.status is VoteStatus.AGREED)
    assert whole.answer is None or verifier.equal(whole.answer, early.answer or "") is Equality.EQUAL


def test_agreement_is_seen_before_the_last_draw():
    poll = Poll(Verifier(), Rule(agree=5, margin=1), 8)
    for draw in range(5):
        assert not poll.settled()
        poll.add(draw, r"\boxed{7}")
    assert poll.settled()


def test_what_gives_no_answer_never_wins():
    found = vote(["hm"] * 7 + [r"\boxed{3}"], Rule(agree=2))
    assert (found.status, found.answer, found.sizes) == (VoteStatus.TOO_FEW, None, (1, 0))
    assert vote(["hm"] * 3).status is VoteStatus.NO_ANSWER
    assert vote([r"\boxed{1}", r"\boxed{2}"] * 4, Rule(agree=4, margin=1)).status is VoteStatus.TOO_CLOSE


def test_a_draw_counts_once():
    poll = Poll(Verifier(), Rule(), 2)
    poll.add(0, r"\boxed{1}")
    with pytest.raises(ValueError, match="draw 0"):
        poll.add(0, r"\boxed{1}")


class Same:
    """Algebra that takes every two texts for the same: an oracle, to see when it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def equal(self, a: str, b: str) -> Equality:
        self.asked.append((a, b))
        return Equality.EQUAL


def test_algebra_joins_what_has_no_canonical_form_and_is_asked_about_nothing_else():
    algebra = Same()
    texts = [r"\boxed{\int_0^1 x dx}"] * 3 + [r"\boxed{1/2}"] * 2 + [r"\boxed{7}"]
    found = vote(texts, Rule(agree=5), Verifier(algebra=algebra))
    assert found.answer == "1/2"
    assert len(algebra.asked) <= 2
    vote([r"\boxed{1}", r"\boxed{2}", r"\boxed{x}"], Rule(), Verifier(algebra=algebra))
    assert len(algebra.asked) <= 2


def _voted(p: float, chance: random.Random) -> Judged:
    """Eight draws that are right with probability p, else one of three wrong answers."""
    texts = [r"\boxed{1}" if chance.random() < p else rf"\boxed{{{chance.randint(2, 4)}}}" for _ in range(8)]
    found = vote(texts, Rule(agree=1))
    return Judged(found, found.clusters[0].answer == "1")


def test_calibration_finds_the_agreement_that_is_right_often_enough():
    chance = random.Random(0)
    votes = [_voted(chance.choice([0.2, 0.5, 0.9]), chance) for _ in range(600)]
    found = calibrate(votes, 0.9)
    assert found.reached
    assert found.precision.low > 0.8
    assert 0.2 < found.coverage.value < 0.9
    assert precision_at(votes, 1)[0].value < found.precision.value
    assert not calibrate(votes[:8], 0.99).reached
