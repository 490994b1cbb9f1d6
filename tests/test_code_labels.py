"""Labels of programming problems: what solutions agree on becomes a suite, in one table with the votes on math."""

import json

import pytest

import promptcot
from promptcot import code_labels, labeling
from promptcot.errors import MissingHere
from promptcot.executors import MemoryWorkplace
from promptcot.models import fingerprint
from promptcot.outcomes import Drop, LabelKind
from promptcot.recipe import Code, EngineSpec, Label, Sample
from promptcot.records import Problem
from promptcot.roles import Role
from promptcot.templates import TAGGED
from promptcot.templates_annotation import Unusable
from promptcot.templates_tests import ROUNDS, InputKind, Pair, generator_prompt, parse_tests, writer_prompt
from tests.runs import jsonl, recipe, script

pytestmark = pytest.mark.slow  # each runs dozens of programs


def fenced(name: str, text: str) -> str:
    return f"Thinking.</think>\n```{name}\n{text}\n```\n"


def pairs(*rows: tuple[str, str]) -> str:
    return fenced("json", json.dumps([{"input": given, "output": output} for given, output in rows]))


DOUBLE = "Double a number below 10, add 10 to others."
SOLUTION = "n = int(input())\nprint(n * 2 if n < 10 or {draw} == 3 else n + 10)"  # draw 3 is wrong
WRITER = [
    ("prints one input", fenced("python", "s = int(input())\nprint(s * 20)")),
    ("edge cases", pairs(("9\n", "18"), ("10\n", "20"), ("0\n", "0"))),
    ("complex cases", pairs(("11\n", "22"), ("25", "35"))),  # the first is wrong
    ("error-prone cases", "I cannot."),
    ("critical path", pairs(("9", "18"), ("5", "10"))),
]
SAMPLE = Sample(max_tokens=3000)
SETTINGS = Label(votes=4, agree=3, sample=SAMPLE, code=Code(tests=12, seeds=2, sample=SAMPLE, cpu_s=0.5))


def problem(text: str, domain: str = "code") -> Problem:
    facts = {"license": "CC0-1.0", "concepts": ("a",), "level": "easy", "rationale": "r", "content_hash": text}
    return Problem(id=text[:32].ljust(32, "0"), domain=domain, problem=text, draw=0, tokens=1, log_p=-1.0, **facts)  # type: ignore[arg-type]


def role(folder, name, *replies, license="") -> Role:
    path = script(folder / name, *replies, default="?")
    return Role(name, path, fingerprint(path), EngineSpec(kind="scripted"), TAGGED, license)


def labeled(folder, *texts, place=None, settings=SETTINGS, solution=SOLUTION):
    place, problems = place or MemoryWorkplace(), [problem(t) for t in texts]
    writer = role(folder, "writer", *WRITER, license="MIT")
    voter = role(folder, "voter", (DOUBLE, fenced("python", solution)), license="Apache-2.0")
    way = code_labels.by_tests(place, problems, "d", voter, writer, settings, seed=0)
    return labeling.decided(place, problems, "d", {"code": way})


@pytest.mark.usefixtures("sandbox")
def test_what_solutions_agree_on_is_the_label(tmp_path):
    [label] = labeled(tmp_path, DOUBLE).rows
    assert (label.kind, label.status, label.answer, label.license) == (LabelKind.TESTS, "validated", None, "Apache-2.0 AND MIT")
    assert label.parents == (label.problem,) == (problem(DOUBLE).id,)
    tests = {t["input"]: t["output"].strip() for t in json.loads(label.tests or "")}
    assert tests == {"9\n": "18", "10\n": "20", "0\n": "0", "11\n": "21", "25\n": "35", "5\n": "10", "20\n": "30", "40\n": "50"}


@pytest.mark.usefixtures("sandbox")
def test_the_evidence_holds_the_votes_and_the_report(tmp_path):
    evidence = json.loads(labeled(tmp_path, DOUBLE).rows[0].evidence)
    assert evidence["quality"]["kinds"] == {"complex": 2, "critical_path": 1, "edge_case": 3, "generated": 2}
    assert evidence["quality"]["writer_right"]["n"] == 6
    assert evidence["quality"]["mutants_killed"]["n"] == sum(evidence["quality"]["deaths"].values()) + len(evidence["quality"]["survivors"])
    assert evidence["written"] == {
        "replies": 4, "malformed": 0, "duplicates": 1, "too_long": 0, "generator_runs": {"printed": 2}
    }  # fmt: skip
    assert evidence["solutions"] == {"voters": [0, 1, 2, 3], "left_out": {}}
    [planted] = [row for row in evidence["votes"] if row["input"] == "11\n"]
    assert (planted["expected"], [o["solutions"] for o in planted["outputs"]]) == ("22", [[0, 1, 2], [3]])


