"""The outside contract: exit codes, streams, what each verb prints. Others script against it."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

import promptcot
from promptcot.records import record_id
from tests.runs import NO_REPLY, PROBLEM, REPLY, Shell, concept_sets, jsonl, process, recipe, script


@pytest.fixture
def shell(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROMPTCOT_DATA", raising=False)
    return Shell(monkeypatch, capsys)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A finished run in which concept set 3 gets no problem; tests may only read it."""
    folder = Path(tmp_path_factory.mktemp("finished"))
    model = script(folder / "model", ("concept 3\n", NO_REPLY))
    promptcot.run(recipe(folder, models={"generator": str(model)}), folder=folder / "run")
    return folder / "run"


# help and version


HEAVY = {"torch", "transformers", "pyarrow", "numpy", "yaml", "httpx"}


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [(["--help"], HEAVY | {"pydantic"}), (["run", "--help"], HEAVY), (["models", "--help"], HEAVY)],  # typer reads options with pydantic
)
def test_help_imports_no_heavy_library(arguments, heavy):
    before = f"import atexit; atexit.register(lambda: print('HEAVY', sorted({heavy} & set(sys.modules))))"
    with process(*arguments, before=before) as child:
        out, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    assert out.splitlines()[-1] == "HEAVY []"


def test_the_installed_command_and_the_module_are_the_same():
    command = shutil.which("promptcot", path=str(Path(sys.executable).parent))
    assert command, "the package is not installed"
    for start in ([command], [sys.executable, "-m", "promptcot.cli"]):
        done = subprocess.run([*start, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout == f"{promptcot.__version__}\n"


# exit codes and streams


def test_a_run_prints_its_folder_first_and_the_report_last(shell):
    done = shell("run", recipe(Path("here")))
    assert done.err.splitlines()[0] == "run folder: runs/small"
    assert done.out == "runs/small/report/index.html\n"
    assert Path("runs/small/report/index.html").is_file()


def test_a_fault_of_ours_leaves_with_1(tmp_path):
    broken = "import promptcot.running as r; r.write_report = lambda *a: 1 / 0"
    with process("run", recipe(tmp_path), "--run", tmp_path / "run", before=broken) as child:
        _, err = child.communicate(timeout=60)
    assert child.returncode == 1
    assert "ZeroDivisionError" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["report", "runs/none"], "no run here"),
        (["run", "demmo"], "did you mean demo?"),
        (["run", "demo", "--set", "em.ruonds=2"], "em.ruonds: unknown key; did you mean `rounds`?"),
        (["run", "demo", "--set", "em.rounds=-1"], "em.rounds"),
        (["run", "demo", "--set", "em.rounds"], "is not key=value"),
        (["run", "demo", "--only", "label"], "no stage `label`"),
        (["run", "demo", "--only", "em", "--until", "em"], "exclude each other"),
        (["run", "demo", "--redo", "sreen"], "no stage `sreen`"),
        (["run", "demo", "--rows", "0"], "--rows"),
        (["run"], "Missing argument"),
        (["status", "nowhere"], "no run here"),
        (["screen"], "both --in and --out"),
        (["screen", "--in", "a.jsonl"], "both --in and --out"),
        (["screen", "demo", "--against", "human-eval"], "go with --in"),
        (["screen", "--in", "a.jsonl", "--out", "b.jsonl"], "a.jsonl"),
    ],
)
def test_wrong_usage_leaves_with_2_and_says_what_is_wrong(shell, arguments, said):
    done = shell(*arguments, code=2)
    assert said in done.err
    assert done.out == ""
    assert "Traceback" not in done.err


def test_an_error_says_where_and_the_remedy(shell):
    path = Path("bad.yaml")
    path.write_text("schema: 1\nname: bad\ninputs: {}\nscren: {}\n", encoding="utf-8")
    assert shell("run", path, code=2).err == (
        "error: the recipe is not valid\n  where: bad.yaml\n  remedy: scren: unknown key; did you mean `screen`?\n"
    )


