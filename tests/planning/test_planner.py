"""Whole plans: the shipped recipes, the CLI, JSON, run folders, a probe, and the estimate beside what a run used."""

import json
from pathlib import Path

import pytest

import promptcot
from promptcot.errors import UsageError
from promptcot.planning import machine, plan_recipe, shown
from promptcot.planning.beside import Actual, actual, line
from promptcot.planning.corpus import SPLITS, corpus_of
from promptcot.planning.figures import Figures
from promptcot.planning.machines import planned_machine
from promptcot.planning.probe import probe
from promptcot.planning.work import Kind
from promptcot.recipes import builtin_recipes, load
from promptcot.store import Run
from promptcot.usage import Usage
from tests.engines.conftest import save_tiny_model
from tests.planning.plans import planned
from tests.runs import Shell, concept_sets, jsonl, recipe
from tests.test_pipeline import tabular

SEEDS = [{"problem": f"Add {n} and {n + 1}, then name the sum of {n} such pairs.", "concepts": ["addition"], "level": "AMC8",
          "rationale": f"Pairs hide a product; {n} keeps it small."} for n in range(12)]  # fmt: skip


@pytest.fixture
def shell(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROMPTCOT_DATA", raising=False)
    return Shell(monkeypatch, capsys)


# the shipped recipes


@pytest.mark.parametrize("name", [name for name in builtin_recipes() if name != "demo"])
def test_every_shipped_recipe_is_planned_for_its_machine(name):
    found = load(name)
    plan = plan_recipe(found, planned_machine(found))
    assert [stage.name for stage in plan.stages][-1] == "report"
    assert all(stage.hours.mid > 0 for stage in plan.stages if stage.steps)
    json.dumps(shown.as_json(plan), allow_nan=False)


def test_the_node_recipe_holds_at_most_400_gpu_hours_even_where_all_goes_badly():
    found = load("node-8xh100")
    plan = plan_recipe(found, planned_machine(found))
    assert not plan.refusals
    assert plan.held_gpu_hours.high <= 400
    assert plan.machine.gpus == 8
    assert max(stage.memory.need.high for stage in plan.stages if stage.memory) <= plan.machine.memory


@pytest.mark.parametrize("name", ["paper-selfplay-4b", "paper-selfplay-30b", "paper-sft-7b"])
def test_nothing_of_the_papers_post_training_is_refused_on_its_machine_and_the_fit_is_on_one_device(name):
    found = load(name)
    assert not plan_recipe(found, planned_machine(found)).refusals
    alone = load(name, ["training.launch=single", "training.processes=1"])
    assert {r.what.split()[0] for r in plan_recipe(alone, planned_machine(alone)).refusals} == {"fitting"}


def test_the_papers_post_training_has_its_numbers():
    """Prompts of self-play, by section 5; tokens of teacher traces, by section 6."""
    for name, prompts in (("paper-selfplay-4b", 48_113), ("paper-selfplay-30b", 11_209)):
        found = load(name)
        own, human = (sum(given.rows or 0 for given in inputs) for inputs in (found.inputs.problems, found.inputs.seeds))
        assert own + human == prompts
        assert found.self_play is not None
        assert found.self_play.human == pytest.approx(human / prompts, abs=1e-4)
    taught = load("paper-sft-7b")
    assert sum(given.rows or 0 for given in taught.inputs.problems) == 4_766_890
    assert plan_recipe(taught, planned_machine(taught)).stage("distill").tokens.sampled.mid == pytest.approx(35e9, rel=0.01)


@pytest.mark.parametrize("name", ["paper-math", "paper-code"])
def test_of_the_papers_recipes_nothing_is_refused_on_eight_h200_and_on_eight_h100_the_fits_alone(name):
    found = load(name)
    plan = plan_recipe(found, planned_machine(found))
    assert (plan.machine.gpu, plan.machine.gpus) == ("H200", 8)
    assert not plan.refusals
    assert plan.corpus.train == 6365 + 9221
    small = plan_recipe(found, machine("H100", 8))
    assert {(r.stage, r.exit_code) for r in small.refusals} == {("cold_start", 5), ("em", 5)}
    assert all("`training: {launch: fsdp2, processes: 16, nodes: 2, on_nodes: [...]}` on 16 of these" in r.remedy for r in small.refusals)
    spread = found.training.model_copy(update={"processes": 16, "nodes": 2, "on_nodes": ["srun"]})
    assert not plan_recipe(found.model_copy(update={"training": spread}), machine("H100", 16)).refusals


def test_the_papers_recipes_together_make_its_number_of_prompts():
    rows = [load(name).inputs.concept_sets[0].rows for name in ("paper-math", "paper-code")]
    assert [64 * (n or 0) for n in rows] == [pytest.approx(3_578_385, rel=1e-4), pytest.approx(1_188_505, rel=1e-4)]


def test_the_code_recipe_finds_the_fits_of_the_math_recipe_again():
    """Whatever goes into the keys of the cold start and EM is the same in both."""
    math, code = load("paper-math"), load("paper-code")
    for part in ("seed", "models", "engines", "training", "annotate", "cold_start", "em", "gates"):
        assert getattr(math, part) == getattr(code, part)
    assert math.inputs.seeds == code.inputs.seeds
    assert all(given.domain for given in math.inputs.seeds[:2])


# corpus


def test_rows_are_split_as_a_run_would_split_them_where_only_their_number_is_known():
    corpus = corpus_of(load("node-8xh100"), Figures())
    assert (corpus.train, corpus.dev) == (round(12_000 * SPLITS[0]), 200)
    assert corpus.asked == (12_000, 12_000)


def test_an_input_that_is_neither_here_nor_counted_is_refused_with_a_remedy():
    with pytest.raises(UsageError, match=r"not-here.jsonl(.|\n)*--set inputs.seeds.0.rows=N"):
        planned({"inputs": {"seeds": [{"path": "not-here.jsonl"}]}, "synthesize": {}})


def test_a_rationale_that_is_given_is_counted_with_its_tokens(tmp_path):
    """Where rows and tokenizer are here, the plan's training tokens are exactly what a fit passes over."""
    from promptcot.engines.tokenizing import open_tokenizer
    from promptcot.seeds import read_seeds
    from promptcot.segments import Segmenter

    path = tiny_recipe(tmp_path)
    found = load(path)
    plan = plan_recipe(found, machine("CPU"))
    segmenter = Segmenter(open_tokenizer(tmp_path / "tiny"))
    train = [s for s in read_seeds(found.inputs.seeds, domain="math", seed=0).rows if s.split == "train"]
    whole = [segmenter.generator(s, segmenter.rationale(s.rationale or "")) for s in train]  # type: ignore[arg-type]
    (step,) = [p.step for p in plan.stage("cold_start").steps if p.step.name == "cold_start/generator"]
    assert step.tokens.fitted.mid == pytest.approx(2 * sum(map(len, whole)))
    assert step.tokens.trained.mid == pytest.approx(2 * sum(len(z) + len(x) for t in whole for z, x in [t.segments]))


def tiny_recipe(folder: Path, **sections):
    content = {
        "models": {"generator": str(save_tiny_model(folder / "tiny")), "posterior": {"role": "generator"}},
        "engines": {"default": {"kind": "transformers", "dtype": "fp32"}},
        "inputs": {"seeds": [str(jsonl(folder / "seeds.jsonl", SEEDS))]},
        "training": {"max_tokens": 2000, "dtype": "fp32"},
        "cold_start": {"epochs": 2, "batch": 4},
        "em": {"rounds": 1, "candidates": 2, "sample": {"max_tokens": 8}, "bound": {"seeds": 2, "k": [1]}},
        "gates": {"format_rate": 0.0},
        "synthesize": {"concept_sets": 4, "concepts": 1, "sample": {"max_tokens": 8}},
    }
    return recipe(folder, **{**content, **sections})


# a probe


@pytest.mark.slow
def test_a_probe_measures_each_kind_of_work_and_takes_the_figures_place(tmp_path):
    found = load(tiny_recipe(tmp_path))
    said: list[str] = []
    measured = probe(found, rows=6, say=said.append)
    name = str(tmp_path / "tiny")
    models_do = [kind for kind in Kind if kind is not Kind.RUN]
    assert set(measured) == {(kind, name) for kind in models_do}
    assert len(said) == 3
    plan = plan_recipe(found, machine("CPU"), measured=measured)
    used = {figure.name for figure in plan.figures}
    assert plan.measured
    assert not used & {"cpu_sample_rate", "cpu_score_rate", "cpu_train_rate"}
    assert {f"{kind} rate of {name}" for kind in models_do} <= used
    (fitted,) = [p for p in plan.stage("cold_start").steps if p.step.name == "cold_start/generator"]
    assert fitted.hours.mid * 3600 >= fitted.step.tokens.fitted.mid / measured[Kind.FIT, name].mid


def test_a_probe_without_rows_is_refused():
    with pytest.raises(UsageError, match="a probe needs"):
        probe(load("node-8xh100"))


# the command


def test_the_command_prints_a_table_and_the_figures_with_their_sources(shell):
    done = shell("plan", "node-8xh100")
    assert done.out.splitlines()[0].startswith("node-8xh100 on 8 x H100")
    assert "GPU-hours held" in done.out
    assert "rationale_tokens" in done.out
    assert "[NVIDIA H100 SXM data sheet" in done.out


def test_a_refused_plan_is_printed_whole_and_leaves_with_its_code(shell):
    done = shell("plan", "paper-math", "--gpu", "H100", code=5)
    assert "REFUSED cold_start: fitting `Qwen/Qwen2.5-32B` needs" in done.out
    assert "synthesize" in done.out


def test_the_json_is_for_scripts(shell):
    found = json.loads(shell("plan", "node-8xh100", "--json", "--figure", "usd_per_gpu_hour=2").out)
    assert found["schema"] == 1
    assert found["exit_code"] == 0
    assert found["calibrated"] is False
    assert found["total"]["usd"]["mid"] == pytest.approx(2 * found["total"]["held_gpu_hours"]["mid"])
    stages = {stage["name"]: stage for stage in found["stages"]}
    assert stages["synthesize"]["tokens"]["sampled"]["mid"] == 2_000_000 * 870
    assert sum(stage["hours"]["mid"] for stage in found["stages"]) == pytest.approx(found["total"]["hours"]["mid"])
    assert {"name", "low", "mid", "high", "unit", "source"} == set(found["figures"][0])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plan", "node-8xh100", "--gpu", "H10"], "did you mean H100"),
        (["plan", "node-8xh100", "--figure", "rationale_tokens=many"], "is not NAME=NUMBER"),
        (["plan", "node-8xh100", "--figure", "rationale=1"], "no planning figure `rationale`"),
        (["plan", "node-8xh100", "--probe"], "a probe measures this machine"),
        (["plan", "node-8xh100", "--set", "plan.gpu=H1000"], "plan.gpu"),
        (["plan", "nothing"], "no recipe `nothing`"),
        (["plan", "node-8xh100", "--set", "models.base=someone/unknown"], "shape of `someone/unknown` is not known"),
    ],
)
def test_wrong_usage_leaves_with_2_and_a_remedy(shell, arguments, said):
    assert said in shell(*arguments, code=2).err