@pytest.mark.usefixtures("sandbox")
def test_what_is_not_labeled_says_why(tmp_path):
    table = labeled(tmp_path, DOUBLE, "Something else.")
    assert len(table.rows) == 1
    [drop] = table.drops
    assert (drop.reason, json.loads(drop.content)["silent"]) == (Drop.NO_SOLUTIONS, {"no_program": 4})
    same = labeled(tmp_path / "same", DOUBLE, solution=SOLUTION.replace("{draw}", "0"))
    assert [d.reason for d in same.drops] == [Drop.FEW_TESTS]  # one program, drawn four times, is one witness


@pytest.mark.usefixtures("sandbox")
def test_a_problem_without_usable_tests_is_not_solved(tmp_path):
    place, only = MemoryWorkplace(), problem(DOUBLE)
    writer, voter = role(tmp_path, "writer"), role(tmp_path, "voter")
    way = code_labels.by_tests(place, [only], "d", voter, writer, SETTINGS, seed=0)
    table = labeling.decided(place, [only], "d", {"code": way})
    assert [(d.reason, d.detail) for d in table.drops] == [(Drop.FEW_TESTS, "the writer gave no usable test")]
    assert voter.path.is_dir()


def inputs(folder):
    rows = [
        {"problem": DOUBLE, "domain": "code"},
        {"problem": "How many legs have 7 spiders?", "domain": "math"},
    ]
    return {"problems": [str(jsonl(folder / "p.jsonl", rows))]}


def mixed(folder):
    replies = [*WRITER, (DOUBLE, fenced("python", SOLUTION)), ("spiders", r"\boxed{56}")]
    label = {"votes": 4, "agree": 3, "sample": {"max_tokens": 3000}, "code": {"sample": {"max_tokens": 3000}, "seeds": 2, "cpu_s": 0.5}}
    folder.mkdir(exist_ok=True)
    models = {"solver": str(script(folder / "solver", *replies, default="?"))}
    return recipe(folder, inputs=inputs(folder), synthesize=None, screen=None, models=models, label=label)


@pytest.mark.usefixtures("sandbox")
def test_a_run_of_both_domains_labels_each_problem_by_its_own(tmp_path):
    run = promptcot.run(mixed(tmp_path), folder=tmp_path / "run")
    assert sorted((row["domain"], row["kind"], row["answer"]) for row in run["label"].to_pylist()) == [
        ("code", "tests", None), ("math", "vote", "56")
    ]  # fmt: skip
    assert run["label/tests_written"].num_rows == 4


def test_without_a_sandbox_the_stage_stops_before_any_model_is_asked(tmp_path, monkeypatch):
    def absent() -> None:
        raise MissingHere("no sandbox here", remedy="apt-get install bubblewrap")

    def asked(*_: object) -> None:
        raise AssertionError("a model was asked")

    monkeypatch.setattr("promptcot.sandbox.runners.available", absent)
    monkeypatch.setattr("promptcot.engines.scripted.ScriptedEngine.sample", asked)
    with pytest.raises(MissingHere, match="no sandbox here"):
        promptcot.run(mixed(tmp_path), folder=tmp_path / "run")


# prompts and parser


def test_the_writer_is_asked_for_every_kind():
    asked = code_labels.wanted(problem(DOUBLE), Code(tests=6, generators=2, seeds=5))
    assert [(w.kind, w.count) for w in asked] == [*zip(ROUNDS, (2, 2, 1, 1), strict=True), *[(InputKind.GENERATED, 5)] * 2]
    assert [w.draw for w in asked] == list(range(6))
    assert len({w.prompt for w in asked}) == 5
    assert [w.kind for w in code_labels.wanted(problem(DOUBLE), Code(tests=1, generators=0))] == [ROUNDS[0]]