@pytest.mark.slow
def test_sigterm_leaves_with_3_in_seconds_and_the_same_command_finishes_the_work(tmp_path):
    sets = concept_sets(tmp_path / "sets.jsonl", 300)
    engine = {"default": {"kind": "scripted", "shard_rows": 64}}
    path = recipe(tmp_path, engines=engine, inputs={"concept_sets": [str(sets)]}, synthesize={"passes": 32}, screen=None)
    run = tmp_path / "run"
    with process("run", path, "--run", run) as child:
        while child.poll() is None and not list(run.glob("synthesize/problems/*/shard-*.json")):
            time.sleep(0.01)
        child.send_signal(signal.SIGTERM)
        _, err = child.communicate(timeout=20)
    assert child.returncode == 3, err
    assert "run the same command again to resume" in err
    (synthesis,) = (s for s in promptcot.status(run)["stages"] if s["name"] == "synthesize")
    assert synthesis["state"] == "partial"
    done = {path: path.stat().st_mtime_ns for path in run.glob("synthesize/problems/*/part-*.parquet")}
    assert 0 < len(done) < 150

    promptcot.run(path, folder=run)
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert promptcot.open(run)["synthesize/problems"].num_rows == 300 * 32


def test_a_gate_leaves_with_4_and_shows_examples(shell):
    rows = [{"problem": "What is 2 + 3 if every sum is doubled?"}, *[{"question": f"misnamed {n}"} for n in range(4)]]
    path = recipe(Path("here"), inputs={"problems": [str(jsonl(Path("own.jsonl"), rows))]}, synthesize=None)
    done = shell("run", path, code=4)
    assert "4 of 5 rows cannot be read: own.jsonl:2 problem: missing" in done.err
    assert "gates.error_rate" in done.err
    shell("run", path, "--set", "gates.error_rate=0.8")


def test_what_this_machine_lacks_leaves_with_5_and_names_the_command(tmp_path):
    model = tmp_path / "weights"
    model.mkdir()
    (model / "config.json").write_text("{}", encoding="utf-8")
    path = recipe(tmp_path, models={"generator": str(model)}, engines={"default": {"kind": "transformers"}})
    with process("run", path, "--run", tmp_path / "run", before="sys.modules['torch'] = None") as child:
        _, err = child.communicate(timeout=60)
    assert child.returncode == 5
    assert "python -m pip install 'promptcot[models]'" in err


# running again


def test_a_run_folder_resumes_from_the_recipe_it_holds(shell):
    path = recipe(Path("here"))
    shell("run", path, "--run", "mine", "--until", "synthesize", "--set", "synthesize.passes=2")
    path.unlink()
    done = shell("run", "mine")
    assert done.err.splitlines()[0] == "run folder: mine"
    assert promptcot.open("mine")["screen"].num_rows == 24
    assert "another" not in shell("run", "mine", "--run", "mine").err
    assert "different folders" in shell("run", "mine", "--run", "other", code=2).err


def test_rows_limits_inputs_and_concept_sets(shell):
    shell("run", recipe(Path("here")), "--rows", "5")
    assert promptcot.open("runs/small")["synthesize/concept_sets"].num_rows == 5
    assert promptcot.open("runs/small")["screen"].num_rows == 5


def test_until_stops_after_a_stage_and_only_needs_those_before(shell):
    path = recipe(Path("here"))
    missing = shell("run", path, "--only", "screen", code=2)
    assert "needs `synthesize/concept_sets`, which is not done" in missing.err
    assert "--until screen" in missing.err
    assert shell("run", path, "--until", "synthesize").out == "runs/small\n"
    assert states("runs/small") == {"synthesize": "done", "screen": "absent", "report": "absent"}
    shell("screen", path)
    assert states("runs/small") == {"synthesize": "done", "screen": "done", "report": "absent"}
    shell("run", path)
    assert set(states("runs/small").values()) == {"done"}


def states(folder: str) -> dict[str, str]:
    return {stage["name"]: stage["state"] for stage in promptcot.status(folder)["stages"]}


