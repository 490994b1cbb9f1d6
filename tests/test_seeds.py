"""Every row of the outside world becomes a record or an explained drop; families and splits do not depend on order."""

import gzip
import json
import random
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptcot import starter
from promptcot.errors import MissingHere, UsageError
from promptcot.outcomes import Split
from promptcot.recipe import Input
from promptcot.records import Attempt, ConceptSet, Label, Problem, Seed, Triple, record_id
from promptcot.seeds import READERS, read_attempts, read_concept_sets, read_labels, read_problems, read_seeds, read_triples
from promptcot.seeds.families import assign, families, place, spread
from promptcot.seeds.formats import parse_conditions
from promptcot.seeds.rows import KEPT
from promptcot.tables import from_table, to_table

DATA = Path(__file__).parent / "data" / "seeds"
ID = "0123456789abcdef" * 2


def read(reader, *inputs, domain="math", seed=0):
    reading = reader([Input.model_validate(i) for i in inputs], domain=domain, seed=seed)
    assert reading.rows_in == len(reading.rows) + len(reading.dropped)
    assert len({row.id for row in reading.rows}) == len(reading.rows)
    return reading


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


# formats


def test_native_rows_keep_all_they_bring():
    rows = read(read_seeds, str(DATA / "native.jsonl")).rows
    ferry, other, candles, word = rows
    assert (ferry.answer, ferry.source, ferry.license, ferry.level) == ("84", "harbor", "CC-BY-4.0", "elementary")
    assert ferry.family == other.family == "repeated-load"
    assert ferry.rationale is not None
    assert (other.source, other.license, other.rationale) == (str(DATA / "native.jsonl"), "", None)
    assert candles.concepts == ("unit rates", "subtraction")
    assert (word.domain, json.loads(word.tests)[1]) == ("code", {"input": "ab\n", "output": "ba"})


@pytest.mark.parametrize("format_", ["auto", "numina"])
def test_numina(format_):
    first, second = read(read_seeds, {"path": str(DATA / "numina.jsonl"), "format": format_, "license": "Apache-2.0"}).rows
    assert (first.answer, first.source, first.license, first.concepts, first.level) == ("28", "own_club", "Apache-2.0", (), None)
    assert second.solution == "Seven at the base and seven rising."


@pytest.mark.parametrize("format_", ["auto", "codeforces"])
def test_codeforces_statements_are_put_together(format_):
    keepers, bells = read(read_seeds, {"path": str(DATA / "codeforces.jsonl"), "format": format_}).rows
    assert keepers.problem == (
        "Lighthouse Keepers\n\nKeeper i wakes every a_i hours. Find the first hour after 0 when all keepers are awake.\n\n"
        "Input\nThe first line holds n. The second line holds n integers a_i.\n\nOutput\nPrint one integer.\n\n"
        "Example 1\nInput:\n2\n4 6\nOutput:\n12"
    )
    assert (keepers.domain, keepers.level, keepers.concepts) == ("code", "codeforces 1300", ())
    assert (bells.level, json.loads(bells.tests)) == ("codeforces", [{"input": "5 2\n", "output": "3\n"}])


def test_codeforces_tags_are_concepts_only_when_mapped():
    keepers, bells = read(read_seeds, {"path": str(DATA / "codeforces.jsonl"), "fields": {"concepts": "tags"}}).rows
    assert (keepers.concepts, bells.concepts) == (("number theory", "math"), ())


@pytest.mark.parametrize("reader", [read_seeds, read_triples, read_problems])
def test_promptcot_completions_are_parsed_and_prompts_kept_verbatim(reader):
    first, second = read(reader, str(DATA / "promptcot.jsonl")).rows
    assert first.problem == "How many of the 9 tiles in a symmetric row can be chosen freely?"
    assert first.rationale == "Mirrors suggest pairs; an odd count leaves one in the middle."
    assert (first.concepts, first.level) == (("Symmetry of finite sequences", "Counting by cases"), "AMC12")
    assert second.concepts == ()
    if reader is not read_problems:
        assert second.prompt == "  Make a problem about mirrors. "


