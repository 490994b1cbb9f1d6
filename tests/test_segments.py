"""Token sequences: segments are tokenized apart, and every part of EM sees the same ones."""

from hypothesis import given
from hypothesis import strategies as st

from promptcot.engines.protocol import Tokens
from promptcot.engines.scripted import CharacterTokenizer
from promptcot.records import ConceptSet, Triple
from promptcot.segments import Segmenter
from promptcot.templates import TAGGED

TEXTS = st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=20)
CHARACTERS = Segmenter(CharacterTokenizer())


class Pairs:
    """Merges equal neighbors into one token, as byte-pair encoding does across a boundary that is not kept."""

    eos = 0

    def encode(self, text: str) -> tuple[int, ...]:
        ids, place = list[int](), 0
        while place < len(text):
            double = text[place : place + 2] == text[place] * 2
            ids.append(2 * ord(text[place]) + double)
            place += 1 + double
        return tuple(ids)

    def decode(self, ids) -> str:
        return "".join(chr(i // 2) * (1 + i % 2) for i in ids)


def triple(**fields) -> Triple:
    given = {"id": "t", "family": "f", "concepts": ("ratios",), "level": "AIME", "rationale": "z", "problem": "x"}
    return Triple(**{**given, **fields})


@given(TEXTS, TEXTS)
def test_the_scored_segments_are_z_and_x_with_their_tags_and_one_end(z, x):
    row = triple(problem=x)
    tokens = CHARACTERS.generator(row, CHARACTERS.rationale(z))
    decode = CHARACTERS.tokenizer.decode
    assert decode(tokens.prefix) == TAGGED.generator_prefix("math", row.concepts, row.level)
    assert [decode(s) for s in tokens.segments] == [TAGGED.render_rationale(z), TAGGED.render_problem(x) + "\0"]
    q = CHARACTERS.posterior(row, CHARACTERS.rationale(z))
    assert decode(q.prefix) == TAGGED.posterior_prefix("math", row.concepts, row.level, x)
    assert [decode(s) for s in q.segments] == [TAGGED.render_rationale(z) + "\0"]


@given(TEXTS, TEXTS)
def test_p_and_q_spend_the_same_tokens_on_a_rationale(z, x):
    segmenter = Segmenter(Pairs())
    ids = segmenter.rationale(z)
    row = triple(problem=x)
    assert segmenter.generator(row, ids).segments[0] == ids
    assert segmenter.posterior(row, ids).segments[0] == (*ids, 0)


def test_a_boundary_never_merges_with_its_neighbor():
    """The prefix ends with a newline and so might a rationale begin: tokenized as one text, the two would be one token."""
    segmenter = Segmenter(Pairs())
    row = triple()
    ids = segmenter.tokenizer.encode("\nz")
    whole = segmenter.tokenizer.encode(TAGGED.generator_prefix("math", row.concepts, row.level) + "\nz")
    apart = segmenter.generator(row, ids)
    assert (*apart.prefix, *apart.segments[0]) != whole
    assert apart.segments[0] == ids


def test_the_length_of_x_does_not_depend_on_its_rationale():
    lengths = {len(CHARACTERS.generator(triple(), CHARACTERS.rationale(z)).segments[1]) for z in ("z", "a much longer one")}
    assert lengths == {len(CHARACTERS.problem("x"))}
    assert CHARACTERS.generator(triple(), None).segments == (CHARACTERS.problem("x"),)


@given(TEXTS)
def test_a_row_s_own_prompt_reaches_p_verbatim(prompt):
    row = ConceptSet(id="c", concepts=("ignored",), level="AIME", prompt=prompt)
    assert CHARACTERS.tokenizer.decode(CHARACTERS.generator_prefix(row)) == prompt


def test_the_length_of_a_sequence_counts_everything():
    assert len(Tokens((1, 2), ((3,), (4, 5)))) == 5