def test_changed_settings_are_kept_or_redone_as_asked(shell, monkeypatch):
    monkeypatch.setattr("promptcot.changes.SMALL", -1.0)
    path = recipe(Path("here"))
    shell("run", path)
    asked = shell("run", path, "--set", "screen.leak=0.5", code=2)
    assert "leak: 0.2 -> 0.5" in asked.err
    assert "--redo screen" in asked.err
    shell("run", "runs/small")  # the refused recipe is not the stored one
    before = tables("runs/small")
    shell("run", path, "--set", "screen.leak=0.5", "--keep", "screen")
    assert tables("runs/small") == before
    shell("run", path, "--set", "screen.leak=0.6", "--redo", "screen")
    assert len(tables("runs/small")) == len(before) + 1
    assert set(states("runs/small").values()) == {"done"}


def tables(folder: str) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in Path(folder).rglob("part-*.parquet")}


def test_a_second_writer_is_refused(shell, tmp_path):
    path = recipe(Path("here"))
    shell("run", path)
    from promptcot.store import Run

    with Run.open(Path("runs/small")).writing():
        assert "another process is working in this run" in shell("run", path, code=2).err


# looking


def test_status_as_scripts_read_it(shell, finished):
    found = json.loads(shell("status", finished, "--json").out)
    assert found.keys() == {"schema", "stages", "usage", "budget"}
    assert found["schema"] == 1
    assert [stage["name"] for stage in found["stages"]] == ["synthesize", "screen", "report"]
    for stage in found["stages"]:
        assert stage.keys() >= {"name", "state", "rows_in", "rows_out", "dropped", "seconds"}
        assert stage["state"] == "done"
        assert stage["rows_in"] == stage["rows_out"] + sum(stage["dropped"].values())
    assert found["stages"][0]["rows_in"] == 12
    assert found["stages"][0]["dropped"] == {"unparsable": 1}
    assert found["stages"][0]["usage"]["tokens_out"] == found["usage"]["tokens_out"] > 12 * len(NO_REPLY)
    assert {"tokens_in", "tokens_out", "tokens_trained", "requests", "usd", "gpu_seconds"} <= found["usage"].keys()
    assert found["budget"] == []


def test_status_as_people_read_it(shell, finished):
    lines = shell("status", finished, "--watch").out.splitlines()
    assert lines[0].split() == ["stage", "state", "in", "out", "seconds", "tokens", "usd", "gpu", "h", "hours", "dropped"]
    assert lines[1].split()[:4] == ["synthesize", "done", "12", "11"]
    assert lines[1].endswith("unparsable 1")
    assert lines[-1].startswith("in all")
    assert lines[-1].split()[2] == lines[1].split()[5], "the tokens of synthesis are all there are"


def test_rows_of_a_stage_are_json_lines(shell, finished):
    done = shell("rows", finished, "screen", "-n", "3")
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert len(rows) == 3
    assert all(row["problem"].startswith("Harbor") for row in rows)
    assert "3 of 11 rows" in done.err
    assert "steps here: synthesize/concept_sets, synthesize/problems, screen" in shell("rows", finished, "em", code=2).err


def test_dropped_rows_come_with_their_reason_and_content(shell, finished):
    (line,) = shell("rows", finished, "synthesize", "--dropped", "unparsable").out.splitlines()
    row = json.loads(line)
    assert row["reason"] == "unparsable"
    assert json.loads(row["content"])["completion"] == NO_REPLY
    none = shell("rows", finished, "synthesize", "--dropped", "leak")
    assert none.out == ""
    assert "dropped here: unparsable 1" in none.err
    assert "dropped here: nothing" in shell("rows", finished, "screen", "--dropped", "all").err


def test_explain_leads_back_to_the_concept_set(shell, finished):
    row = promptcot.open(finished)["screen"].to_pylist()[0]
    out = shell("explain", finished, row["id"][:12]).out
    assert [line for line in out.splitlines() if line.startswith("---")] == [
        "--- synthesize/problems",
        "--- screen",
        "--- synthesize/concept_sets",
    ]
    assert row["concepts"][0] in out
    (dropped,) = (json.loads(line) for line in shell("rows", finished, "synthesize", "--dropped", "all").out.splitlines())
    assert "--- synthesize/problems (dropped)" in shell("explain", finished, dropped["id"]).out