def test_promptcot_concept_sets_keep_the_prompt_verbatim():
    first, second = read(read_concept_sets, str(DATA / "concept_sets.jsonl")).rows
    assert (first.concepts, first.level) == (("Symmetry", "Counting by cases"), "AIME")
    assert second.prompt is not None
    assert second.prompt.endswith("Difficulty Level: AMC12\n")


def test_champ_is_joined_from_its_own_file_without_the_conversations():
    (row,) = read(read_seeds, str(DATA / "champ.json")).rows
    assert row.concepts == ("number theory", "graph coloring", "A knight's move changes the color of its square.")
    assert row.rationale == "Look at the colors of the squares. Color the board. Knights change color."
    assert row.answer == "5"
    assert "must never be read" not in repr(row)


def test_the_installed_champ_is_read_whole():
    pytest.importorskip("champ_dataset")
    reading = read(read_seeds, "champ")
    assert (len(reading.rows), reading.dropped) == (270, ())
    assert {row.license for row in reading.rows} == {"MIT"}
    assert all(row.concepts and row.answer for row in reading.rows)


def test_procedural_tasks_are_seeded_and_take_options():
    pytest.importorskip("reasoning_gym")
    ask = {"path": "reasoning-gym:chain_sum?min_terms=5&max_terms=5", "rows": 6}
    rows = read(read_seeds, ask, seed=3).rows
    assert rows == read(read_seeds, ask, seed=3).rows
    assert {r.id for r in rows}.isdisjoint(r.id for r in read(read_seeds, ask, seed=4).rows)
    assert all(sum(sign in "+-" for sign in row.problem.split()) == 4 for row in rows)
    assert {(row.concepts, row.license) for row in rows} == {(("chain sum", "arithmetic"), "Apache-2.0")}


@pytest.mark.parametrize(
    ("path", "message"), [("chain_sums", "chain_sum"), ("chain_sum?terms=3", "terms"), ("chain_sum?min_terms=0", "min_terms")]
)
def test_a_wrong_task_or_option_is_named(path, message):
    pytest.importorskip("reasoning_gym")
    with pytest.raises(UsageError, match=message):
        read(read_seeds, f"reasoning-gym:{path}")


