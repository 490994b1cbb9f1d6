"""What share of problems is valid, by each kind of evidence at hand, with n and an interval: to be printed beside every difficulty number.

A low pass rate does not tell hard problems from broken ones. No basis below sees the truth; each is a bound of a kind on it:

| basis | share of | n | what it misses |
|---|---|---|---|
| `rules` | written problems that pass the well-posedness sieves | problems that reach them | contradictions, missing givens |
| `judge` | judged problems with no criterion below `acceptable` | readable judgments | whatever the judge does not see |
| `votes` | math problems on whose answer the voter's draws agree | problems voted on | hard ones count as invalid, shared errors as valid |
| `tests` | code problems whose solutions agree on a suite that passes its bars | problems tried | the same |

`best` takes the strongest evidence there is. Intervals are Wilson's at 95 %, over problems.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from promptcot.intervals import Estimate, wilson
from promptcot.outcomes import Drop, LabelKind
from promptcot.records import Dropped, Judgment, Label, Validity, record_id
from promptcot.templates_judging import faults

RULES = frozenset({Drop.INCOMPLETE, Drop.NO_TASK, Drop.PROOF, Drop.CONTRADICTION})
"""The reasons of the well-posedness sieves."""
_BEFORE = frozenset({Drop.EMPTY, Drop.EXACT_DUPLICATE, Drop.NEAR_DUPLICATE, Drop.LEAK, Drop.CONTAMINATED})
STRENGTH = ("tests", "votes", "judge", "rules")
"""The bases, the strongest evidence first."""
MEANING = {
    "rules": "problems that the well-posedness rules let pass",
    "judge": "judged problems with no criterion below `acceptable`",
    "votes": "math problems on whose answer the voter's solutions agree",
    "tests": "code problems whose solutions agree on a suite of tests",
}


def of_rules(kept: int, screened_out: Iterable[Dropped]) -> Estimate:
    """`kept` problems passed the screens; of the others, those dropped before the rules were reached say nothing."""
    reasons = [row.reason for row in screened_out]
    broken = sum(reason in RULES for reason in reasons)
    reached = kept + sum(reason not in _BEFORE for reason in reasons)
    return wilson(reached - broken, reached)


def of_judgments(judgments: Sequence[Judgment]) -> Estimate:
    """By the judge; replies that could not be read are no part of it."""
    return wilson(sum(not faults(one, "acceptable") for one in judgments), len(judgments))


def of_labels(labels: Iterable[Label], dropped: Iterable[Dropped], domain: str) -> Estimate:
    """By agreement of solutions (vote, or suite of tests); a label that was given, not made here, says nothing."""
    kind = LabelKind.TESTS if domain == "code" else LabelKind.VOTE
    agreed = sum(label.kind == kind and label.status != "given" and (label.domain == "code") == (domain == "code") for label in labels)
    failed = sum(row.reason != Drop.FAILED and (row.domain == "code") == (domain == "code") for row in dropped)
    return wilson(agreed, agreed + failed)


def validity(
    *,
    kept: int = 0,
    screened_out: Sequence[Dropped] | None = None,
    judgments: Sequence[Judgment] | None = None,
    labels: Sequence[Label] | None = None,
    unlabeled: Sequence[Dropped] = (),
) -> list[Validity]:
    """A row for every basis with evidence, the strongest first. None stands for a stage that did not run."""
    found: dict[str, Callable[[], Estimate]] = {}
    if labels is not None:
        found["tests"] = lambda: of_labels(labels, unlabeled, "code")
        found["votes"] = lambda: of_labels(labels, unlabeled, "math")
    if judgments is not None:
        found["judge"] = lambda: of_judgments(judgments)
    if screened_out is not None:
        found["rules"] = lambda: of_rules(kept, screened_out)
    return [_row(basis, e) for basis, measure in found.items() if (e := measure()).n]


def best(rows: Iterable[Validity]) -> Validity | None:
    """The row with the strongest evidence; None without any."""
    return min(rows, key=lambda row: STRENGTH.index(row.basis), default=None)


def _row(basis: str, e: Estimate) -> Validity:
    return Validity(
        id=record_id("validity", content=f"{basis} {e}"),
        basis=basis,
        value=e.value,
        low=e.low,
        high=e.high,
        level=e.level,
        n=e.n,
        meaning=MEANING[basis],
    )
