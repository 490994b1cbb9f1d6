"""The release's post-training files: what is written there comes back the same, and a run starts from them."""

import json
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from promptcot import api
from promptcot.evaluation.stage import corpus_of
from promptcot.executors import MemoryWorkplace, each
from promptcot.exporting import released as written
from promptcot.material import Material
from promptcot.recipe import EngineSpec, Input, SelfPlay
from promptcot.records import Attempt, Label, Pair, Problem, Trace, content_hash, record_id
from promptcot.roles import Role
from promptcot.seeds import read_attempts, read_labels, read_pairs, read_problems, read_traces
from promptcot.seeds.released import problem_in
from promptcot.self_play.given import pairs
from promptcot.store import Run, StepSpec
from promptcot.tables import from_table
from promptcot.templates import TAGGED
from promptcot.templates_solving import BOXED_SUFFIX, SOLVING, solving_prompt
from tests.runs import Shell, jsonl, script
from tests.test_distill import OPENED, PLAIN, drops, student

MARKUP = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant"
FIND = "Find n." + BOXED_SUFFIX


# what is written is read back

WORDS = ["n", " ", "\n", "\\boxed{7}", "\u2028", "é", "```", "Problem:\n", BOXED_SUFFIX, "<|im_start|>", SOLVING["math"], '"', "\r", "0"]
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map("".join)
PLAIN_TEXTS = TEXTS.map(str.strip).filter(bool)
"""As our tables hold problems and answers: without space around them."""
TESTS = st.lists(st.fixed_dictionaries({"input": TEXTS, "output": TEXTS}), min_size=1, max_size=2).map(json.dumps)


def a_problem(text, domain="math"):
    hashed = content_hash(text)
    id_ = record_id("problem", (), 0, f"{domain} {hashed}")
    return Problem(
        id=id_, concepts=(), level="", rationale="", problem=text, draw=0, tokens=0, log_p=0.0, content_hash=hashed, domain=domain
    )