def test_an_unreachable_hub_is_missing_here(monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(MissingHere, match="hf:nobody/nothing-at-all"):
        read(read_seeds, "hf:nobody/nothing-at-all")


@pytest.mark.parametrize(
    ("path", "module", "remedy"),
    [
        ("champ", "champ_dataset", "champ-dataset"),
        ("reasoning-gym:gcd", "reasoning_gym", "reasoning-gym"),
        ("hf:a/b", "datasets", "promptcot[data]"),
    ],
)
def test_a_missing_package_names_the_command_that_mends_it(monkeypatch, path, module, remedy):
    monkeypatch.setitem(sys.modules, module, None)  # how Python marks a module that cannot be imported
    with pytest.raises(MissingHere, match="pip install") as caught:
        read(read_seeds, path)
    assert remedy in caught.value.remedy


@pytest.mark.parametrize("domain", starter.DOMAINS)
def test_the_starter_corpus_is_read_whole_and_keeps_its_own_families_and_splits(domain):
    lines = [json.loads(line) for line in starter.corpus(domain).read_text().splitlines()]
    reading = read(read_seeds, "builtin:starter", domain=domain)
    assert reading.dropped == ()
    assert Counter((r["family"], r["split"]) for r in lines) == Counter((s.family, s.split) for s in reading.rows)
    assert {(s.source, s.license, s.domain) for s in reading.rows} == {("starter", "Apache-2.0", domain)}
    assert all(s.concepts and s.level and s.rationale and (s.answer or s.tests) for s in reading.rows)


def test_labels_and_attempts_refer_to_problems_by_id():
    gold, tests, bare = read(read_labels, str(DATA / "labels.jsonl")).rows
    assert (gold.problem, gold.parents, gold.kind, gold.answer, gold.status) == (ID, (ID,), "gold", "7/12", "given")
    assert (tests.kind, tests.answer) == ("tests", None)
    assert (bare.kind, bare.answer, bare.status) == ("gold", "3", "checked")
    first, second = read(read_attempts, str(DATA / "attempts.jsonl")).rows
    assert (first.text, first.verdict, second.draw, second.verdict) == (" So the answer is 7.", "correct", 1, None)


@pytest.mark.parametrize(
    ("reader", "row", "key", "why"),
    [
        (read_labels, {"problem": "What is 1 + 1?", "answer": "2"}, "problem", "32 hex digits"),
        (read_labels, {"problem": ID}, "answer", "missing"),
        (read_labels, {"problem": ID, "kind": "tests"}, "tests", "missing"),
        (read_labels, {"problem": ID, "kind": "rumor", "answer": "1"}, "kind", "rumor"),
        (read_attempts, {"problem": ID, "text": ""}, "text", "empty"),
        (read_attempts, {"problem": ID, "text": "x", "draw": -1}, "draw", "whole number"),
        (read_attempts, {"problem": ID, "text": "x", "verdict": "fine"}, "verdict", "fine"),
        (read_triples, {"problem": "Why?", "level": "AIME"}, "concepts", "missing"),
        (read_triples, {"problem": "Why?", "concepts": ["doubt"]}, "level", "missing"),
        (read_concept_sets, {"concepts": [], "level": "AIME"}, "concepts", "empty"),
        (read_problems, {"problem": "Why?", "log_p": "high"}, "log_p", "finite number"),
        (read_triples, {"prompt": "p", "completion": "<!-- BEGIN PROBLEM -->x<!-- END PROBLEM -->"}, "completion", "unparsable"),
        (read_seeds, {"description": "", "input_format": ""}, "description", "empty"),
        (read_seeds, {"description": "x", "input_format": 3}, "input_format", "a text is wanted, this is a number"),
        (read_seeds, {"_text": "x", "hints": "h", "steps": None}, "steps", "lists of texts"),
    ],
)
def test_the_only_row_being_bad_is_an_error_with_file_line_and_key(tmp_path, reader, row, key, why):
    path = write(tmp_path / "rows.jsonl", [row])
    with pytest.raises(UsageError, match=why) as caught:
        read(reader, path)
    assert caught.value.where == f"{path}:1 {key}"
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("kind", "record", "file"),
    [
        ("seeds", Seed, "native.jsonl"),
        ("triples", Triple, "promptcot.jsonl"),
        ("concept_sets", ConceptSet, "concept_sets.jsonl"),
        ("problems", Problem, "native.jsonl"),
        ("labels", Label, "labels.jsonl"),
        ("attempts", Attempt, "attempts.jsonl"),
    ],
)
def test_a_table_of_ours_reads_back_as_the_same_rows(tmp_path, kind, record, file):
    rows = read(READERS[kind], str(DATA / file)).rows
    table = to_table(rows, record)
    assert tuple(from_table(table, record)) == rows
    pq.write_table(table, tmp_path / "part-00000.parquet")
    assert read(READERS[kind], str(tmp_path)).rows == rows


# files


def test_the_container_does_not_matter(tmp_path):
    raw = (DATA / "native.jsonl").read_bytes()
    rows = [json.loads(line) for line in raw.splitlines()]
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(raw))
    (tmp_path / "a.json").write_text(json.dumps(rows))
    (tmp_path / "bom.jsonl").write_bytes(b"\xef\xbb\xbf" + raw.replace(b"\n", b"\r\n"))
    keys = {key for row in rows for key in row}
    flat = [{**dict.fromkeys(keys), **row, "answer": str(row.get("answer", ""))} for row in rows]
    pq.write_table(pa.Table.from_pylist(flat), tmp_path / "a.parquet")
    plain = {row.id for row in read(read_seeds, str(DATA / "native.jsonl")).rows}
    for file in tmp_path.iterdir():
        assert {row.id for row in read(read_seeds, str(file)).rows} == plain


def test_a_folder_is_all_its_data_files(tmp_path):
    (tmp_path / "deep").mkdir()
    write(tmp_path / "deep" / "b.jsonl", [{"problem": "How deep is the second well?"}])
    write(tmp_path / "a.jsonl", [{"problem": "How deep is the first well?"}])
    (tmp_path / ".hidden").mkdir()
    write(tmp_path / ".hidden" / "c.jsonl", [{"problem": "Who hid the third well?"}])
    (tmp_path / "notes.txt").write_text("not data")
    assert [row.problem[12:] for row in read(read_seeds, str(tmp_path)).rows] == ["the first well?", "the second well?"]


