"""The audit set: a thousand pairs of answers, written and labeled without sight of this code, and triples for transitivity.

The code was then improved on them, so they guard what was reached and measure nothing new.

`firm` pairs have a label beyond dispute, `policy` pairs are left to taste, `hostile` ones must above all be harmless.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from promptcot.outcomes import Equality
from promptcot.verify.algebra import SandboxedAlgebra
from promptcot.verify.answers import Verifier
from promptcot.verify.extraction import answer_text
from promptcot.verify.forms import Answer
from promptcot.verify.reading import read

HERE = Path(__file__).parent
PAIRS: list[dict[str, Any]] = [json.loads(line) for line in (HERE / "answer_pairs.jsonl").read_text().splitlines()]
TRIPLES: list[dict[str, Any]] = [json.loads(line) for line in (HERE / "answer_triples.jsonl").read_text().splitlines()]
FIRM = [pair for pair in PAIRS if not pair["policy"] and not pair["hostile"]]


def wrong(pairs: list[dict[str, Any]], verifier: Verifier, *verdicts: Equality) -> list[str]:
    """Ids of the pairs that get one of these verdicts although it is not their label."""
    label = {True: Equality.EQUAL, False: Equality.DIFFERENT}
    found = [(pair, verifier.equal(pair["a"], pair["b"])) for pair in pairs]
    return [pair["id"] for pair, verdict in found if verdict in verdicts and verdict is not label[pair["equal"]]]


def test_the_audit_set_is_whole():
    assert (len(PAIRS), len(FIRM), sum(pair["equal"] for pair in FIRM), len(TRIPLES)) == (1106, 905, 389, 60)


def test_canonical_forms_alone_give_no_false_positive_and_decide_nearly_all():
    verifier = Verifier()
    assert not wrong(FIRM, verifier, Equality.EQUAL)
    assert len(wrong(FIRM, verifier, Equality.DIFFERENT)) <= 2  # prose without a box: there the last number is not taken for an answer
    assert len(wrong(FIRM, verifier, Equality.DIFFERENT, Equality.UNKNOWN)) <= 0.03 * len(FIRM)


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
def test_with_algebra_98_percent_are_right_and_none_is_a_false_positive():
    with SandboxedAlgebra() as algebra:
        verifier = Verifier(algebra=algebra)
        assert not wrong(FIRM, verifier, Equality.EQUAL)
        assert len(wrong(FIRM, verifier, Equality.DIFFERENT, Equality.UNKNOWN)) <= 0.02 * len(FIRM)
        assert not wrong([pair for pair in PAIRS if pair["hostile"]], verifier, Equality.EQUAL)


def answers(pair: dict[str, Any]) -> tuple[Answer, Answer] | None:
    texts = [answer_text(pair[side]) for side in ("a", "b")]
    return None if None in texts else (read(texts[0] or ""), read(texts[1] or ""))


def test_no_verdict_depends_on_which_is_the_reference():
    verifier = Verifier()
    both = [found for pair in PAIRS if (found := answers(pair)) is not None]
    assert [(a.text, b.text) for a, b in both if verifier.compare(a, b) is not verifier.compare(b, a)] == []


@cache
def _compare(a: str, b: str) -> Equality:
    return Verifier().equal(a, b)


@pytest.mark.parametrize("triple", TRIPLES, ids=lambda t: t["id"])
def test_equality_is_transitive(triple):
    """But for units: `5` is `5 cm` and is `5 m`, since an answer without a unit is taken to be in the right one."""
    texts = triple["texts"]
    has_unit = {bool(answer.unit) for answer in map(read, texts)}
    for a, b, c in ((texts[i], texts[j], texts[k]) for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1))):
        if _compare(a, b) is _compare(b, c) is Equality.EQUAL:
            assert _compare(a, c) is Equality.EQUAL or len(has_unit) == 2
        if _compare(a, b) is Equality.EQUAL and len(has_unit) == 1:
            assert {_compare(a, c), _compare(b, c)} != {Equality.EQUAL, Equality.DIFFERENT}


def test_keys_make_equality_transitive_over_the_whole_set():
    """Whatever is equal by its key has one key; so clusters by key are classes."""
    found = [answer for pair in PAIRS for answer in answers(pair) or ()]
    by_key: dict[object, list[Answer]] = {}
    for answer in found:
        by_key.setdefault(answer.key, []).append(answer)
    verifier = Verifier()
    for same in by_key.values():
        assert all(verifier.compare(same[0], other) is not Equality.DIFFERENT or other.unit or "nan" in other.text for other in same)


BOMBS = [
    "5" + "!" * 3000, "(" * 3000 + "1" + ")" * 3000, r"\sqrt{" * 700 + "2" + "}" * 700, r"1+\frac{1}{" * 600 + "2" + "}" * 600, "{" * 9000,
    r"\left(" * 1500, "9" * 15000, "1+" * 2000 + "1", "a" * 15000 + "!", "1," * 6000, r"\text{" * 1500, "0." + "0" * 12000 + "1",
    r"\boxed{" * 1000 + "1" + "}" * 1000, r"\boxed{" * 1800, "<think>" * 2000, "#" * 16000, "-" * 5001 + "1", "|" * 4000, "^" * 4000,
    "_" * 4000, "$" * 5001, r"0.\overline{" + "123" * 2000 + "}", r"\begin{pmatrix}" * 700, "\\" * 4001, r"\cos(" * 480 + "1" + ")" * 480,
    "x^{" * 1500 + "x" + "}" * 1500, "1/" * 3000 + "1", "\u0336" * 2500, "e\u0301" * 2000, "\U0001f600" * 500, "\t\n" * 2500, "\ud800",
]  # fmt: skip


@pytest.mark.timeout(20)  # a hang or an explosion, not a slow machine
@pytest.mark.parametrize("bomb", BOMBS, ids=range(len(BOMBS)))
def test_a_hostile_string_equals_nothing_else(bomb):
    verdicts = {Verifier().equal(other, bomb) for other in ("0.5", r"\text{Friday}", r"\{1,7\}")}
    assert Equality.EQUAL not in verdicts