@pytest.mark.parametrize(("prefix", "said"), [("", "rows have an id that starts with ``"), ("zz", "0 rows have an id")])
def test_explain_wants_one_row(shell, finished, prefix, said):
    assert said in shell("explain", finished, prefix, code=2).err


def test_preview_shows_text_mask_and_parse(shell):
    model = script(Path("model"))
    engines = {"default": {"kind": "scripted"}}
    path = recipe(Path("here"), models={r: str(model) for r in ("generator", "posterior")}, engines=engines, inputs={"seeds": [STARTER]})
    out = shell("preview", path, "-n", "2").out
    assert [line.split()[1] for line in out.splitlines() if line.startswith("---")] == ["generator"] * 2 + ["posterior"] * 2
    assert "Difficulty Level: elementary\n | <!-- BEGIN RATIONALE -->" in out
    assert "<!-- END RATIONALE --> | \n<!-- BEGIN PROBLEM -->" in out
    assert f"[answers]\n{REPLY[:40]}" in out
    assert "[parsed]\nproblem: Harbor" in out
    assert "dropped: unparsable" in out  # q has to stop after its rationale
    shown = json.loads(shell("preview", path, "-n", "1", "--json").out)
    assert shown["schema"] == 1
    assert {row["role"] for row in shown["rows"]} == {"generator", "posterior"}


STARTER = "builtin:starter"


def test_preview_of_a_given_prompt_is_verbatim_and_needs_no_seeds(shell):
    prompt = "Write about  tides.\n\n"
    sets = jsonl(Path("sets.jsonl"), [{"prompt": prompt}])
    out = shell("preview", recipe(Path("here"), inputs={"concept_sets": [str(sets)]}), "-n", "3").out
    assert f"[reads]\n{prompt}\n[answers]" in out


def test_report_is_written_anew(shell):
    shell("run", recipe(Path("here")))
    page = Path("runs/small/report/index.html")
    page.unlink()
    assert shell("report", "runs/small").out == f"{page}\n"
    assert page.is_file()


# files in, files out