BAD = [
    (2, "", "not JSON"),
    (3, "", "a list"),
    (4, "", "a text"),
    (5, "problem", "missing"),
    (6, "problem", "empty"),
    (7, "problem", "a number"),
    (8, "problem", "surrogate"),
    (9, "concepts", "list of texts"),
    (10, "concepts", "empty"),
    (11, "answer", "finite"),
    (12, "answer", "truth value"),
    (13, "split", "validation"),
    (14, "domain", "poetry"),
    (15, "tests", "output"),
    (16, "tests", "not JSON"),
]


def test_every_bad_row_is_kept_with_file_line_key_and_reason():
    path = DATA / "bad_rows.jsonl"
    reading = read(read_seeds, str(path))
    assert (len(reading.rows), len(reading.dropped), reading.left_out) == (1, len(BAD), 0)
    lines = path.read_text().splitlines()
    for dropped, (line, key, why) in zip(reading.dropped, BAD, strict=True):
        assert dropped.reason == "bad_row"
        assert dropped.detail.startswith(f"{path}:{line}{f' {key}' if key else ''}: ")
        assert why in dropped.detail
        readable = dropped.content if line == 2 else json.dumps(json.loads(dropped.content))
        assert readable == lines[line - 1]


def test_hostile_lines_are_bad_rows(tmp_path):
    good = b'{"problem": "What remains of ten after three?"}\n'
    (tmp_path / "x.jsonl").write_bytes(good + b"[" * 50_000 + b"\n" + b'{"problem": "\xff"}\n' + b'{"a": ' + b"9" * 5000 + b"}\n")
    reading = read(read_seeds, str(tmp_path / "x.jsonl"))
    assert [d.detail.rpartition(".jsonl")[2].split(" (")[0] for d in reading.dropped] == [":2: not JSON", ":3: not UTF-8", ":4: not JSON"]
    assert all(len(d.content) < KEPT + 50 for d in reading.dropped)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl", b"", "empty"),
        ("x.jsonl", b"\n \n", "empty"),
        ("x.json", b"[]", "empty"),
        ("x.json", b"{", "not JSON"),
        ("x.json", b'{"problem": "a"}', "not a list"),
        ("x.json", b'{"problems": {"a": {}}, "concepts": {}, "hints": {}}', "CHAMP"),
        ("x.jsonl.gz", b"no gzip", "cannot be read"),
        ("x.jsonl.gz", gzip.compress(b'{"problem": "a"}\n' * 99, mtime=0)[:-9], "cannot be read"),
        ("x.parquet", b"no parquet", "cannot be read"),
        ("x.csv", b"problem\na", "no data file"),
        ("x.jsonl", b'{"text": "a"}\n', "cannot be told"),
    ],
)
def test_a_bad_file_is_an_error_that_names_it(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        read(read_seeds, str(tmp_path / name))
    assert caught.value.remedy
    assert name in str(caught.value) or message == "CHAMP"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"path": "nowhere.jsonl"}, "nowhere.jsonl"),
        ({"path": str(DATA / "native.jsonl"), "fields": {"problm": "question"}}, "did you mean `problem`"),
        ({"path": str(DATA / "native.jsonl"), "fields": {"answer": "reply"}}, r"fields\.answer"),
        ({"path": str(DATA / "native.jsonl"), "split": "validation"}, "split"),
        ({"path": str(DATA / "native.jsonl"), "format": "codeforces"}, "description"),
        ({"path": "builtin:finisher"}, "finisher"),
    ],
)
def test_a_wrong_input_is_an_error_that_names_the_key(given, message):
    with pytest.raises(UsageError, match=message):
        read(read_seeds, given)


def test_a_folder_without_data_and_a_format_of_another_kind_are_errors(tmp_path):
    with pytest.raises(UsageError, match="no data"):
        read(read_seeds, str(tmp_path))
    with pytest.raises(UsageError, match="does not hold labels"):
        read(read_labels, {"path": str(DATA / "labels.jsonl"), "format": "numina"})


def test_fields_rename(tmp_path):
    path = write(tmp_path / "x.jsonl", [{"question": "How many legs have five goats?", "final": 20, "topic": ["goats"]}])
    (row,) = read(read_seeds, {"path": path, "fields": {"problem": "question", "answer": "final", "concepts": "topic"}}).rows
    assert (row.answer, row.concepts) == ("20", ("goats",))


