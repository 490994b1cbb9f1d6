"""The stage `refine`: which problems the generator is fitted on, that it learns exactly these, and how the next run takes it up."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from promptcot import api
from promptcot.diversity import Reference
from promptcot.engines import open_engine
from promptcot.engines.protocol import ScoreRequest
from promptcot.errors import Stopped
from promptcot.executors import MemoryWorkplace, each
from promptcot.outcomes import Drop
from promptcot.recipe import EngineSpec, Floor, Input, Refine, Training
from promptcot.records import ConceptRate, ConceptSet, PassRate, Problem, Question, Triple, content_hash
from promptcot.refining import Solved, choose, refined
from promptcot.seeds import read_problems
from promptcot.segments import Segmenter
from promptcot.store import StepSpec
from promptcot.tables import from_table
from tests import toy
from tests.engines.conftest import save_tiny_model
from tests.runs import Shell, jsonl, script

FREE = Floor(repeated=1, distinct=0, pairs=0)


def problem(name, concepts=("c0",), rationale="z0", text="", **fields):
    text = text or name
    return Problem(id=name, concepts=concepts, level="", rationale=rationale, problem=text, draw=0, tokens=1, log_p=0.0,
                   content_hash=content_hash(text), **fields)  # fmt: skip


def rate(name, solved=2, counted=8, *, why="", censored=False):
    share = solved / counted if counted else 0.0
    return PassRate(id=f"r-{name}", question=f"q-{name}", round=1, solved=solved, counted=counted, planned=8, rate=share, low=0, high=1,
                    censored=censored, kept=not why, why=why)  # fmt: skip


def solved(problems, rates, labeled=None):
    labeled = {p.id for p in problems} if labeled is None else labeled
    return Solved(problems, frozenset(labeled), {r.question[2:]: r for r in rates}, {}, "digest")


def reference(problems):
    return Reference(tuple(p.problem for p in problems), tuple(p.concepts for p in problems))


def chosen(tmp_path, of, settings=None, **more):
    settings = settings or Refine(floor=FREE)
    return choose(MemoryWorkplace(tmp_path / "work"), of, reference(of.problems), settings, seed=0, **more)


def test_only_labeled_problems_in_the_band_with_a_design_are_chosen(tmp_path):
    given = [problem(n) for n in ("kept", "easy", "hard", "unlabeled", "unasked", "soft", "softcut")]
    given += [problem("bare", rationale=""), problem("blank", concepts=())]
    rates = [rate("kept"), rate("easy", 8, why="too_easy"), rate("hard", 0, why="unsolved"), rate("unlabeled"), rate("bare"), rate("blank")]
    rates += [rate("soft", why="no_firm_failure"), rate("softcut", why="no_firm_failure", censored=True)]
    found = chosen(tmp_path, solved(given, rates, {p.id for p in given} - {"unlabeled"}))
    assert sorted(row.parents[0] for row in found.chosen.rows) == ["kept", "soft"]
    assert {row.parents[0]: row.reason for row in found.in_band.drops} == {
        "easy": Drop.TOO_EASY,
        "hard": Drop.UNSOLVED,
        "unlabeled": Drop.NO_LABEL,
        "unasked": Drop.NOT_CHOSEN,
        "softcut": Drop.NO_FIRM_FAILURE,
        "bare": Drop.NO_DESIGN,
        "blank": Drop.NO_DESIGN,
    }
    assert "2 problems in the band, 0 of them left out" in str(found)


def test_without_rationales_a_problem_needs_none(tmp_path):
    found = chosen(tmp_path, solved([problem("p", rationale="")], [rate("p")]), with_rationale=False)
    assert [(row.problem, row.rationale) for row in found.chosen.rows] == [("p", None)]


def test_a_prompt_that_was_given_stays_with_its_problem(tmp_path):
    given = solved([problem("p", concepts=(), parents=("set",))], [rate("p")])
    found = chosen(tmp_path, replace(given, prompts={"set": "Write about tides."}))
    assert [row.prompt for row in found.chosen.rows] == ["Write about tides."]


def test_rates_find_their_problems_through_the_questions(tmp_path):
    place = MemoryWorkplace(tmp_path)

    def table(rows, record):
        return place.rows(StepSpec(record.__name__, record, 1, {}, {}), rows, lambda t: each(t, lambda r: [r]), shard_rows=9)

    questions = [Question(id=f"q-{n}", parents=parents, benchmark="labeled", name=n, problem=n, grading="answer")
                 for n, parents in (("p", ("p", "label")), ("task", ()))]  # fmt: skip
    sets = [ConceptSet(id="s", concepts=("c",), level="", prompt="Tides."), ConceptSet(id="t", concepts=("c",), level="")]
    found = Solved.of(table([problem("p")], Problem), None, table(questions, Question), table([rate("p"), rate("task")], PassRate), sets)
    assert found.rates == {"p": rate("p")}
    assert (found.prompts, found.labeled) == ({"s": "Tides."}, frozenset())


def test_nothing_in_the_band_stops_with_the_reasons(tmp_path):
    given = [problem("a"), problem("b")]
    with pytest.raises(Stopped, match=r"no_label 1, too_easy 1"):
        chosen(tmp_path, solved(given, [rate("a", 8, why="too_easy"), rate("b")], {"a"}))


# the floor


def alike(count):
    text = "How many boats of seven tons lie in the old harbor on day {}?"
    return [problem(f"p{n:02d}", concepts=("ratios", "area"), text=text.format(n)) for n in range(count)]


def varied():
    return [problem(f"v{n}", concepts=(f"a{n}", f"b{n}"), text=f"word{n} other{n} third{n} fourth{n} fifth{n} sixth{n}?") for n in range(4)]


def test_a_choice_that_is_too_alike_is_rebalanced_and_what_is_left_out_is_counted(tmp_path):
    given = [*alike(8), *varied()]
    found = chosen(tmp_path, solved(given, [rate(p.id) for p in given]), Refine())
    assert {row.reason for row in found.chosen.drops} == {Drop.CROWDED}
    assert len(found.chosen.rows) == 5
    before, after = sorted(found.figures.rows, key=lambda row: row.of, reverse=True)
    assert (before.of, before.problems, before.left_out, after.of, after.problems) == ("in the band", 12, 7, "chosen", 5)
    assert before.repeated == pytest.approx(7 / 12)
    assert after.repeated == 0
    assert "12 problems in the band, 7 of them left out as too alike, 5 chosen" in str(found)


def test_a_choice_that_is_too_alike_can_be_refused_with_its_figures(tmp_path):
    given = [*alike(8), *varied()]
    settings = Refine(floor=Floor(below="refuse"))
    with pytest.raises(Stopped, match=r"repeated 0\.58 is more than 0\.1") as stopped:
        chosen(tmp_path, solved(given, [rate(p.id) for p in given]), settings)
    assert stopped.value.exit_code == 4


def test_where_leaving_out_does_not_help_the_run_stops(tmp_path):
    given = alike(6)
    with pytest.raises(Stopped, match="with 5 of 6 left out"):
        chosen(tmp_path, solved(given, [rate(p.id) for p in given]), Refine(floor=Floor(distinct=1.5)))


# the fit


def fitted(tmp_path, of, annotated=(), **settings):
    found = chosen(tmp_path, of)
    start = toy.pair(tmp_path / "start").generator
    given = Refine(floor=FREE, **settings)
    return toy.tables(refined(MemoryWorkplace(tmp_path / "fits"), start, found, of.rates, annotated, given, Training(), seed=0))


def symbols(rows):
    return [problem(f"{c}{z}{x}-{n}", (f"c{c}",), f"z{z}", f"x{x}") for n, (c, z, x) in enumerate(rows)]


def test_the_generator_learns_the_chosen_problems_and_nothing_else(tmp_path):
    """On exact tables: p(z|c) and p(x|z) are the shares among the chosen problems; a concept without any keeps its law."""
    given = symbols([(0, 0, 0), (0, 0, 1), (0, 1, 1), (1, 1, 3), (2, 0, 2)])
    rates = [rate(p.id) if p.concepts != ("c2",) else rate(p.id, 8, why="too_easy") for p in given]
    found = fitted(tmp_path, solved(given, rates), replay=0)
    assert found["z_given_c"] == pytest.approx(np.array([[2 / 3, 1 / 3], [0, 1], toy.Z_GIVEN_C[2]]))
    assert found["x_given_z"] == pytest.approx(np.array([[1 / 2, 1 / 2, 0, 0], [0, 1 / 2, 0, 1 / 2]]))


def test_replay_adds_its_share_of_annotated_triples_with_weight_one(tmp_path):
    given = symbols([(0, 0, 0)] * 4)
    human = [Triple(id=f"h{n}", family=f"{n}", concepts=("c0",), level="", rationale="z1", problem="x3") for n in range(9)]
    found = fitted(tmp_path, solved(given, [rate(p.id) for p in given]), human, replay=0.5, weigh="learnability")
    assert found["z_given_c"][0] == pytest.approx([4 / 6, 2 / 6])


def test_problems_near_the_middle_of_difficulty_weigh_more_on_request(tmp_path):
    given = symbols([(0, 0, 0), (0, 1, 1)])
    found = fitted(tmp_path, solved(given, [rate(given[0].id, 4), rate(given[1].id, 1)]), replay=0, weigh="learnability")
    first, second = 0.5 * 0.5, 0.125 * 0.875
    assert found["z_given_c"][0] == pytest.approx([first / (first + second), second / (first + second)])


# whole runs: scripted voters and solvers, and a generator small enough to be fitted here

LAKES = ("Abel", "Bede", "Cady", "Dunn", "Eder", "Fife")
TEXTS = {
    name: f"{name} counts {7 + n} {kind} at dawn and twice as many {kind} at dusk. How many {kind} does {name} count in all?"
    for n, (name, kind) in enumerate(zip(LAKES, ("boats", "geese", "crates", "bells", "carts", "lamps"), strict=True))
}


@pytest.fixture
def shell(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROMPTCOT_DATA", raising=False)
    return Shell(monkeypatch, capsys)


def longer(model):
    """The same model with room for whole problems."""
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    (model / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 512}), encoding="utf-8")
    return model


@pytest.fixture
def recipe(tmp_path):
    """Six problems with a design of their own and labels: Bede's is always solved, Cady's never, the others by one draw of eight."""
    rows = [{"problem": TEXTS[n], "concepts": [f"count {k}", "doubling"], "level": "AMC8", "rationale": "a b", "license": "MIT"}
            for k, n in enumerate(LAKES)]  # fmt: skip
    path = jsonl(tmp_path / "problems.jsonl", rows)
    ids = {row.problem: row.id for row in read_problems([Input(path=str(path))], domain="math", seed=0).rows}
    labels = [{"problem": ids[TEXTS[n]], "kind": "vote", "answer": "7"} for n in LAKES if n != "Fife"]
    replies = [(TEXTS["Bede"], r"\boxed{7}"), (TEXTS["Cady"], r"\boxed{8}")]
    human = [{"problem": "e f g h", "concepts": ["count 1", "doubling"], "level": "AMC8", "rationale": "c d", "split": "train"}]
    content = {
        "schema": 1,
        "name": "first",
        "engines": {"default": {"kind": "scripted"}, "small": {"device": "cpu", "dtype": "fp32"}},
        "models": {
            "generator": {"path": str(longer(save_tiny_model(tmp_path / "tiny"))), "engine": "small", "license": "Apache-2.0"},
            "solver": str(script(tmp_path / "solver", *replies, default=r"\boxed{{draw}}")),
        },
        "training": {"max_tokens": 200, "dtype": "fp32"},
        "inputs": {
            "triples": [str(jsonl(tmp_path / "human.jsonl", human))],
            "problems": [str(path)],
            "labels": [str(jsonl(tmp_path / "labels.jsonl", labels))],
        },
        "self_play": {"method": "none", "sample": {"max_tokens": 100}},
        "refine": {"lr": 0.05, "epochs": 6, "batch": 2, "replay": 0.34, "floor": {"distinct": 0.0}},
    }

    def write(name="first", **sections):
        path = tmp_path / f"{name}.yaml"
        whole = content | {"name": name} | sections
        path.write_text(json.dumps({key: value for key, value in whole.items() if value is not None}), encoding="utf-8")
        return path

    return write


def log_p(folder, problems):
    """log p of the generator in a folder of the problems' texts, rationale and problem together."""
    with open_engine(folder, EngineSpec(device="cpu", dtype="fp32")) as engine:
        cut = Segmenter(engine.tokenizer)
        rows = [
            Triple(id=f"{n}", family="", concepts=p["concepts"], level=p["level"], rationale=p["rationale"], problem=p["problem"])
            for n, p in enumerate(problems)
        ]
        asked = [ScoreRequest(t.id, cut.generator(t, cut.rationale(t.rationale or ""))) for t in rows]
        return math.fsum(p for scored in engine.score(asked) for p in scored.log_p)


