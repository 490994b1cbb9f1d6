"""Templates at the ends of texts are found without a list of them, and nothing else is cut."""

from hypothesis import given, settings
from hypothesis import strategies as st

from promptcot.analysis.affixes import stripped
from promptcot.templates_solving import BOXED_SUFFIX

PLAIN = [
    f"Town {a}{b} has {7 * i + j} boats; a storm takes some, how many stay in {b}{a}"
    for i, a in enumerate("abcde")
    for j, b in enumerate("fghijk")
]


def test_a_suffix_on_every_text_is_cut_and_named():
    texts, found = stripped([text + BOXED_SUFFIX for text in PLAIN])
    assert found[0] == " ".join(BOXED_SUFFIX.split())
    assert not any("boxed" in text for text in texts)


def test_two_templates_in_one_corpus_are_both_cut():
    marked = [f"Solve this problem with care: {text}" if n % 2 else text + BOXED_SUFFIX for n, text in enumerate(PLAIN)]
    texts, found = stripped(marked)
    assert len(found) >= 2
    assert not any("boxed" in text or text.startswith("Solve this") for text in texts)


def test_a_phrase_of_few_texts_stays():
    texts = [f"word{n} other{n} third{n} fourth{n} fifth{n} sixth{n}" for n in range(200)]
    texts[:4] = [text + " please box your answer now" for text in texts[:4]]
    assert stripped(texts) == (texts, [])


def test_no_text_is_left_empty():
    texts, _ = stripped(["Find the value of x"] * 20)
    assert all(text.split() for text in texts)


WORDS = st.lists(st.sampled_from("abcdefghijklmnop"), min_size=5, max_size=12).map(" ".join)


@given(st.lists(WORDS, min_size=1, max_size=30), st.randoms())
@settings(max_examples=60, deadline=None)
def test_what_is_left_is_a_piece_of_the_text_whatever_the_order(texts, random):
    left, _ = stripped(texts)
    for whole, part in zip(texts, left, strict=True):
        assert f" {part} " in f" {whole} "
    shuffled = list(range(len(texts)))
    random.shuffle(shuffled)
    again, _ = stripped([texts[i] for i in shuffled])
    assert again == [left[i] for i in shuffled]
