"""The stage `distill`: what becomes of a teacher's solutions, and what a student learns of them."""

import json
import math

import pytest
from transformers import AutoTokenizer

from promptcot import api
from promptcot.attempts import attempt_of
from promptcot.distill import chosen, figures_of
from promptcot.engines import chat_reply
from promptcot.engines.chat_reply import Parted, joined, parted
from promptcot.engines.hf_tokenizer import HfTokenizer
from promptcot.engines.protocol import Completion
from promptcot.licenses import combined
from promptcot.outcomes import Drop, Finish
from promptcot.recipe import Distill, Form
from promptcot.records import Attempt, Dropped, Label, Problem, Trace, TraceFigures
from promptcot.store import Run
from promptcot.tables import from_table
from promptcot.traces import learned, well_formed
from tests.engines.conftest import save_tiny_model
from tests.runs import Shell, jsonl, script

THINKING = (
    "{% for m in messages %}<{{ m.role }}>{% if m.reasoning_content %}[[{{ m.reasoning_content }}]]{% endif %}{{ m.content }}</s>"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
PLAIN = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
OPENED = PLAIN.replace("{% if add_generation_prompt %}<assistant>", "{% if add_generation_prompt %}<assistant><think>\n")


@pytest.mark.parametrize(
    ("text", "apart", "found"),
    [
        ("<think>\nr\n</think>\n\na", "", Parted("r", "a")),
        ("r</think>a", "", Parted("r", "a")),
        ("a", "", Parted("", "a")),
        ("a", " r\n", Parted("r", "a")),
        ("<think>r", "", Drop.UNPARSABLE),
        ("<think>r</think>s</think>a", "", Drop.UNPARSABLE),
        ("a <think>b", "r", Drop.UNPARSABLE),
        ("<think>r</think> \n", "", Drop.EMPTY),
    ],
)
def test_reasoning_and_answer_are_kept_apart(text, apart, found):
    assert parted(text, apart) == found
    if isinstance(found, Parted):
        assert parted(joined(found.reasoning, found.answer)) == found


@pytest.mark.parametrize(
    ("answer", "domain", "form", "kept"),
    [
        (r"\boxed{3}", "math", Form.BOXED, True),
        ("Final answer: 3", "math", Form.BOXED, False),
        ("Final answer: 3", "math", Form.ANSWER, True),
        ("three, I guess", "math", Form.ANSWER, False),
        ("three, I guess", "math", Form.ANY, True),
        ("```python\nprint(1)\n```", "code", Form.BOXED, True),
        ("```python\nprint(1)\n", "code", Form.ANSWER, False),
        (r"\boxed{3}", "code", Form.BOXED, False),
    ],
)
def test_the_form_decides_what_is_kept(answer, domain, form, kept):
    assert well_formed(answer, domain, form) is kept


@pytest.mark.parametrize(
    ("template", "reasoning", "turn"),
    [
        (THINKING, "r", "[[r]]a"),
        (THINKING, "", "a"),
        (PLAIN, "r", "<think>\nr\n</think>\n\na"),
        (PLAIN, "", "a"),
        (OPENED, "r", "r\n</think>\n\na"),
        (OPENED, "", "\n</think>\n\na"),
    ],
)
def test_a_turn_is_what_the_students_template_goes_on_with(tmp_path, template, reasoning, turn):
    """By the template's own thinking form where it has one; a prefix that opens the reasoning is not opened twice."""
    tokenizer = HfTokenizer.open(student(tmp_path / "student", template))
    assert tokenizer.chat_reply([{"role": "user", "content": "q"}], reasoning, "a") == turn


@pytest.mark.parametrize("template", [PLAIN, THINKING])
@pytest.mark.parametrize("reasoning", ["", "s"])
def test_an_answer_that_also_stands_in_the_end_of_the_turn_is_learned_without_it(tmp_path, template, reasoning):
    """`</s>` holds an `s`."""
    turn = HfTokenizer.open(student(tmp_path / "student", template)).chat_reply([{"role": "user", "content": "q"}], reasoning, "s")
    assert turn.endswith("s")
    assert "</s" not in turn


def test_what_the_template_rewrites_is_not_taken_for_its_thinking_form():
    assert chat_reply.rendered("<u>q<a>", "<u>q<a>r then a", "r", "a") == "r then a"
    assert chat_reply.rendered("<u>q<a>", "<u>q<a>a", "r", "a") is None, "the reasoning was left out"
    assert chat_reply.rendered("<u>q<a><think>", "<u>q<a>a", "", "a") is None, "the prefix is another one"


def test_what_a_server_keeps_apart_stays_with_the_attempt():
    said = Completion(3, (), "a", math.nan, 5, Finish.STOP, reasoning="r")
    attempt = attempt_of(a_problem("p"), said)
    assert isinstance(attempt, Attempt)
    assert (attempt.text, attempt.reasoning) == ("a", "r")


def test_only_the_turn_is_learned_and_it_ends(tmp_path):
    tokenizer = HfTokenizer.open(student(tmp_path / "student", PLAIN))
    trace = a_trace(prompt="a b", answer="c d")
    example = learned(tokenizer, trace)
    assert example.tokens.prefix == tokenizer.chat_prefix([{"role": "user", "content": "a b"}])
    assert example.tokens.segments == ((*tokenizer.encode("c d"), tokenizer.eos),)


def a_trace(**given):
    fields = {"id": "t", "question": "p", "draw": 0, "prompt": "a", "reasoning": "", "answer": "b", "tokens": 3, **given}
    return Trace(**fields)


def a_problem(name):
    return Problem(id=name, concepts=(), level="", rationale="", problem=name, draw=0, tokens=0, log_p=0.0, content_hash=name)


def test_only_labeled_problems_are_asked_where_solutions_are_verified():
    problems, labels = [a_problem(n) for n in "cab"], [Label(id=n, problem=n, kind="gold", answer="1") for n in "bc"]
    assert [p.id for p in chosen(problems, labels, Distill(verify=True))] == ["b", "c"]
    assert [p.id for p in chosen(problems, labels, Distill())] == ["a", "b", "c"]
    assert [p.id for p in chosen(problems, None, Distill(rows=2))] == ["a", "b"]


def test_the_interval_of_the_lengths_is_over_problems():
    rows = [a_trace(id=f"{q}{n}", question=q, draw=n, tokens=t) for q, n, t in [("p", 0, 10), ("p", 1, 20), ("q", 0, 45)]]
    found = figures_of(rows, "t", asked=3, drawn=4)
    assert (found.mean, found.traces, found.problems, found.total, found.longest, found.median) == (30, 3, 2, 75, 45, 20)
    assert found.low < 30 < found.high
    assert math.isnan(figures_of([], "t", asked=3, drawn=4).mean)


def test_licenses_of_problem_and_teacher_are_one_expression():
    assert combined("MIT", "") == "MIT AND none", "what is not known is not free"
    assert combined("", "") == ""
    assert combined("MIT", "Apache-2.0", "MIT") == "Apache-2.0 AND MIT"
    assert combined("Apache-2.0 AND MIT", "MIT") == "Apache-2.0 AND MIT"
    assert combined(combined("MIT", ""), "MIT") == "MIT AND none"


# whole runs: a scripted teacher, and a student small enough to be fitted here

LAKES = [{"problem": f"How many boats are on lake {name} if it has seven?"} for name in ("Abel", "Bede", "Cady", "Dunn", "Eder")]
REPLIES = (
    ("Abel", "<think>\na b c\n</think>\n\n\\boxed{7}"),
    ("Bede", "<think>\na b\n</think>\n\n\\boxed{8}"),
    ("Cady", "I count seven boats"),
    ("Dunn", "x" * 400 + r"\boxed{7}"),
    ("Eder", "<think> a \\boxed{7}"),
)


def student(folder, template):
    save_tiny_model(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def shell(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    return Shell(monkeypatch, capsys)


def recipe(folder, **sections):
    content = {
        "schema": 1,
        "name": "taught",
        "engines": {"default": {"kind": "scripted"}, "small": {"device": "cpu", "dtype": "fp32"}},
        "models": {
            "teacher": {"path": str(script(folder / "teacher", *REPLIES)), "license": "Apache-2.0"},
            "student": {"path": str(folder / "student"), "engine": "small"},
        },
        "training": {"max_tokens": 60, "dtype": "fp32"},
        "inputs": {"problems": [{"path": str(jsonl(folder / "problems.jsonl", LAKES)), "license": "MIT"}]},
        **sections,
    }
    (folder / "taught.yaml").write_text(json.dumps(content), encoding="utf-8")
    return folder / "taught.yaml"


def drops(run, step):
    from promptcot import inspection
    from promptcot.store import Run

    return {row.reason: row for row in from_table(inspection.table(Run.open(run), step, dropped=True), Dropped)}


def test_what_is_cut_malformed_or_wrong_is_dropped_with_its_reason(shell, tmp_path):
    labels = [{"problem": p["id"], "answer": "7"} for p in problem_ids(tmp_path)]
    inputs = {
        "problems": [{"path": str(tmp_path / "problems.jsonl"), "license": "MIT"}],
        "labels": [str(jsonl(tmp_path / "labels.jsonl", labels))],
    }
    section = {"verify": True, "student": None, "sample": {"max_tokens": 300}}
    told = shell("distill", recipe(tmp_path, inputs=inputs, distill=section), code=2).err
    assert "problems" in told, "a verb of a stage needs the stages before it"
    err = shell("run", tmp_path / "taught.yaml", "--run", tmp_path / "run").err
    assert "1 of 5 solutions of 5 problems kept as traces" in err
    [trace] = from_table(api.open(tmp_path / "run")["distill/traces"], Trace)
    assert (trace.reasoning, trace.answer, trace.verdict, trace.license) == ("a b c", r"\boxed{7}", "correct", "Apache-2.0 AND MIT")
    assert trace.tokens == len(REPLIES[0][1]) + 1
    assert set(drops(tmp_path / "run", "distill/traces")) == {"wrong", "no_answer", "truncated", "unparsable"}
    [found] = from_table(api.open(tmp_path / "run")["distill/figures"], TraceFigures)
    assert (found.traces, found.drawn, found.asked, found.reasoning) == (1, 5, 5, 1.0)


def problem_ids(folder):
    from promptcot.recipe import Input
    from promptcot.seeds import read_problems

    path = jsonl(folder / "problems.jsonl", LAKES)
    return [{"id": p.id} for p in read_problems([Input(path=str(path))], domain="math", seed=0).rows]


def test_a_student_is_fitted_on_what_fits_it_and_evaluated(shell, tmp_path):
    """Unverified, the wrong answer is a trace too; a long one leaves before the fit and is counted, never cut."""
    student(tmp_path / "student", PLAIN)
    sums = jsonl(tmp_path / "sums.jsonl", [{"id": "s", "problem": "a b", "answer": "1"}])
    path = recipe(
        tmp_path,
        training={"max_tokens": 38, "dtype": "fp32"},
        distill={"sample": {"max_tokens": 300}, "lr": 0.01, "epochs": 2},
        evaluate={"benchmarks": [str(sums)], "models": ["student", "distilled"], "sample": {"max_tokens": 4}},
    )
    shell("run", path, "--run", tmp_path / "run")
    run = api.open(tmp_path / "run")
    assert run["distill/traces"].num_rows == 2
    kept, dropped = run["distill/texts"].num_rows, drops(tmp_path / "run", "distill/texts")
    assert kept == 1, "Abel's trace is a word longer than Bede's"
    assert set(dropped) == {"too_long"}
    assert "training.max_tokens is 38" in dropped["too_long"].detail
    assert {row["model"] for row in run["evaluate/scores"].to_pylist()} == {"student", "distilled"}
    again = shell("run", path, "--run", tmp_path / "run")
    assert api.open(tmp_path / "run")["distill/texts"].equals(run["distill/texts"])
    assert again.code == 0


def test_a_license_that_the_recipe_names_later_reaches_the_traces(shell, tmp_path):
    """And asks the teacher nothing again."""
    path = recipe(tmp_path, distill={"student": None})
    content = json.loads(path.read_text())
    del content["models"]["teacher"]["license"]
    path.write_text(json.dumps(content))
    shell("run", path, "--run", tmp_path / "run")
    assert {row["license"] for row in api.open(tmp_path / "run")["distill/traces"].to_pylist()} == {"MIT AND none"}
    drawn = Run.open(tmp_path / "run").current("distill/attempts")
    shell("run", recipe(tmp_path, distill={"student": None}), "--run", tmp_path / "run", "--redo", "distill")
    assert {row["license"] for row in api.open(tmp_path / "run")["distill/traces"].to_pylist()} == {"Apache-2.0 AND MIT"}
    assert Run.open(tmp_path / "run").current("distill/attempts") == drawn


@pytest.mark.parametrize(
    ("section", "code", "told"),
    [
        ({"verify": True}, 2, "distill.verify"),
        ({"teacher": "nobody"}, 2, "nobody"),
        ({"form": "pretty"}, 2, "boxed"),
        ({"student": "teacher"}, 2, "instruct"),
    ],
)
def test_wrong_settings_say_what_and_where(shell, tmp_path, section, code, told):
    student(tmp_path / "student", PLAIN)
    assert told in shell("run", recipe(tmp_path, distill=section), code=code).err


def test_nothing_to_fit_on_stops_the_run_with_the_reasons(shell, tmp_path):
    student(tmp_path / "student", PLAIN)
    told = shell("run", recipe(tmp_path, distill={"sample": {"max_tokens": 3}}), code=4).err
    assert "truncated 5" in told