@pytest.mark.slow
def test_a_real_model_is_refined_exported_with_its_lineage_and_taken_up_by_the_next_run(shell, recipe, tmp_path):
    told = shell("run", recipe(), "--run", tmp_path / "first").err
    assert "refine: 3 problems in the band, 0 of them left out as too alike, 3 chosen" in told
    run = api.open(tmp_path / "first")
    rows = run["refine/chosen"].to_pylist()
    assert {row["problem"] for row in rows} == {TEXTS[n] for n in ("Abel", "Dunn", "Eder")}
    assert {row["license"] for row in rows} == {"MIT"}
    stage = next(s for s in json.loads(shell("status", tmp_path / "first", "--json").out)["stages"] if s["name"] == "refine")
    assert stage["state"] == "done"
    drops = shell("rows", tmp_path / "first", "refine/in_band", "--dropped", "all").err
    assert all(f"{reason} 1" in drops for reason in ("too_easy", "unsolved", "no_label"))

    out = tmp_path / "second-generator"
    shell("export", tmp_path / "first", "--to", "model", "--role", "generator", "--out", out)
    assert log_p(out, rows) > log_p(tmp_path / "tiny", rows) + 3
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "refine/generator" in card
    assert "4 texts" in card, "three problems, and one annotated triple beside them"

    second = {"generator": {"path": str(out), "engine": "small"}, "solver": str(tmp_path / "solver")}
    shell("run", recipe("second", models=second), "--run", tmp_path / "second")
    shell("export", tmp_path / "second", "--to", "model", "--role", "generator", "--out", tmp_path / "third-generator")
    card = (tmp_path / "third-generator" / "README.md").read_text(encoding="utf-8")
    assert card.count("refine/generator") >= 2
    assert "Apache-2.0" in card.split("## Data")[0], "the lineage of the base is in the card: what it was fitted from, and by which license"


