"""Validity by each kind of evidence: counted against the definition, with n and an interval; absent where nothing was measured."""

import pytest

from promptcot.intervals import wilson
from promptcot.outcomes import Drop
from promptcot.records import Dropped, Judgment, Label
from promptcot.templates_judging import CRITERIA
from promptcot.validity import MEANING, RULES, STRENGTH, best, of_labels, of_rules, validity


def dropped(*reasons, domain="math"):
    return [Dropped(id=f"d{n}", reason=reason, detail="", domain=domain) for n, reason in enumerate(reasons)]


def label(n, kind="vote", status="agreed", domain="math"):
    return Label(id=f"l{n}", problem=f"p{n}", kind=kind, answer="1", status=status, domain=domain)


def judgment(**grades):
    return Judgment(id="j", problem="p", **{**dict.fromkeys(CRITERIA, "perfect"), **grades})


def test_the_rules_are_judged_on_the_problems_that_reach_them():
    out = dropped(Drop.NEAR_DUPLICATE, Drop.CONTAMINATED, Drop.PROOF, Drop.INCOMPLETE, Drop.OFF_CONCEPT, Drop.JUDGED)
    assert of_rules(4, out) == wilson(6, 8)


def test_an_answer_agreed_on_is_evidence_and_a_given_one_is_not():
    labels = [label(1), label(2), label(3, status="given"), label(4, "tests", "validated", "code")]
    missed = [*dropped(Drop.TOO_FEW, Drop.NO_ANSWER, Drop.FAILED), *dropped(Drop.WEAK_TESTS, domain="code")]
    assert of_labels(labels, missed, "math") == wilson(2, 4)
    assert of_labels(labels, missed, "code") == wilson(1, 2)


def test_each_kind_of_evidence_gives_a_row_and_the_strongest_is_named():
    said = [judgment(), judgment(difficulty="acceptable"), judgment(solvability="bad")]
    rows = validity(kept=3, screened_out=dropped(Drop.PROOF), judgments=said, labels=[label(1)], unlabeled=dropped(Drop.TOO_CLOSE))
    found = {row.basis: (row.value, row.n) for row in rows}
    assert found == {"votes": (0.5, 2), "judge": (pytest.approx(2 / 3), 3), "rules": (0.75, 4)}
    assert all(0 <= row.low <= row.value <= row.high <= 1 and row.meaning == MEANING[row.basis] for row in rows)
    assert (strongest := best(rows)) is not None
    assert strongest.basis == "votes"
    assert (second := best([row for row in rows if row.basis != "votes"])) is not None
    assert second.basis == "judge"


def test_what_was_not_measured_has_no_row():
    assert validity() == []
    assert validity(labels=[], unlabeled=dropped(Drop.FAILED)) == []
    assert best([]) is None
    assert set(MEANING) == set(STRENGTH)
    assert Drop.OFF_CONCEPT not in RULES