def test_rows_given_below_data_take_the_place_of_the_counted_ones(shell, tmp_path):
    (tmp_path / "data").mkdir()
    jsonl(tmp_path / "data" / "seeds.jsonl", SEEDS)
    found = json.loads(shell("plan", "node-8xh100", "--data", tmp_path / "data", "--json").out)
    assert found["corpus"]["train"] < len(SEEDS)
    assert "lengths by characters" in found["notes"][0]


# beside a run


def test_after_a_stage_a_run_says_estimate_and_actual(shell, tmp_path):
    done = shell("run", recipe(tmp_path))
    (told,) = [text for text in done.err.splitlines() if "used (estimated)" in text]
    assert told.startswith("  synthesize, used (estimated): ")
    again = shell("run", tmp_path / "runs" / "small")
    assert "used (estimated)" not in again.err


def test_a_run_folder_is_planned_from_the_rows_it_has(shell, tmp_path):
    path = tiny_recipe(tmp_path)
    shell("run", path, "--until", "annotate")
    (tmp_path / "seeds.jsonl").unlink()
    plan = promptcot.plan(tmp_path / "runs" / "small", gpu="CPU")
    assert plan.corpus.basis == "12 rows read, tokenized"


def test_what_was_not_counted_is_left_out_of_the_comparison():
    stage = planned({"synthesize": {"concept_sets": 1000, "sample": {"max_tokens": 4096}}}).stage("synthesize")
    unknown = line(stage, Actual(7200.0, Usage()))
    assert "tokens" not in unknown
    assert "2.0 h (" in unknown
    assert "sampled 900k tokens (870k, 780k-1.17M)" in line(stage, Actual(7200.0, Usage(tokens_out=900_000)))