def test_a_bad_value_is_reported_under_the_rows_own_key(tmp_path):
    path = write(tmp_path / "x.jsonl", [{"question": "How many legs have five goats?"}, {"question": 5}])
    (dropped,) = read(read_seeds, {"path": path, "fields": {"problem": "question"}}).dropped
    assert dropped.detail.startswith(f"{path}:2 question: ")


def test_what_the_input_says_holds_for_rows_that_bring_none(tmp_path):
    path = write(tmp_path / "x.jsonl", [{"problem": "Who?", "license": "MIT"}, {"problem": "What?"}])
    said = {"path": path, "license": "CC0", "source": "me", "domain": "code", "split": "dev"}
    assert [(r.license, r.source, r.domain, r.split) for r in read(read_seeds, said).rows] == [
        ("MIT", "me", "code", "dev"),
        ("CC0", "me", "code", "dev"),
    ]


# duplicates, ids


def test_exact_duplicates_across_inputs_are_dropped_and_point_to_the_row_that_stayed(tmp_path):
    one = write(tmp_path / "one.jsonl", [{"problem": "How long is a rope?"}, {"problem": "how long  is a ROPE?"}])
    two = write(tmp_path / "two.jsonl", [{"problem": "How long is a rope? "}, {"problem": "How wide is a road?"}])
    reading = read(read_seeds, one, two)
    assert [d.reason for d in reading.dropped] == ["exact_duplicate"] * 2
    assert {d.parents for d in reading.dropped} == {(reading.rows[0].id,)}
    assert [d.detail.split(": ")[0] for d in reading.dropped] == [f"{one}:2", f"{two}:1"]


def test_ids_and_content_do_not_depend_on_the_position(tmp_path):
    rows = [{"problem": f"Which bird is number {word}?"} for word in ("one", "two", "three")]
    a, b = write(tmp_path / "a.jsonl", rows), write(tmp_path / "b.jsonl", rows[::-1])
    assert {r.problem: r.id for r in read(read_seeds, a).rows} == {r.problem: r.id for r in read(read_seeds, b).rows}


def test_several_rationales_for_one_problem_are_several_triples_of_one_family(tmp_path):
    row = {"problem": "How many corners has a cube?", "concepts": ["solids"], "level": "elementary"}
    path = write(tmp_path / "x.jsonl", [{**row, "rationale": z} for z in ("Count by faces.", "Count by edges.", "Count by edges.")])
    reading = read(read_triples, path)
    assert len(reading.rows) == 2
    assert len(reading.dropped) == 1
    assert len({(r.family, r.split) for r in reading.rows}) == 1


# families and splits

NOUNS = ["anchor", "basket", "candle", "drum", "engine", "feather", "garden", "hammer", "island", "jacket"]