def back(folder, name, material, reader):
    """The rows of one of the release's files, written and read again."""
    path = jsonl(folder / name, list(written.FILES[name](material)))
    return reader([Input(path=str(path))], domain="math", seed=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("released")


def startless(text):
    """Problems that begin with our own words around problems are not told from those words."""
    return not text.startswith(tuple(SOLVING.values())) and not text.startswith("<|im_start|>user")


@given(PLAIN_TEXTS.filter(startless), PLAIN_TEXTS, TESTS, st.booleans())
@settings(max_examples=80, deadline=None)
def test_problems_with_labels_come_back_with_their_ids(folder, text, answer, tests, coded):
    problem = a_problem(text, "code" if coded else "math")
    label = Label(id="0" * 32, problem=problem.id, kind="tests" if coded else "gold", **({"tests": tests} if coded else {"answer": answer}))
    material = Material("", problems=(problem,), labels={problem.id: label})
    [found] = back(folder, "self_play.jsonl", material, read_problems).rows
    assert (found.id, found.problem, found.domain) == (problem.id, text, problem.domain)
    [known] = back(folder, "self_play.jsonl", material, read_labels).rows
    assert (known.problem, known.kind, known.answer) == (problem.id, label.kind, label.answer)
    assert known.tests is None if label.tests is None else json.loads(known.tests) == json.loads(label.tests)


@given(TEXTS.filter(lambda text: problem_in(text)[0]), TEXTS.filter(str.strip), TEXTS.filter(str.strip), st.sampled_from(["math", "code"]))
@settings(max_examples=80, deadline=None)
def test_pairs_come_back_to_the_letter(folder, prompt, chosen, rejected, domain):
    """A completion may begin with space, where the prompt opened the thought: it is kept."""
    pair = Pair(id="0" * 32, question="1" * 32, round=1, prompt=prompt, chosen=chosen, rejected=rejected, domain=domain)
    read = back(folder, "pairs.jsonl", Material("", pairs=(pair,)), read_pairs) if chosen.strip() != rejected.strip() else None
    if read is not None:
        [found] = read.rows
        assert (found.prompt, found.chosen, found.rejected, found.domain) == (prompt, chosen, rejected, domain)


@given(PLAIN_TEXTS.filter(startless), st.just("") | PLAIN_TEXTS, PLAIN_TEXTS, st.sampled_from(["math", "code"]))
@settings(max_examples=80, deadline=None)
def test_traces_come_back_in_their_two_parts_and_name_their_problem(folder, text, reasoning, answer, domain):
    problem = a_problem(text, domain)
    asked = {"question": problem.id, "draw": 0, "prompt": solving_prompt(domain, text), "tokens": 9, "domain": domain}
    material = Material("", traces=(Trace(id="0" * 32, reasoning=reasoning, answer=answer, **asked),))
    [found] = back(folder, "sft.jsonl", material, read_traces).rows
    assert (found.question, found.prompt, found.reasoning, found.answer) == (problem.id, asked["prompt"], reasoning, answer)
    assert found.domain == domain
    [attempt] = back(folder, "sft.jsonl", material, read_attempts).rows
    assert isinstance(attempt, Attempt)
    assert attempt.problem == problem.id


# the release's own rows


def rows(reader, path, **how):
    return reader([Input(path=str(path), **how)], domain="math", seed=0)


def test_chat_markup_is_taken_off_and_the_words_around_the_problem_stay(tmp_path):
    """As the release's scripts write them: a prompt in markup, completions behind a line break."""
    row = {
        "source": "OpenSource-Math",
        "prompt": MARKUP.format(FIND),
        "chosen": "\n<think>a</think>\\boxed{7}",
        "rejected": "\n<think>b</think>8",
    }
    [pair] = rows(read_pairs, jsonl(tmp_path / "pairs.jsonl", [row])).rows
    assert (pair.prompt, pair.chosen, pair.rejected) == (FIND, "<think>a</think>\\boxed{7}", "<think>b</think>8")
    assert (pair.source, pair.question, pair.weight) == ("OpenSource-Math", a_problem("Find n.").id, 1.0)
    taught = jsonl(tmp_path / "sft.jsonl", [{"prompt": MARKUP.format(FIND), "completion": "\n<think>\na\n</think>\n\\boxed{7}"}])
    [trace] = rows(read_traces, taught).rows
    assert (trace.prompt, trace.reasoning, trace.answer, trace.question) == (FIND, "a", "\\boxed{7}", pair.question)


def test_our_own_tables_are_read_with_what_only_they_know(tmp_path):
    own = {"question": "ab" * 16, "prompt": "q", "chosen": "a", "rejected": "b", "weight": 0.25, "domain": "code", "license": "MIT"}
    [pair] = rows(read_pairs, jsonl(tmp_path / "pairs.jsonl", [own])).rows
    assert (pair.question, pair.weight, pair.domain, pair.license) == ("ab" * 16, 0.25, "code", "MIT")
    told = {"prompt": "q", "reasoning": "r", "answer": "a", "tokens": 5, "license": "MIT"}
    [trace] = rows(read_traces, jsonl(tmp_path / "traces.jsonl", [told])).rows
    assert (trace.reasoning, trace.answer, trace.tokens, trace.question) == ("r", "a", 5, a_problem("q").id)


BAD_PAIRS = [
    ({"prompt": "q", "chosen": "a", "rejected": " "}, "rejected: a text is wanted, this is blank"),
    ({"prompt": "q", "chosen": ["a"], "rejected": "b"}, "chosen: a text is wanted, this is a list"),
    ({"prompt": None, "chosen": "a", "rejected": "b"}, "prompt: a text is wanted, this is null"),
    ({"prompt": "q", "chosen": "a", "rejected": "a\n"}, "rejected: the same as the chosen one"),
]
BAD_TRACES = [
    ({"prompt": "q", "completion": "<think>a"}, "completion: a <think> or </think> without its other half"),
    ({"prompt": "q", "completion": "<think>a</think> "}, "completion: no answer after </think>"),
    ({"prompt": "q"}, "completion: a text is wanted, this is null"),
]


@pytest.mark.parametrize(
    ("reader", "good", "bad"),
    [
        (read_pairs, {"prompt": "q", "chosen": "a", "rejected": "b"}, BAD_PAIRS),
        (read_traces, {"prompt": "q", "completion": "a"}, BAD_TRACES),
    ],
)
def test_a_bad_row_is_dropped_by_file_line_and_key_and_a_repeated_one_counted(tmp_path, reader, good, bad):
    path = jsonl(tmp_path / "rows.jsonl", [good, *(row for row, _ in bad), good])
    reading = rows(reader, path)
    assert len(reading.rows) == 1
    assert reading.rows_in == len(bad) + 2
    details = [row.detail for row in reading.dropped]
    assert details[: len(bad)] == [f"{path}:{line} {why}" for line, (_, why) in enumerate(bad, 2)]
    assert reading.dropped[-1].reason == "exact_duplicate"


# runs that start from them


@pytest.fixture
def shell(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROMPTCOT_DATA", raising=False)
    return Shell(monkeypatch, capsys)


def recipe(folder, **sections):
    content = {
        "schema": 1,
        "name": "released",
        "engines": {"default": {"kind": "scripted"}, "small": {"device": "cpu", "dtype": "fp32"}},
        "training": {"max_tokens": 60, "dtype": "fp32"},
        **sections,
    }
    (folder / "released.yaml").write_text(json.dumps(content), encoding="utf-8")
    return folder / "released.yaml"


def small(folder):
    return {"path": str(student(folder / "small", PLAIN)), "engine": "small"}


def test_self_play_runs_on_the_releases_prompts_and_labels(shell, tmp_path):
    """One math problem in the band by its answer, one solved too often."""
    given = [
        {"source": "PromptCoT-Math", "prompt": FIND, "answer": "7"},
        {"source": "PromptCoT-Math", "prompt": "Name seven." + BOXED_SUFFIX, "answer": "7"},
    ]
    path = str(jsonl(tmp_path / "self-play.jsonl", given))
    model = script(tmp_path / "solver", ("Find n", r"\boxed{{draw}}"), default=r"\boxed{7}")
    file = recipe(tmp_path, models={"solver": str(model)}, inputs={"problems": [path], "labels": [path]}, self_play={"method": "none"})
    told = shell("run", file, "--run", tmp_path / "run").err
    assert "2 questions, 0 of them human; 1 in the band" in told
    [pair] = from_table(api.open(tmp_path / "run")["self_play/1/pairs"], Pair)
    assert (pair.chosen, pair.prompt) == (r"\boxed{7}", solving_prompt("math", "Find n."))


RIGHT, WRONG = "\n<think>\nc d\n</think>\n\\boxed{7}", "\n<think>\nd\n</think>\n{}"
PAIRS = [
    {"source": "PromptCoT-Math", "prompt": MARKUP.format("a b"), "chosen": RIGHT, "rejected": WRONG.format("8")},
    {"source": "PromptCoT-Math", "prompt": MARKUP.format("b c"), "chosen": RIGHT, "rejected": WRONG.format("\\boxed{8}")},
    {"source": "PromptCoT-Math", "prompt": MARKUP.format("b c"), "chosen": RIGHT},
]


@pytest.mark.slow
@pytest.mark.parametrize(("form", "kept"), [("none", 2), ("think", 1)])
def test_a_run_of_given_pairs_fits_a_solver_and_nothing_else(shell, tmp_path, form, kept):
    sums = jsonl(tmp_path / "sums.jsonl", [{"id": "s", "problem": "a b", "answer": "1"}])
    file = recipe(
        tmp_path,
        models={"solver": small(tmp_path)},
        inputs={"pairs": [str(jsonl(tmp_path / "pairs.jsonl", PAIRS))]},
        gates={"error_rate": 0.5},
        self_play={"form": form, "fit": {"lr": 0.01}},
        evaluate={"benchmarks": [str(sums)], "models": ["self_played"], "sample": {"max_tokens": 4}},
    )
    shell("run", file, "--run", tmp_path / "run")
    run = api.open(tmp_path / "run")
    assert [s["name"] for s in api.status(tmp_path / "run")["stages"]] == ["pairs", "self_play", "evaluate", "report"]
    steps = Run.open(tmp_path / "run").steps()
    assert any(step.endswith("/overlap") for step in steps), "what the pairs ask is a training text, too"
    assert {name for name in run if name.startswith("self_play")} == {"self_play/1/pairs", "self_play/1/solver/reference"}
    assert run["self_play/1/solver/reference"].num_rows == 2 * kept
    assert drops(tmp_path / "run", "pairs")["bad_row"].detail.endswith("pairs.jsonl:3 rejected: a text is wanted, this is null")
    assert set(drops(tmp_path / "run", "self_play/1/pairs")) == ({"malformed"} if form == "think" else set())
    found = from_table(run["self_play/1/pairs"], Pair)
    assert all(pair.chosen == RIGHT.removeprefix("\n") for pair in found)
    assert (tmp_path / "run/report/index.html").is_file()
    api.export(tmp_path / "run", "trl-preference", tmp_path / "out.jsonl")
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == kept


def test_given_pairs_are_among_the_texts_that_a_benchmark_is_held_against(tmp_path):
    found = rows(read_pairs, jsonl(tmp_path / "pairs.jsonl", PAIRS[1:2])).rows
    table = MemoryWorkplace(tmp_path / "w").rows(
        StepSpec("pairs", Pair, 1, {}, {}), found, partial(each, make=lambda row: [row]), shard_rows=9
    )
    corpus = corpus_of([], [table])
    assert corpus is not None
    assert list(corpus.texts()) == [found[0].prompt]


@pytest.mark.parametrize(("template", "begins"), [(OPENED, "c d"), (PLAIN, "<think>\nc d")])
def test_a_tag_that_the_solvers_prompt_opens_is_not_written_twice(tmp_path, template, begins):
    path = student(tmp_path / "small", template)
    tokenizer = AutoTokenizer.from_pretrained(path)
    tokenizer.add_tokens(["<think>"])
    tokenizer.save_pretrained(path)
    solver = Role("solver", path, "f", EngineSpec(), TAGGED)
    place, settings = MemoryWorkplace(tmp_path / "w"), SelfPlay(form="think")
    found = rows(read_pairs, jsonl(tmp_path / "pairs.jsonl", PAIRS[1:2])).rows
    given = place.rows(StepSpec("pairs", Pair, 1, {}, {}), found, partial(each, make=lambda row: [row]), shard_rows=9)
    [pair] = pairs(place, given, solver, settings).rows
    assert pair.chosen.startswith(begins)


@pytest.mark.slow
def test_a_run_of_given_traces_fits_a_student_and_asks_no_teacher(shell, tmp_path):
    given = [
        {"prompt": MARKUP.format("a b"), "completion": "\n<think>\na\n</think>\n\\boxed{7}"},
        {"prompt": MARKUP.format("b c"), "completion": "\n<think>\na\n</think>\nseven"},
        {"prompt": MARKUP.format("c d"), "completion": "\n" + "a " * 80 + "\\boxed{7}"},
    ]
    file = recipe(
        tmp_path,
        models={"student": small(tmp_path)},
        inputs={"traces": [str(jsonl(tmp_path / "sft.jsonl", given))]},
        distill={"epochs": 1},
    )
    shell("run", file, "--run", tmp_path / "run")
    assert set(drops(tmp_path / "run", "distill/traces")) == {"no_answer"}
    assert set(drops(tmp_path / "run", "distill/texts")) == {"too_long"}
    [trace] = from_table(api.open(tmp_path / "run")["distill/texts"], Trace)
    assert (trace.prompt, trace.answer) == ("a b", "\\boxed{7}")
    shell("export", tmp_path / "run", "--to", "model", "--out", tmp_path / "out")
    assert (tmp_path / "out" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"inputs": {"pairs": ["p.jsonl"]}, "self_play": {"method": "sft"}}, "self_play.method"),
        ({"inputs": {"pairs": ["p.jsonl"]}, "self_play": {"rounds": 2}}, "self_play.rounds"),
        ({"inputs": {"traces": ["t.jsonl"]}, "distill": {"verify": True}}, "distill.verify"),
    ],
)
def test_what_given_rows_cannot_serve_is_refused_at_the_start(shell, tmp_path, sections, told):
    err = shell("run", recipe(tmp_path, models={"solver": "x", "student": "y"}, **sections), code=2).err
    assert told in err
    assert "remedy:" in err
