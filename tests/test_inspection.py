"""Reading a run, also one that is not finished or was made again."""

import json
from pathlib import Path

import pytest

from promptcot import inspection
from promptcot.errors import Incomplete, UsageError
from promptcot.executors import Draining, LocalWorkplace, each
from promptcot.outcomes import Drop
from promptcot.recipes import load
from promptcot.records import ConceptSet, Dropped, record_id
from promptcot.running import open_recipe, run_recipe
from promptcot.store import Run, StepSpec
from tests.runs import concept_sets, recipe


def a_set(name: str, *parents: str) -> ConceptSet:
    return ConceptSet(id=record_id("concept_set", parents, 0, name), parents=parents, concepts=(name,), level="AIME")


def dropped(row: ConceptSet) -> Dropped:
    return Dropped(id=row.id, parents=row.parents, reason=Drop.NO_TASK, detail="", content="{}")


def fill(run: Run, name: str, rows, *, stop_after: int | None = None) -> None:
    """Commit rows in shards of 2 under `name`; leave after `stop_after` of them, as a stopped process does."""
    draining = Draining()

    def work(tasks):
        for count, (index, made) in enumerate(each(tasks, lambda row: [row])):
            yield index, made
            if count + 1 == stop_after:
                draining.request()

    spec = StepSpec(name, ConceptSet, 1, {"rows": len(rows)}, {})
    with run.writing():
        LocalWorkplace(run, draining=draining).rows(spec, rows, work, shard_rows=2)


@pytest.fixture
def run(tmp_path) -> Run:
    content = load(recipe(tmp_path)).model_dump(mode="json", by_alias=True)
    return Run.create(tmp_path / "run", content)


def test_a_stopped_step_is_partial_and_counts_what_is_committed(run):
    rows = [a_set(str(n)) for n in range(6)]
    with pytest.raises(Incomplete):
        fill(run, "synthesize/problems", [*rows[:3], dropped(rows[3]), *rows[4:]], stop_after=4)
    (step,) = inspection.steps(run)
    assert (step.name, step.state, step.rows_in, step.rows_out, step.dropped) == ("synthesize/problems", "partial", 4, 3, {"no_task": 1})
    assert states(run) == {"synthesize": "partial", "screen": "absent", "report": "absent"}
    assert inspection.table(run, "synthesize").num_rows == 3


def test_rows_that_were_not_committed_are_not_shown(run):
    fill(run, "screen", [a_set(str(n)) for n in range(4)])
    (part, *_) = run.path.glob("screen/*/part-00000.parquet")
    (part.parent / "part-00009.parquet").write_bytes(part.read_bytes())
    assert inspection.table(run, "screen").num_rows == 4


def test_a_stage_between_two_of_its_steps_is_not_done(run):
    fill(run, "synthesize/concept_sets", [a_set("a")])
    assert inspection.status(run)["stages"][0]["state"] == "partial"


def test_a_finished_run_is_done_to_the_report_until_a_stage_begins_anew(tmp_path):
    path = recipe(tmp_path)
    run_recipe(*open_recipe(str(path), tmp_path / "run", (), None))
    run = Run.open(tmp_path / "run")
    assert states(run) == {"synthesize": "done", "screen": "done", "report": "done"}
    changes = [f"inputs.concept_sets.0={concept_sets(tmp_path / 'more.jsonl', 3)}", "models.generator=nowhere"]
    with pytest.raises(UsageError, match="nowhere"):  # after the new concept sets, before their problems
        run_recipe(*open_recipe(str(path), tmp_path / "run", changes, None))
    assert states(run)["synthesize"] == "partial"
    run_recipe(*open_recipe(str(path), tmp_path / "run", changes[:1], None))
    assert states(run) == {"synthesize": "done", "screen": "done", "report": "done"}
    assert inspection.table(run, "screen").num_rows == 3


def states(run: Run) -> dict[str, str]:
    return {stage["name"]: stage["state"] for stage in inspection.status(run)["stages"]}


def test_a_stage_s_name_stands_for_its_last_table(run):
    fill(run, "synthesize/concept_sets", [a_set("a")])
    fill(run, "synthesize/problems", [a_set("b"), a_set("c")])
    assert inspection.table(run, "synthesize").column("concepts").to_pylist() == [["b"], ["c"]]
    assert inspection.table(run, "synthesize/concept_sets").num_rows == 1
    with pytest.raises(UsageError, match="no step `em` in this run"):
        inspection.table(run, "em")


def test_a_step_without_drops_has_an_empty_table_of_drops(run):
    fill(run, "screen", [a_set("a")])
    assert inspection.table(run, "screen", dropped=True).schema.names[-3:] == ["reason", "detail", "content"]


def test_a_lineage_goes_through_every_generation_and_names_drops(run):
    old = a_set("grandparent")
    parents = [a_set("mother", old.id), a_set("father", old.id)]
    child = a_set("child", *(p.id for p in parents))
    fill(run, "synthesize/concept_sets", [old, *parents])
    fill(run, "synthesize/problems", [child, a_set("stranger")])
    fill(run, "screen", [dropped(child)])
    found = inspection.explain(run, child.id[:8])
    assert [(f.step, f.dropped, f.row["id"]) for f in found] == [
        ("synthesize/problems", False, child.id),
        ("screen", True, child.id),
        *[("synthesize/concept_sets", False, p.id) for p in parents],
        ("synthesize/concept_sets", False, old.id),
    ]


def test_a_row_that_is_its_own_ancestor_ends_the_search(run):
    loop = ConceptSet(id="a" * 32, parents=("a" * 32,), concepts=("a",), level="AIME")
    fill(run, "screen", [loop])
    assert len(inspection.explain(run, "aaaa")) == 1


def test_an_ambiguous_prefix_names_candidates(run):
    fill(
        run,
        "screen",
        [ConceptSet(id="ab" + "0" * 30, concepts=("a",), level="-"), ConceptSet(id="ac" + "0" * 30, concepts=("a",), level="-")],
    )
    with pytest.raises(UsageError, match=f"2 rows have an id that starts with `a`: ab{'0' * 30}, ac{'0' * 30}"):
        inspection.explain(run, "a")


def test_long_lists_of_numbers_are_left_out_of_print():
    shown = json.loads(inspection.shown({"ids": list(range(20)), "concepts": ["a"] * 20, "text": "ü"}))
    assert shown == {"ids": "[20 numbers]", "concepts": ["a"] * 20, "text": "ü"}


def test_nothing_is_written_by_looking(run):
    fill(run, "screen", [a_set("a")])
    before = snapshot(run.path)
    inspection.status(run)
    inspection.table(run, "screen")
    inspection.explain(run, a_set("a").id)
    assert snapshot(run.path) == before


def snapshot(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
