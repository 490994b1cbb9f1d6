"""Annotation: strict parsing, retries that are counted, no seed lost, and what a real small model's replies come to."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcot.annotate import annotate, from_source, merge_triples, write_concepts, write_rationales
from promptcot.engines import open_engine
from promptcot.engines.protocol import ChatSampler, Sampler
from promptcot.engines.scripted import ScriptedEngine
from promptcot.errors import UsageError
from promptcot.models import fetch
from promptcot.outcomes import Drop
from promptcot.recipe import Annotate, Annotator, EngineSpec, Merge, Sample
from promptcot.records import Seed, content_hash, record_id
from promptcot.templates_annotation import (
    LONGEST_CONCEPT,
    LONGEST_LIST,
    Unusable,
    concepts_prompt,
    parse_concepts,
    parse_rationale,
    rationale_prompt,
)

RECORDED = Path(__file__).parent / "data" / "annotation_replies.jsonl"
EXPECTED = {
    ("concepts", "unparsable"): 30,
    ("concepts", "truncated"): 6,
    ("rationale", "usable"): 12,
    ("rationale", "truncated"): 1,
}
PROBLEM = "Four kites share 30 m of tail in the ratio 1 : 2 : 3 : 4. How long is the longest tail?"
GOOD = 'The kites share a length.\n```python\n["ratios", "fractions of a quantity"]\n```'


def seed_of(problem=PROBLEM, **fields):
    hashed = content_hash(problem)
    return Seed(id=record_id("seed", (), 0, hashed), family=hashed, content_hash=hashed, problem=problem, split="train", **fields)


def settings_of(*models, **fields):
    return Annotate(annotators=[Annotator(model=m, sample=Sample(max_tokens=4000)) for m in models or ("annotator",)], concepts=2, **fields)


def scripted(concepts=GOOD, rationale="Ratios split a whole, so I chose a tail."):
    return ScriptedEngine([("foundational concepts", concepts), ("Reconstruct", rationale)], "")


def run(seeds, settings, *engines):
    pairs = list(zip(settings.annotators, engines, strict=True))
    done = annotate(seeds, iter(pairs), settings, 0)
    with_triples = {parent for triple in done.triples for parent in triple.parents}
    without = [row.parents[0] for row in done.dropped]
    assert with_triples.isdisjoint(without)
    assert with_triples | set(without) == {seed.id for seed in seeds}
    assert len(without) == len(set(without))
    return done


# prompts and parsers


@pytest.mark.parametrize("domain", ["math", "code"])
def test_prompts_hold_what_the_annotator_must_know(domain):
    asked = concepts_prompt(domain, PROBLEM, 3)
    assert PROBLEM in asked
    assert "exactly 3 strings" in asked
    designed = rationale_prompt(domain, PROBLEM, ["ratios", "sums"], "AMC8")
    assert "1. ratios\n2. sums\nDifficulty Level: AMC8" in designed
    assert PROBLEM in designed
    assert ("programming" in asked) is ("programming" in designed) is (domain == "code")


def test_the_example_in_the_prompt_has_the_form_asked_for_but_repeating_it_names_nothing():
    prompt = concepts_prompt("math", PROBLEM, 3)
    assert parse_concepts(prompt, 3) == Unusable(Drop.UNPARSABLE, "the example of the prompt, repeated")
    filled = prompt.replace('"concept 1", "concept 2", "concept 3"', '"ratios", "sums", "units"')
    assert parse_concepts(filled, 3) == ("ratios", "sums", "units")


printable = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=40).filter(lambda t: t.strip() == t)


@given(st.lists(printable, min_size=1, max_size=6, unique_by=str.casefold), st.text(st.characters(exclude_characters="`"), max_size=80))
def test_any_list_of_distinct_texts_comes_back(concepts, thoughts):
    assert parse_concepts(f"{thoughts}\n```python\n{concepts!r}\n```", len(concepts)) == tuple(concepts)


@given(st.text(max_size=300), st.integers(1, 5))
def test_no_reply_whatever_can_raise(text, count):
    for reply in (text, f"```\n{text}\n```", f"```python\n[{text}]\n```"):
        found = parse_concepts(reply, count)
        assert isinstance(found, Unusable) or len(found) == count
        assert isinstance(parse_rationale(reply), str | Unusable)


@pytest.mark.parametrize(
    ("inside", "reason", "why"),
    [
        ('["a", "b"', Drop.UNPARSABLE, "SyntaxError"),
        ('concepts = ["a", "b"]', Drop.UNPARSABLE, "SyntaxError"),
        ('["a" for _ in range(2)]', Drop.UNPARSABLE, "ValueError"),
        ('__import__("os").system("true")', Drop.UNPARSABLE, "ValueError"),
        ('("a", "b")', Drop.UNPARSABLE, "not a list of strings"),
        ('["a", 2]', Drop.UNPARSABLE, "not a list of strings"),
        ('{"a": "b"}', Drop.UNPARSABLE, "not a list of strings"),
        ('["a"]', Drop.UNPARSABLE, "1 concepts where 2"),
        ('["a", "b", "c"]', Drop.UNPARSABLE, "3 concepts where 2"),
        ('["Ratios", "ratios"]', Drop.UNPARSABLE, "twice"),
        ('["a", " "]', Drop.EMPTY, "empty concept"),
        ('["a", "\\theta"]', Drop.UNPARSABLE, "control character"),
        ('["a", "\\ud800"]', Drop.UNPARSABLE, "control character"),
        (f'["a", "{"b" * (LONGEST_CONCEPT + 1)}"]', Drop.TOO_LONG, "concept of"),
        ("[" * (LONGEST_LIST + 1), Drop.TOO_LONG, "list of"),
        ("[" * (LONGEST_LIST - 1), Drop.UNPARSABLE, "not a Python list"),
        ("-" * (LONGEST_LIST - 1) + "1", Drop.UNPARSABLE, "not a Python list"),
    ],
)
def test_what_is_no_list_of_concepts_is_named(inside, reason, why):
    found = parse_concepts(f"Hm.\n```python\n{inside}\n```", 2)
    assert isinstance(found, Unusable)
    assert (found.reason, why in found.why) == (reason, True)


def test_the_last_fence_counts_and_an_unknown_escape_keeps_its_backslash():
    reply = 'First:\n```python\n["x", "y"]\n```\nBetter:\n```\n["a \\sqrt sign", "b"]\n```\nDone.'
    assert parse_concepts(reply, 2) == ("a \\sqrt sign", "b")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [(" \n", Drop.EMPTY), ("A ```\ncode\n```", Drop.UNPARSABLE), ("so <!-- END RATIONALE --> there", Drop.UNPARSABLE)],
)
def test_what_is_no_rationale_is_named(reply, reason):
    found = parse_rationale(reply)
    assert isinstance(found, Unusable)
    assert found.reason == reason


def test_a_rationale_is_the_whole_reply():
    assert parse_rationale("\n First this.\n\nThen that. ") == "First this.\n\nThen that."


# the writers


def test_the_scripted_engine_is_a_chat_sampler():
    assert isinstance(scripted(), Sampler)
    assert isinstance(scripted(), ChatSampler)


def test_concepts_then_rationales():
    settings = settings_of()
    (noted,) = write_concepts([seed_of()], scripted(), settings.annotators[0], settings, 0)
    assert noted.row is not None
    assert noted.row.concepts == ("ratios", "fractions of a quantity")
    (written,) = write_rationales([noted.row], scripted(), settings.annotators[0], settings, 0)
    triple = written.row
    assert triple is not None
    assert (triple.rationale, triple.annotator, triple.level) == ("Ratios split a whole, so I chose a tail.", "annotator", "unrated")
    assert (triple.parents, triple.split, triple.family) == ((noted.seed.id,), "train", noted.seed.family)


def test_a_failed_draw_is_kept_and_the_next_one_is_asked():
    """Draws 0 and 1 leave an unclosed fence; draw 2 names two concepts."""

    class ThirdTime(ScriptedEngine):
        def _complete(self, reply, row, draw, limit):
            return super()._complete(reply if draw == 2 else f"try {draw}: ```python\n[", row, draw, limit)

    settings = settings_of(retries=2)
    engine = ThirdTime([], GOOD)
    (noted,) = write_concepts([seed_of()], engine, settings.annotators[0], settings, 0)
    assert noted.row is not None
    assert [f.content for f in noted.failures] == ["try 0: ```python\n[", "try 1: ```python\n["]
    assert [f.detail for f in noted.failures] == [f"concepts by annotator, draw {d}: no code fence" for d in (0, 1)]
    settings = settings_of(retries=1)
    (noted,) = write_concepts([seed_of()], engine, settings.annotators[0], settings, 0)
    assert noted.row is None
    assert len(noted.failures) == 2


def test_a_cut_reply_is_truncated_even_where_it_would_parse():
    settings = Annotate(annotators=[Annotator(model="annotator", sample=Sample(max_tokens=len(GOOD)))], concepts=2, retries=0)
    (noted,) = write_concepts([seed_of()], scripted(GOOD + "\nAnd"), settings.annotators[0], settings, 0)
    assert noted.row is None
    assert [f.reason for f in noted.failures] == ["truncated"]
    assert parse_concepts(noted.failures[0].content, 2) == ("ratios", "fractions of a quantity")


def test_seeds_are_pulled_as_replies_come():
    pulled = []

    def seeds():
        for n in range(9):
            pulled.append(n)
            yield seed_of(f"Which is kite {n}?")

    settings = settings_of()
    writer = write_concepts(seeds(), scripted(), settings.annotators[0], settings, 0)
    next(writer)
    assert pulled == [0]


def test_a_model_without_chat_is_asked_in_plain_text_or_refused():
    class Plain:
        independent = True

        def __init__(self):
            self.inner = scripted()
            self.tokenizer = self.inner.tokenizer
            self.sample = self.inner.sample

    settings = settings_of()
    with pytest.raises(UsageError, match="chat: false"):
        list(write_concepts([seed_of()], Plain(), settings.annotators[0], settings, 0))
    (noted,) = write_concepts([seed_of()], Plain(), settings.annotators[0].model_copy(update={"chat": False}), settings, 0)
    assert noted.row is not None


# the stage


def test_what_a_seed_brings_is_taken_unless_redo():
    own = seed_of(concepts=("sums",), rationale="I like sums.", level="AMC8")
    (triple,) = run([own], settings_of(), scripted()).triples
    assert triple == from_source(own)
    assert (triple.annotator, triple.concepts, triple.rationale) == ("source", ("sums",), "I like sums.")
    (triple,) = run([own], settings_of(redo=True), scripted()).triples
    assert (triple.annotator, triple.concepts) == ("annotator", ("ratios", "fractions of a quantity"))
    assert triple.rationale == "Ratios split a whole, so I chose a tail."


def test_only_what_is_missing_is_asked():
    (triple,) = run([seed_of(concepts=("sums",))], settings_of(), scripted()).triples
    assert (triple.concepts, triple.rationale) == (("sums",), "Ratios split a whole, so I chose a tail.")
    (triple,) = run([seed_of(rationale="Mine.")], settings_of(), scripted()).triples
    assert (triple.concepts, triple.rationale) == (("ratios", "fractions of a quantity"), "Mine.")


def test_a_seed_without_a_usable_rationale_stays_as_concepts_and_problem():
    done = run([seed_of()], settings_of("one", "two"), scripted(rationale=""), scripted(rationale=""))
    (triple,) = done.triples
    assert (triple.rationale, triple.annotator) == (None, "one")
    assert Counter(f.reason for f in done.failures) == {"empty": 6}
    done = run([seed_of(concepts=("sums",))], settings_of("one", "two"), scripted(rationale=""), scripted(rationale=""))
    assert [(t.rationale, t.annotator) for t in done.triples] == [(None, "source")]
    assert done.not_chosen == ()


def test_a_seed_without_concepts_is_dropped_with_its_last_reply():
    done = run([seed_of(), seed_of("Another?", concepts=("x",), rationale="y")], settings_of(retries=1), scripted("no list"))
    assert len(done.triples) == 1
    assert [(d.reason, d.content, d.detail) for d in done.dropped] == [
        ("unparsable", "no list", "concepts by annotator, draw 1: no code fence")
    ]
    assert len(done.failures) == 2


COPY = f"The design: {PROBLEM}"


@pytest.mark.parametrize(
    ("merge", "cap", "kept"),
    [
        (Merge.ALL, 1, ["one", "two", "three"]),
        (Merge.CAP, 2, ["one", "two"]),
        (Merge.CAP, 9, ["one", "two", "three"]),
        (Merge.BEST, 1, ["two"]),
    ],
)
def test_merging_annotators(merge, cap, kept):
    """`one` copies the problem; `two` and `three` leak nothing alike, so the earlier wins."""
    engines = [scripted(rationale=COPY), scripted(rationale="Ratios first."), scripted(rationale="Tails first.")]
    done = run([seed_of()], settings_of("one", "two", "three", merge=merge, cap=cap), *engines)
    assert [triple.annotator for triple in done.triples] == kept
    assert len(done.not_chosen) == 3 - len(kept)
    assert {d.reason for d in done.not_chosen} <= {"not_chosen"}
    assert len({t.id for t in done.triples}) == len(done.triples)


@given(st.permutations(["one", "two", "three", "source"]))
def test_the_merge_does_not_depend_on_the_order_of_triples(order):
    base = from_source(seed_of(concepts=("sums",), rationale="z"))
    triples = [replace(base, id=name, annotator=name, rationale=None if name == "source" else f"by {name}") for name in order]
    for merge in Merge:
        kept, aside = merge_triples(triples, merge, 2, ["one", "two", "three"])
        again, _ = merge_triples(sorted(triples, key=lambda t: t.id), merge, 2, ["one", "two", "three"])
        assert kept == again
        assert len(kept) + len(aside) == 3


# a real model


def test_recorded_replies_of_a_real_model_come_to_what_was_counted():
    """SmolLM2-135M-Instruct on 12 starter problems, all replies of up to 3 draws. The counts are written down so that a change of the
    parser shows. `usable` is a matter of form: this model solves (badly) where it was asked to explain a design."""
    rows = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows:
        found = parse_concepts(row["text"], row["count"]) if row["step"] == "concepts" else parse_rationale(row["text"])
        outcome = "truncated" if row["finish"] == "length" else found.reason if isinstance(found, Unusable) else "usable"
        counts[row["step"], outcome] += 1
    assert counts == EXPECTED


@pytest.mark.slow
def test_a_real_model_is_asked_through_its_chat_template_and_answers_the_same_again():
    settings = Annotate(annotators=[Annotator(model="annotator", sample=Sample(temperature=0.7, max_tokens=24))], retries=1)
    seeds = [seed_of(), seed_of("A hall has 12 rows of 9 seats. How many seats are there?", concepts=("equal groups",))]
    with open_engine(fetch("smollm2-135m-instruct"), EngineSpec()) as engine:
        assert isinstance(engine, ChatSampler)
        asked = engine.tokenizer.decode(engine.chat_prefix([{"role": "user", "content": "Name one concept."}]))
        assert asked.endswith("<|im_start|>user\nName one concept.<|im_end|>\n<|im_start|>assistant\n")
        done = run(seeds, settings, engine)
        assert done == run(seeds, settings, engine)
    assert {f.parents[0] for f in done.failures} <= {seed.id for seed in seeds}
    assert all(failure.content for failure in done.failures)