def invented(number):
    rng = random.Random(number // 3)
    text = " ".join(f"{rng.choice(NOUNS)}{rng.randrange(99)}" for _ in range(25))
    return f"{text} {['first', 'second', 'third'][number % 3]}"


def seeds(numbers, own=lambda n: ""):
    made = []
    for n in numbers:
        text = invented(n)
        made.append(Seed(id=record_id("seed", (), 0, text), family=own(n), content_hash="", problem=text, rationale="z"))
    return made


@given(st.lists(st.integers(0, 60), unique=True, min_size=1, max_size=30), st.randoms(use_true_random=False), st.integers(0, 5))
def test_places_do_not_depend_on_order_and_no_family_is_cut(numbers, rng, seed):
    shuffled = rng.sample(numbers, len(numbers))
    placed = {row.id: row for row in place(seeds(numbers), seed)}
    assert placed == {row.id: row for row in place(seeds(shuffled), seed)}
    assert len({(row.family, row.split) for row in placed.values()}) == len({row.family for row in placed.values()})
    assert len({row.family for row in placed.values()}) == len({n // 3 for n in numbers})


@given(st.dictionaries(st.text("abcdef", min_size=1), st.integers(1, 4), min_size=1, max_size=80), st.integers(0, 9))
def test_splits_are_60_20_20_within_the_largest_family(sizes, seed):
    splits = assign(sizes, seed)
    total, largest = sum(sizes.values()), max(sizes.values())
    for split, share in ((Split.TRAIN, 0.6), (Split.DEV, 0.2), (Split.TEST, 0.2)):
        assert abs(sum(sizes[f] for f in splits if splits[f] == split) - share * total) <= largest + 1


def test_splits_depend_on_the_seed_alone():
    sizes = {f"family {n}": 1 for n in range(40)}
    assert assign(sizes, 1) == assign(dict(reversed(sizes.items())), 1)
    assert assign(sizes, 1) != assign(sizes, 2)


def test_a_brought_family_joins_near_duplicate_clusters_and_names_them():
    own = ["", "", "zebra", "zebra", "", ""]
    texts = [invented(n) for n in (0, 3, 4, 6, 7, 9)]
    names = families(texts, own)
    assert names[1] == names[2] == names[3] == names[4] == "zebra"
    assert len({names[0], names[5], "zebra"}) == 3


def test_rows_with_their_own_split_keep_it_and_the_most_held_out_wins_a_family(tmp_path):
    train = write(tmp_path / "train.jsonl", [{"problem": invented(n)} for n in (0, 3, 6)])
    test = write(tmp_path / "test.jsonl", [{"problem": invented(1)}])
    loose = write(tmp_path / "loose.jsonl", [{"problem": invented(n)} for n in range(30, 90, 3)])
    rows = read(read_seeds, {"path": train, "split": "train"}, {"path": test, "split": "test"}, loose).rows
    assert [row.split for row in rows[:4]] == ["test", "train", "train", "test"]
    assert Counter(row.split for row in rows[4:]) == {"train": 12, "dev": 4, "test": 4}


@given(st.integers(1, 40), st.integers(0, 3), st.randoms(use_true_random=False))
def test_a_choice_of_rows_keeps_shares_takes_turns_and_ignores_order(count, seed, rng):
    rows = place(seeds(range(60)), seed)
    chosen = spread(rows, count, seed)
    assert len(chosen) == count
    assert {r.id for r in chosen} == {r.id for r in spread(rng.sample(rows, len(rows)), count, seed)}
    for split, size in Counter(row.split for row in rows).items():
        mine = Counter(row.family for row in chosen if row.split == split)
        assert abs(mine.total() - count * size / len(rows)) < 1
        families_there = len({row.family for row in rows if row.split == split})
        assert len(mine) == min(mine.total(), families_there)


def test_rows_beyond_the_wanted_number_are_left_out_and_counted(tmp_path):
    path = write(tmp_path / "x.jsonl", [{"problem": invented(n)} for n in range(0, 60, 3)] + [{"problem": ""}])
    reading = read(read_seeds, {"path": path, "rows": 10})
    assert (len(reading.rows), len(reading.dropped), reading.left_out) == (10, 1, 10)
    assert Counter(row.split for row in reading.rows) == {"train": 6, "dev": 2, "test": 2}
    assert (len(read(read_problems, {"path": path, "rows": 4}).rows), read(read_problems, {"path": path, "rows": 4}).left_out) == (4, 16)


@settings(max_examples=15)
@given(st.floats(0, 1), st.integers(0, 3))
def test_a_share_of_the_training_rationales_is_left(share, seed):
    reading = read(read_seeds, {"path": "builtin:starter", "rationales": share}, seed=seed)
    train = [row for row in reading.rows if row.split == "train"]
    assert sum(row.rationale is not None for row in train) == round(share * len(train))
    assert all(row.rationale for row in reading.rows if row.split != "train")
    assert all(row.concepts for row in reading.rows)


@pytest.mark.parametrize(
    ("prompt", "parsed"),
    [
        ("Concepts:\n1. a b\n2. c\nDifficulty Level: AMC8\n", (("a b", "c"), "AMC8")),
        ("1) a\nDifficulty Level:  X  \nmore", (("a",), "X")),
        ("1. a\n3. b\nDifficulty Level: X", ((), None)),
        ("no numbers\nDifficulty Level: X", ((), None)),
        ("1. a\nDifficulty Level:", ((), None)),
        ("1. a", ((), None)),
    ],
)
def test_conditions_in_a_prompt(prompt, parsed):
    assert parse_conditions(prompt) == parsed
