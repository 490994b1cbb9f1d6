"""Texts of p and q: what is rendered parses back, and nothing else parses."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcot.outcomes import Drop
from promptcot.templates import PLAIN, TAGGED, TEMPLATES, Generated

TAG = re.compile(r"<!--\s*(BEGIN|END) (RATIONALE|PROBLEM)\s*-->")
TEXTS = st.text(min_size=1).map(str.strip).filter(lambda text: text and not TAG.search(text))
SYMBOLS = st.from_regex(r"[a-z][0-9]", fullmatch=True)


@given(TEXTS, TEXTS)
def test_what_p_should_write_parses_to_what_was_rendered(rationale, problem):
    text = TAGGED.render_rationale(rationale) + TAGGED.render_problem(problem)
    assert TAGGED.parse_generated(text) == Generated(rationale, problem)
    assert TAGGED.parse_generated(f" \n{text}\n\n") == Generated(rationale, problem)


@given(TEXTS)
def test_what_q_should_write_parses_to_what_was_rendered(rationale):
    assert TAGGED.parse_rationale(TAGGED.render_rationale(rationale)) == rationale


@given(TEXTS)
def test_a_generator_without_rationales_writes_the_problem_alone(problem):
    text = TAGGED.render_problem(problem)
    assert TAGGED.parse_generated(text, with_rationale=False) == Generated("", problem)
    assert TAGGED.parse_generated(text) is Drop.UNPARSABLE
    assert TAGGED.parse_generated(TAGGED.render_rationale("z") + text, with_rationale=False) is Drop.UNPARSABLE


Z, X = TAGGED.render_rationale("z"), TAGGED.render_problem("x")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", Drop.UNPARSABLE),
        ("x", Drop.UNPARSABLE),
        (Z, Drop.UNPARSABLE),
        (X, Drop.UNPARSABLE),
        (X + Z, Drop.UNPARSABLE),
        (Z + X + X, Drop.UNPARSABLE),
        (Z + Z + X, Drop.UNPARSABLE),
        (Z + X + "bye", Drop.UNPARSABLE),
        ("Sure! " + Z + X, Drop.UNPARSABLE),
        (Z + " and " + X, Drop.UNPARSABLE),
        ((Z + X)[:-1], Drop.UNPARSABLE),
        (Z + X.replace("-->", "->"), Drop.UNPARSABLE),
        (Z + TAGGED.render_problem("<!--BEGIN PROBLEM-->"), Drop.UNPARSABLE),
        (TAGGED.render_rationale(" ") + X, Drop.EMPTY),
        (Z + TAGGED.render_problem("\n"), Drop.EMPTY),
        (TAGGED.begin_rationale + TAGGED.end_rationale + X, Drop.EMPTY),
    ],
)
def test_a_tag_missing_doubled_or_out_of_order_gives_no_problem(text, reason):
    assert TAGGED.parse_generated(text) is reason


PIECES = st.sampled_from(["a", "\n", TAGGED.begin_problem, TAGGED.end_problem, TAGGED.begin_rationale])


@given(st.lists(PIECES, max_size=8).map("".join))
def test_no_tag_ever_survives_parsing(text):
    parsed = TAGGED.parse_generated(text, with_rationale=False)
    assert isinstance(parsed, Drop) or not TAG.search(parsed.problem)


def test_the_tags_of_the_public_generator_are_ours():
    """A completion as the released PromptCoT 2.0 generator writes it, blank line between the blocks included."""
    text = "<!-- BEGIN RATIONALE -->\nz\n<!-- END RATIONALE -->\n\n<!-- BEGIN PROBLEM -->\nx\n<!-- END PROBLEM -->"
    assert TAGGED.parse_generated(text) == Generated("z", "x")


@pytest.mark.parametrize("domain", ["math", "code"])
def test_both_models_read_concepts_and_level_and_only_q_reads_the_problem(domain):
    p = TAGGED.generator_prefix(domain, ["ratios", "tides"], "AIME")
    q = TAGGED.posterior_prefix(domain, ["ratios", "tides"], "AIME", "How high?")
    for text in (p, q):
        assert "1. ratios\n2. tides\nDifficulty Level: AIME" in text
    assert "How high?" in q
    assert "How high?" not in p


@given(st.lists(SYMBOLS, min_size=1), SYMBOLS, SYMBOLS)
def test_plain_texts_are_bare_symbols(concepts, z, x):
    assert PLAIN.generator_prefix("math", concepts, "any").split() == concepts
    assert PLAIN.posterior_prefix("math", concepts, "any", x).split() == [*concepts, x]
    assert PLAIN.parse_generated(f"{PLAIN.render_rationale(z)} {PLAIN.render_problem(x)}") == Generated(z, x)
    assert PLAIN.parse_generated(x, with_rationale=False) == Generated("", x)
    assert PLAIN.parse_generated(x) is Drop.UNPARSABLE
    assert PLAIN.parse_rationale(z) == z
    assert PLAIN.parse_rationale(" ") is Drop.EMPTY


def test_every_template_a_recipe_can_name_exists():
    assert TEMPLATES == {"tagged": TAGGED, "plain": PLAIN}