def test_what_a_run_on_exact_tables_used_is_what_was_planned(tmp_path):
    """Every draw is one symbol there and valid, so estimate and count are equal, but that equal draws are scored once."""
    path = tabular(tmp_path)
    promptcot.run(path, folder=tmp_path / "run")
    plan = plan_recipe(load(path), machine("CPU"), figures={"valid_share": 1, "draw_growth": 1, "rescored_share": 0})
    for stage in ("em", "synthesize"):
        used, tokens = actual(Run.open(tmp_path / "run"), stage).usage, plan.stage(stage).tokens
        assert used.tokens_out == pytest.approx(tokens.sampled.mid)
        expected = (tokens.read + tokens.scored).mid
        assert 0.8 * expected <= used.tokens_in <= expected
        assert used.tokens_trained == pytest.approx(tokens.fitted.mid)


def test_a_run_that_cannot_be_estimated_goes_on(shell, tmp_path):
    path = recipe(tmp_path, plan={"figures": {"no_such_figure": 1}})
    done = shell("run", path)
    assert "no estimate for synthesize: no planning figure `no_such_figure`" in done.err


def test_a_recipe_for_concept_sets_alone_is_planned(tmp_path):
    plan = plan_recipe(load(recipe(tmp_path, inputs={"concept_sets": [str(concept_sets(tmp_path / "s.jsonl", 7))]})), machine("CPU"))
    assert plan.corpus.concept_sets == 7
    assert plan.hours.high == 0