@pytest.mark.slow
def test_a_finished_refinement_is_found_again_and_the_verb_runs_it_alone(shell, recipe, tmp_path):
    run = tmp_path / "run"
    shell("run", recipe(), "--run", run, "--until", "self_play")
    shell("refine", run)
    before = {p: p.read_bytes() for p in run.rglob("*.parquet")} | {p: p.stat().st_mtime_ns for p in run.rglob("*.safetensors")}
    shell("run", run)
    assert {p: p.read_bytes() for p in run.rglob("*.parquet")} | {p: p.stat().st_mtime_ns for p in run.rglob("*.safetensors")} == before


def test_a_reference_that_changed_is_another_choice(tmp_path):
    given = solved([*alike(2), *varied()], [rate(p.id) for p in [*alike(2), *varied()]])
    place, settings = MemoryWorkplace(tmp_path), Refine(floor=FREE)
    one = choose(place, given, reference(given.problems), settings, seed=0).figures.rows
    two = choose(place, given, reference(alike(6)), settings, seed=0).figures.rows
    assert one[0].distinct < two[0].distinct


@pytest.mark.parametrize(
    ("sections", "code", "said"),
    [
        ({"self_play": None}, 2, "there is no `self_play`"),
        ({"models": {"solver": "here"}}, 2, "no model has the role `generator`"),
        ({"inputs": {"pairs": ["here.jsonl"]}, "self_play": {}}, 2, "given pairs bring no pass rates"),
        ({"synthesize": {"prompt": "direct"}}, 2, "`direct` asks a model as it is, but `refine`"),
    ],
)
def test_what_refinement_needs_is_said_before_anything_runs(shell, recipe, tmp_path, sections, code, said):
    assert said in shell("run", recipe(**sections), "--run", tmp_path / "run", code=code).err


