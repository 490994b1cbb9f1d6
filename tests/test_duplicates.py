"""Near-duplicates against the definition, in any order, on both ways of finding candidates."""

import json
import os
import random
import subprocess
import sys
from itertools import combinations, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptcot.duplicates import EXACT_UP_TO, Neighbor, clusters, components, neighbors_of
from promptcot.shingles import Shingles
from promptcot.words import normal_form, text_hash, words

texts = st.lists(st.lists(st.sampled_from(["ant", "bee", "cow", "dog", "7"]), max_size=12).map(" ".join), max_size=14)
thresholds = st.sampled_from([0.2, 0.5, 0.7, 1.0])


def grams(text, n):
    """The definition, in words."""
    tokens = words(text)
    return {tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)} or {normal_form(text)}


def jaccard(a, b):
    return len(a & b) / len(a | b)


def slow_components(items, n, threshold):
    groups = [{i} for i in range(len(items))]
    for i, j in combinations(range(len(items)), 2):
        if jaccard(grams(items[i], n), grams(items[j], n)) >= threshold:
            a, b = (next(g for g in groups if k in g) for k in (i, j))
            if a is not b:
                groups.remove(b)
                a |= b
    return {frozenset(group) for group in groups}


def groups_of(items, representatives):
    return {frozenset(i for i, r in enumerate(representatives) if r == own) for own in set(representatives)}


@given(texts, st.integers(1, 5), thresholds)
def test_clusters_are_the_connected_components_of_the_similar_pairs(items, n, threshold):
    assert groups_of(items, clusters(items, n, threshold)) == slow_components(items, n, threshold)


@given(texts, st.randoms(use_true_random=False))
def test_which_text_represents_which_does_not_depend_on_order(items, rng):
    order = list(range(len(items)))
    rng.shuffle(order)
    shuffled = [items[i] for i in order]
    before = {text: items[r].split() for text, r in zip(items, clusters(items), strict=True)}
    after = {text: shuffled[r].split() for text, r in zip(shuffled, clusters(shuffled), strict=True)}
    assert before == after


@given(texts, texts, thresholds)
def test_a_neighbor_is_the_most_similar_text_of_the_corpus(queries, corpus, threshold):
    for query, found in zip(queries, neighbors_of(queries, corpus, 3, threshold), strict=True):
        scores = [jaccard(grams(query, 3), grams(text, 3)) for text in corpus]
        best = max(scores, default=0.0)
        assert found == (Neighbor(scores.index(best), best) if best >= threshold else None)


def drawn(rng, count):
    vocabulary = [f"word{i}" for i in range(400)]
    return [" ".join(rng.choices(vocabulary, k=rng.randint(20, 60))) for _ in range(count)]


def test_different_texts_are_never_duplicates_and_light_edits_always_are():
    rng = random.Random(1)
    originals = drawn(rng, 300)
    edited = [f"{text}, indeed!" for text in originals]
    representatives = clusters(originals + edited)
    assert len(set(representatives)) == len(originals)
    assert representatives[:300] == representatives[300:]


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.9])
def test_minhash_finds_what_the_exact_search_finds(threshold):
    rng = random.Random(2)
    originals = drawn(rng, 400)
    mangled = [" ".join(w for w in text.split() if rng.random() > 0.03) for text in originals]
    both = originals + mangled
    assert len(both) < EXACT_UP_TO
    exact = clusters(both, threshold=threshold)
    assert clusters(both, threshold=threshold, exact_up_to=0) == exact
    assert 400 <= len(set(exact)) < 800
    assert threshold < 0.7 or len(set(exact)) > 400