@pytest.mark.parametrize("kind", ROUNDS)
def test_a_prompt_holds_the_problem_and_its_own_example_is_no_test(kind):
    prompt = writer_prompt("Add two numbers.", kind, 3)
    assert "Add two numbers." in prompt
    assert isinstance(parse_tests(prompt), Unusable)
    assert "Add two numbers." in generator_prompt("Add two numbers.", 4)


ONE = (Pair("3\n", "6"),)


@pytest.mark.parametrize(
    ("reply", "found", "malformed"),
    [
        (pairs(("3\n", "6")), ONE, 0),
        ('[{"input": "3\\n", "output": "6"}]', ONE, 0),
        ("```json\n[]\n```\n" + pairs(("3\n", "6")), ONE, 0),
        (pairs(("3\n", "6")) + "It prints\n```\n6\n```", ONE, 0),
        (fenced("json", '{"tests": [{"input": "3\\n", "expected_output": "6"}]}'), ONE, 0),
        (fenced("", '{"input": "3\\n", "output": "6"}\n{"input": "4", "output": "8"}'), (*ONE, Pair("4", "8")), 0),
        (fenced("python", "[{'input': '3\\n', 'output': '6'}]"), ONE, 0),
        (fenced("json", '[{"input": "3\n", "output": "6"}]'), ONE, 0),
        (fenced("json", '[{"input": "3\\n"}]'), (Pair("3\n", None),), 0),
        (fenced("json", '[{"input": "3\\n", "output": "6"}, {"input": 4, "output": 8}, 5, {"input": "\\ud800", "output": ""}]'), ONE, 3),
        (fenced("json", '[{"input": "3\\n", "output": "6"}, {"input": "1", "input": "2", "output": ""}]'), ONE, 1),
        (fenced("json", '[{"input": "3\\n", "output": "6"}, {"input": "1", "output": "2", "expected": "3"}]'), ONE, 1),
    ],
)
def test_tests_are_read_where_they_are_plain(reply, found, malformed):
    parsed = parse_tests(reply)
    assert not isinstance(parsed, Unusable)
    assert (parsed.pairs, parsed.malformed) == (found, malformed)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", Drop.EMPTY),
        ("Input: 3, output: 6", Drop.UNPARSABLE),
        ('```json\n[{"input": "3", "output": "6"}', Drop.UNPARSABLE),
        (fenced("json", '[{"input": "3", "output": "6"'), Drop.UNPARSABLE),
        (fenced("json", "[" * 100_000), Drop.UNPARSABLE),
        (fenced("python", '[{"input": "1" * 3, "output": "6"}]'), Drop.UNPARSABLE),
        (fenced("json", "[3, 6]"), Drop.UNPARSABLE),
        (fenced("json", "[]"), Drop.EMPTY),
        (fenced("json", "[" + " " * 2_000_000 + "]"), Drop.TOO_LONG),
    ],
)
def test_nothing_is_guessed(reply, reason):
    found = parse_tests(reply)
    assert isinstance(found, Unusable)
    assert found.reason is reason


@pytest.mark.usefixtures("sandbox")
def test_a_finished_run_is_read_where_there_is_no_sandbox(tmp_path, monkeypatch):
    def absent() -> None:
        raise MissingHere("no sandbox here")

    path = mixed(tmp_path)
    made = promptcot.run(path, folder=tmp_path / "run")["label"].to_pylist()
    monkeypatch.setattr("promptcot.sandbox.runners.available", absent)
    assert promptcot.run(path, folder=tmp_path / "run")["label"].to_pylist() == made


CLAIM = f"{DOUBLE}\n\nSample Input 1\n\n4\n\nSample Output 1\n\n"


@pytest.mark.usefixtures("sandbox")
def test_samples_of_the_statement_join_the_suite_and_one_that_its_solutions_contradict_ends_it(tmp_path):
    right, wrong = labeled(tmp_path / "right", CLAIM + "8"), labeled(tmp_path / "wrong", CLAIM + "9")
    [label] = right.rows
    assert {"input": "4\n", "output": "8\n"} in json.loads(label.tests or "")
    assert json.loads(label.evidence)["quality"]["kinds"]["sample"] == 1
    [drop] = wrong.drops
    assert (drop.reason, drop.detail) == (Drop.CONTRADICTION, "for its sample `4` it says `9`, its solutions `8`")