# weakness


def test_an_earlier_run_tells_the_sampler_what_its_solver_failed(shell, recipe, tmp_path):
    """Cady's concept is failed, Bede's solved; the next run draws the failed one more often, and says by how much."""
    shell("run", recipe(refine=None), "--run", tmp_path / "first")
    human = [{"problem": f"e {n}", "concepts": [f"count {n % 6}"], "level": "AMC8", "rationale": "c", "split": "train"} for n in range(60)]
    inputs = {"triples": [str(jsonl(tmp_path / "many.jsonl", human))]}
    models = {"generator": str(script(tmp_path / "writer"))}

    def drawn(name, weakness):
        synthesize = {"concept_sets": 4, "concepts": 1, "sample": {"max_tokens": 2000}, "weakness": weakness}
        path = recipe(name, inputs=inputs, models=models, synthesize=synthesize, self_play=None, refine=None)
        shell("run", path, "--run", tmp_path / name)
        return api.open(tmp_path / name)

    run = drawn("second", {"rates": str(tmp_path / "first"), "strength": 1.0})
    rates = {row.concept: row for row in from_table(run["synthesize/weakness"], ConceptRate)}
    assert (rates["count 1"].solved, rates["count 1"].counted) == (4, 4), "drawing ended early, which counts as it is"
    assert (rates["count 2"].solved, rates["count 2"].counted) == (0, 8)
    assert rates["count 2"].weight > 1 > rates["count 1"].weight >= 0.25
    assert run["synthesize"].num_rows == 4
    given = jsonl(
        tmp_path / "rates.jsonl",
        [{"concepts": ["count 3"], "solved": 0, "counted": 8}, {"concepts": ["count 4"], "solved": 8, "counted": 8}],
    )
    run = drawn("third", {"rates": str(given), "strength": 60.0})
    assert ["count 3"] in run["synthesize/concept_sets"]["concepts"].to_pylist()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"concepts": ["tides"], "solved": 9, "counted": 8}], "line 1"),
        ([{"concepts": [], "solved": 1, "counted": 8}], "no attempted question names a concept"),
        ([{"concepts": ["tides"], "solved": 1, "counted": 8}], "none of the 1 concepts tried is one of the"),
        ([{"concepts": ["tides"], "solved": 1}], "`counted` is missing"),
    ],
)
def test_rates_that_cannot_be_used_are_refused(shell, recipe, tmp_path, rows, said):
    weakness = {"rates": str(jsonl(tmp_path / "rates.jsonl", rows))}
    inputs = {"triples": [str(tmp_path / "human.jsonl")]}
    models = {"generator": str(script(tmp_path / "writer"))}
    path = recipe(
        "weak",
        inputs=inputs,
        models=models,
        synthesize={"concept_sets": 1, "concepts": 1, "weakness": weakness},
        self_play=None,
        refine=None,
    )
    assert said in shell("run", path, "--run", tmp_path / "run", code=2).err