def test_minhash_is_the_same_in_every_process():
    code = "from promptcot.minhash import *; print(band_keys(Shingles.of(['a b c d e f g h']), 32).tolist())"
    runs = [
        subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True)
        for seed in ("1", "2")
    ]
    assert runs[0].stdout == runs[1].stdout
    assert runs[0].stdout.startswith("[[")


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("3 + 4", "3 - 4", False),
        ("Is 7 prime?", "is  7 PRIME?", True),
        ("Is 7 prime?", "Is 7 prime? Say why it is so.", False),
        ("", "", True),
        (r"Find $\frac{1}{2} x^{2}$ at the point x = 4.", "find 1/2 x^2 at the point X = 4", True),
    ],
)
def test_the_normal_form(a, b, same):
    assert (clusters([a, b])[0] == clusters([a, b])[1]) is same


def crowd(seed=3):
    """Families of texts at all similarities, with exact copies, a large family and short texts among them."""
    rng = random.Random(seed)
    bases = drawn(rng, 40)
    out = [f"Is {n} prime?" for n in range(8)] + ["Is 3 prime?", "is  4  PRIME?"]
    for base in bases:
        for _ in range(rng.choice([1, 1, 2, 3, 12])):
            out.append(" ".join(w for w in base.split() if rng.random() > rng.choice([0, 0.01, 0.05])))
    rng.shuffle(out)
    return out


@settings(max_examples=20)
@given(st.randoms(use_true_random=False), st.lists(st.integers(0, 200), max_size=5), st.sampled_from([0, EXACT_UP_TO]))
def test_neither_order_nor_cutting_into_parts_changes_a_cluster(rng, cuts, exact_up_to):
    texts = crowd()
    whole = components(Shingles.of(texts), 0.7, exact_up_to=exact_up_to)
    order = list(range(len(texts)))
    rng.shuffle(order)
    edges = sorted({0, len(texts), *(min(c, len(texts)) for c in cuts)})
    parts = [Shingles.of([texts[i] for i in order[a:b]]) for a, b in pairwise(edges)]
    again = components(Shingles.joined(parts), 0.7, exact_up_to=exact_up_to)
    mine = {frozenset(order[i] for i in group) for group in components_of(again)}
    assert mine == components_of(whole)


def components_of(smallest):
    groups: dict[int, set[int]] = {}
    for i, root in enumerate(smallest):
        groups.setdefault(root, set()).add(i)
    return {frozenset(group) for group in groups.values()}


def test_a_cluster_of_a_thousand_variants_is_found_whole_beside_one_that_only_looks_like_it():
    rng = random.Random(4)
    base = [f"word{i}" for i in range(60)]
    variants = [" ".join([*base, *rng.choices("abcdefgh", k=3)]) for _ in range(1000)]
    strangers = [" ".join([*base[:20], *(f"x{n}-{k}" for k in range(40))]) for n in range(50)]
    found = components(Shingles.of(variants + strangers), 0.7, exact_up_to=0)
    assert len(set(found[:1000].tolist())) == 1
    assert len(set(found.tolist())) == 51


def test_sets_take_eight_bytes_a_gram_and_equal_sets_have_equal_prints():
    sets = Shingles.of(["a b c d e f", "A B, c d e f!", "a b c d e x", "3 + 4", "3 - 4", "3+4"])
    assert sets.sizes.tolist() == [2, 2, 2, 1, 1, 1]
    prints = sets.prints().tolist()
    assert prints[0] == prints[1] != prints[2]
    assert prints[3] == prints[5] != prints[4]


@pytest.mark.skipif("PROMPTCOT_DATA" not in os.environ, reason="needs the evaluation sets")
@pytest.mark.parametrize(("name", "rows", "removed"), [("codeforces", 408, 40), ("math500", 500, 0), ("lcb_v5_statements", 279, 0)])
def test_of_distinct_human_problems_next_to_nothing_is_removed(name, rows, removed):
    """11 of the 40 are exact copies, most others an easy and a hard version of one problem."""
    lines = (Path(os.environ["PROMPTCOT_DATA"]) / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line)["problem"] for line in lines]
    assert len(found) == rows
    for exact_up_to in (0, EXACT_UP_TO):
        assert sum(root != i for i, root in enumerate(clusters(found, exact_up_to=exact_up_to))) == removed
    assert len(found) - len({text_hash(text) for text in found}) == (11 if name == "codeforces" else 0)