def test_screen_takes_plain_jsonl(shell):
    good = "A barge carries 14 crates a trip. How many trips do 200 crates take?"
    rows = [{"problem": good}, {"problem": good.upper()}, {"problem": "Prove that 2 is even."}, {"question": "?"}]
    done = shell("screen", "--in", jsonl(Path("in.jsonl"), rows), "--out", "new/out.jsonl")
    assert done.out == "new/out.jsonl\n"
    (kept,) = map(json.loads, Path("new/out.jsonl").read_text(encoding="utf-8").splitlines())
    assert kept["problem"] == good
    dropped = [json.loads(line)["reason"] for line in Path("new/out.jsonl.dropped.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted(dropped) == ["bad_row", "exact_duplicate", "proof"]
    assert "kept 1, dropped 3, bad_row 1, exact_duplicate 1, proof 1" in done.err


def test_screen_of_a_file_heeds_seeds_sets_and_data(shell):
    Path("far").mkdir()
    text = "Seven gulls share 91 fish so that each gets the same number. How many fish does each gull get in the end?"
    near = text.replace("Seven gulls", "Seven big gulls")
    jsonl(Path("far/in.jsonl"), [{"problem": near}])
    seeds = jsonl(Path("seeds.jsonl"), [{"problem": text}])
    common = ["screen", "--in", "in.jsonl", "--out", "out.jsonl", "--data", "far"]
    assert "kept 1" in shell(*common).err
    assert "near_duplicate 1" in shell(*common, "--seeds", seeds).err
    assert "kept 1" in shell(*common, "--seeds", seeds, "--set", "screen.near_duplicate=0.99").err
    assert "did you mean `near_duplicate`?" in shell(*common, "--set", "screen.near_duplicat=0.9", code=2).err


def test_data_names_a_folder_for_any_verb(shell, tmp_path):
    (tmp_path / "far").mkdir()
    concept_sets(tmp_path / "far" / "elsewhere.jsonl", 3)
    path = recipe(tmp_path / "here", inputs={"concept_sets": ["elsewhere.jsonl"]})
    assert "elsewhere.jsonl" in shell("run", path, code=2).err
    shell("preview", path, "--data", tmp_path / "far")
    shell("run", path, "--data", tmp_path / "far")
    assert promptcot.open("runs/small")["screen"].num_rows == 3


# the machine


def test_doctor_works_without_torch_and_says_what_is_missing(tmp_path):
    hide = "import os; sys.modules['torch'] = None; sys.modules['datasets'] = None; os.environ['PROMPTCOT_CACHE'] = 'nothing'"
    hide += "; os.environ['PROMPTCOT_VLLM_PYTHON'] = 'nowhere'"
    with process("doctor", "--json", before=hide, folder=tmp_path) as child:
        out, err = child.communicate(timeout=60)
    assert child.returncode == 5, err
    found = json.loads(out)
    assert found["schema"] == 1
    checks = {check["name"]: check for check in found["checks"]}
    assert checks["python"]["ok"]
    assert not checks["torch"]["ok"]
    assert checks["torch"]["remedy"] == "python -m pip install 'promptcot[models]'"
    assert checks["smollm2-135m-instruct"]["remedy"] == "promptcot models --fetch smollm2-135m-instruct"
    assert not checks["datasets"]["ok"]
    assert not checks["datasets"]["required"]
    assert "no interpreter `nowhere`" in checks["vllm"]["found"]
    assert checks["vllm"]["remedy"].startswith("make vllm")


def test_doctor_is_content_without_what_the_demo_does_not_need(shell, monkeypatch, tmp_path):
    from promptcot import models

    for alias in models.aliases():
        (tmp_path / "cache" / alias.folder.name).mkdir(parents=True)
    monkeypatch.setenv("PROMPTCOT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    done = shell("doctor")
    assert "--  reasoning_gym            absent" in done.out
    assert "python -m pip install 'promptcot[data]'" in done.out
    assert "NO" not in done.out


def test_models_lists_every_alias(shell):
    out = shell("models").out
    assert [line.split()[0] for line in out.splitlines()] == ["smollm2-135m-instruct", "all-minilm-l6-v2"]


# from Python


def test_an_open_run_is_a_map_of_arrow_tables(finished):
    run = promptcot.open(finished)
    assert set(run) == {"synthesize/concept_sets", "synthesize/problems", "screen", "screen/validity"}
    assert run["screen"].column("problem").to_pylist()[0].startswith("Harbor")
    assert run["synthesize"].equals(run["synthesize/problems"])
    with pytest.raises(KeyError, match="steps here"):
        run["em"]


def test_tables_are_read_by_others(finished, tmp_path):
    from datasets import load_dataset

    files = [str(path) for path in sorted(finished.glob("screen/*/part-*.parquet"))]
    rows = load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path))
    assert rows.num_rows == 11
    assert rows[0] == promptcot.open(finished)["screen"].to_pylist()[0]


def test_ids_are_the_same_on_any_machine(finished):
    for row in promptcot.open(finished)["synthesize/problems"].to_pylist():
        filled = REPLY.replace("{id}", row["parents"][0]).replace("{draw}", "0")
        assert row["id"] == record_id("problem", row["parents"], 0, filled)
        assert row["problem"] == PROBLEM.replace("{id}", row["parents"][0]).replace("{draw}", "0")


def test_the_stored_recipe_has_every_key(finished):
    stored = json.loads((finished / "run.json").read_text(encoding="utf-8"))["recipe"]
    again = finished.parent / "again.yaml"
    again.write_text(yaml.safe_dump(stored), encoding="utf-8")
    from promptcot.recipes import load

    assert load(again).model_dump(mode="json", by_alias=True) == stored
