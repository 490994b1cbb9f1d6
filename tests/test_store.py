"""A run on disk: keys, the commit, what counts and what is an orphan, the lock, the stored recipe."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptcot.durable import canonical, disk_errors, full_disk, read_json, remove_orphans, sha256_of, write_json
from promptcot.errors import UsageError
from promptcot.records import Dropped, Label, Seed
from promptcot.store import Run, Step, StepSpec
from promptcot.tables import from_table

SPEC = StepSpec("stage/step", Label, 1, {"a": {"b": 1}}, {"rows": "digest"})


def label(n: int) -> Label:
    return Label(id=str(n), problem="p", kind="gold", answer=str(n))


def drop(n: int) -> Dropped:
    return Dropped(id=str(n), reason="empty", detail="nothing there")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run.create(tmp_path / "run", {"name": "r"})
    with made.writing():
        pass
    return made


@pytest.fixture
def step(run: Run) -> Step:
    made = run.step(SPEC)
    made.folder.mkdir(parents=True)
    return made


# keys


@pytest.mark.parametrize(
    "change",
    [
        {"name": "stage/other"},
        {"record": Seed},
        {"record": None},
        {"schema": 2},
        {"settings": {"a": {"b": 2}}},
        {"settings": {"a": {"b": 1, "c": None}}},
        {"inputs": {"rows": "other"}},
        {"inputs": {"others": "digest"}},
    ],
)
def test_whatever_makes_a_result_is_in_its_key(change: dict[str, Any]) -> None:
    assert dataclasses.replace(SPEC, **change).key != SPEC.key


def test_a_key_is_the_same_in_every_process_and_order() -> None:
    assert SPEC.key == "6e8ee317065baf6c"
    a = StepSpec("s", Label, 1, {"x": 1, "y": (1, 2)}, {"m": "1", "n": "2"})
    b = StepSpec("s", Label, 1, {"y": [1, 2], "x": 1}, {"n": "2", "m": "1"})
    assert a.key == b.key


# JSON on disk

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=25)
@given(value=st.dictionaries(st.text().filter(lambda key: key != "check"), JSON))
def test_json_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, value: dict[str, Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "value.json"
    write_json(path, value)
    assert canonical(read_json(path)) == canonical(value)


def test_any_flipped_byte_of_a_json_file_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    path, value = tmp_path / "entry.json", {"index": 7, "rows_in": 64, "sha256": {"part-00007.parquet": "ab12"}, "seconds": 1.25, "z": None}
    write_json(path, value)
    whole = path.read_bytes()
    noticed = 0
    for place in range(len(whole)):
        for bit in (1, 16):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
            found = read_or_complaint(path)
            noticed += isinstance(found, UsageError)
            if isinstance(found, UsageError):
                assert (found.where, "delete it" in found.remedy) == (str(path), True)
            else:
                assert {name: found[name] for name in value} == value, (place, bit)
    assert noticed > len(whole)


def read_or_complaint(path: Path) -> dict[str, Any] | UsageError:
    try:
        return read_json(path)
    except UsageError as error:
        return error


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert read_json(path) == {"a": 1}


@pytest.mark.parametrize("text", ["[1]", "{", "", '{"a": "\ud800"}'])
def test_what_is_no_json_object_is_an_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "value.json"
    path.write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(UsageError) as raised:
        read_json(path)
    assert raised.value.where == str(path)


def test_orphans_of_killed_processes_go_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    orphans = [tmp_path / ".run.json.123.tmp", tmp_path / "deep" / ".part-00000.parquet.4.tmp"]
    others = [tmp_path / "run.json", tmp_path / ".tmp", tmp_path / "deep" / ".notes.tmp", tmp_path / "deep" / "x.1.tmp"]
    for path in orphans + others:
        path.touch()
    remove_orphans(tmp_path)
    assert not any(path.exists() for path in orphans)
    assert all(path.exists() for path in others)


def test_only_a_disk_that_takes_no_more_is_blamed_on_the_disk(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write: No space left on device"), full_disk(tmp_path):
        raise OSError(28, "No space left on device")
    with pytest.raises(FileNotFoundError), full_disk(tmp_path):
        (tmp_path / "absent").read_bytes()
    with pytest.raises(UsageError, match="cannot write: No such file"), disk_errors(tmp_path):
        (tmp_path / "absent").read_bytes()


# the commit


def test_a_committed_shard_has_its_rows_drops_and_hashes(step: Step) -> None:
    step.commit(0, 3, [label(0), label(1)], [drop(2)], 1.5)
    step.commit(1, 1, [label(3)], [], 0.5)
    entry = step.committed()[0]
    assert (entry.rows_in, entry.rows_out, entry.dropped, entry.seconds) == (3, 2, {"empty": 1}, 1.5)
    assert {name: sha256_of(step.folder / name) for name in entry.sha256} == entry.sha256
    assert from_table(step.table(), Label) == [label(0), label(1), label(3)]
    assert from_table(step.table("dropped"), Dropped) == [drop(2)]
    step.verify()


def test_the_first_commit_of_a_shard_wins(step: Step) -> None:
    step.commit(0, 1, [label(0)], [], 1.0)
    before = {path: path.stat().st_mtime_ns for path in step.folder.iterdir()}
    step.commit(0, 1, [label(9)], [], 1.0)
    assert {path: path.stat().st_mtime_ns for path in step.folder.iterdir()} == before


def test_rows_in_are_rows_out_plus_drops(step: Step) -> None:
    with pytest.raises(AssertionError, match="3 rows in, but 1 out and 1 dropped"):
        step.commit(0, 3, [label(0)], [drop(1)], 0.0)
    assert not list(step.folder.iterdir())


def test_files_without_an_entry_are_orphans(step: Step) -> None:
    """A process killed before its last rename; another, whose engine drew otherwise, then drops nothing."""
    step.commit(0, 2, [label(0)], [drop(1)], 0.0)
    (step.folder / "shard-00000.json").unlink()
    assert step.committed() == {}
    assert step.table().num_rows == 0
    step.commit(0, 2, [label(0), label(1)], [], 0.0)
    assert from_table(step.table(), Label) == [label(0), label(1)]
    assert step.table("dropped").num_rows == 0, "the orphan of the killed process was read"


def test_the_manifest_sums_the_shards_and_its_digest_is_of_content_only(run: Run, step: Step) -> None:
    other = Run.create(run.path.parent / "other", {}).step(SPEC)
    other.folder.mkdir(parents=True)
    for where, seconds in ((step, 1.0), (other, 99.0)):
        where.commit(1, 1, [label(2)], [], seconds)
        where.commit(0, 2, [label(0)], [drop(1)], seconds)
    made, again = step.finish(2), other.finish(2, {"note": 1})
    assert (made.rows_in, made.rows_out, made.dropped, made.seconds, made.shards) == (3, 2, {"empty": 1}, 2.0, 2)
    assert made.digest == again.digest
    assert step.manifest == made
    assert step.folder == run.path / "stage/step" / SPEC.key


@pytest.mark.parametrize("shards", [1, 3])
def test_a_step_is_finished_with_exactly_its_shards(step: Step, shards: int) -> None:
    for n in (0, 1):
        step.commit(n, 1, [label(n)], [], 0.0)
    with pytest.raises(AssertionError, match=f"{shards} shards wanted"):
        step.finish(shards)
    assert step.manifest is None


def finished(step: Step) -> Step:
    for n in (0, 1):
        step.commit(n, 2, [label(n)], [drop(n)], 0.0)
    step.finish(2)
    return step


DAMAGE: list[Callable[[bytes], bytes]] = [lambda b: b[:-1], lambda b: b"", lambda b: bytes([b[0] ^ 1]) + b[1:], lambda b: b + b"\0"]


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", ["part-00001.parquet", "dropped-00001.parquet"])
def test_verify_names_the_damaged_file_and_how_to_redo_its_shard(step: Step, name: str, damage: Callable[[bytes], bytes]) -> None:
    path = finished(step).folder / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UsageError) as raised:
        step.verify()
    assert raised.value.where == str(path)
    assert "shard-00001.json" in raised.value.remedy
    path.unlink()
    with pytest.raises(UsageError, match="damaged or missing"):
        step.verify()


def test_a_finished_step_that_lost_a_shards_entry_does_not_pass_for_whole(step: Step) -> None:
    (finished(step).folder / "shard-00001.json").unlink()
    with pytest.raises(UsageError, match="entry of a finished shard is missing") as raised:
        step.verify()
    assert raised.value.where.endswith("shard-00001.json")


def test_an_entry_with_other_keys_is_an_error_that_names_it(step: Step) -> None:
    write_json(step.folder / "shard-00000.json", {"index": 0})
    with pytest.raises(UsageError, match="not a ShardEntry") as raised:
        step.committed()
    assert raised.value.where.endswith("shard-00000.json")


# the run folder


def test_a_run_opens_as_it_was_created(run: Run) -> None:
    assert Run.open(run.path).recipe == {"name": "r"}
    assert Run.create(run.path, {"name": "r"}).recipe == {"name": "r"}


def test_no_run_a_file_and_a_foreign_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    with pytest.raises(UsageError, match="no run here"):
        Run.open(tmp_path / "absent")
    with pytest.raises(UsageError, match="is a file"):
        Run.create(tmp_path / "file", {})
    with pytest.raises(UsageError, match="not a run"):
        Run.create(tmp_path / "full", {})
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.tex"]


def test_a_run_of_another_format_is_refused_and_left_alone(run: Run) -> None:
    write_json(run.path / "run.json", {"format": 2, "recipe": {}})
    for enter in (lambda: Run.open(run.path), lambda: Run.create(run.path, {"name": "r"})):
        with pytest.raises(UsageError, match="format 2, this version reads 1"):
            enter()
    assert read_json(run.path / "run.json")["format"] == 2


def test_a_folder_whose_first_process_was_killed_at_once_is_a_run_folder(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    (tmp_path / ".run.json.77.tmp").touch()
    with Run.create(tmp_path, {"name": "r"}).writing():
        assert Run.open(tmp_path).recipe == {"name": "r"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "run.json"]


def test_one_process_writes_at_a_time_and_only_it_stores_its_recipe(run: Run) -> None:
    with run.writing():
        other = Run.create(run.path, {"name": "other"})
        with pytest.raises(UsageError, match=r"another process .* \(pid \d+ on"), other.writing():
            pytest.fail("two processes hold the lock")
        assert Run.open(run.path).recipe == {"name": "r"}
    with other.writing():
        assert Run.open(run.path).recipe == {"name": "other"}


def test_a_refused_recipe_gives_way_to_the_former_one(run: Run) -> None:
    other = Run.create(run.path, {"name": "other"})
    with other.writing():
        other.put_back()
    assert Run.open(run.path).recipe == {"name": "r"}
    with run.writing():
        run.put_back()
    assert Run.open(run.path).recipe == {"name": "r"}, "nothing was replaced, so there is nothing to put back"


def test_the_pointer_tells_the_key_in_use_what_it_stands_for_and_what_was_kept(run: Run) -> None:
    assert (run.current("stage/step"), run.kept("stage/step"), run.pointer("stage/step")) == (None, None, {})
    run.point(SPEC)
    run.keep("stage/step", {"wanted": "k"})
    assert run.pointer("stage/step") == {
        "key": SPEC.key,
        "kept": {"wanted": "k"},
        "settings": {"a": {"b": 1}},
        "inputs": {"rows": "digest"},
    }
    run.point(SPEC)
    assert run.kept("stage/step") is None, "the settings fit again"
    assert run.steps() == ["stage/step"]


# artifacts


def publish(step: Step, text: str) -> None:
    making = step.folder / ".making-x"
    (making / "deep").mkdir(parents=True)
    (making / "deep" / "weights").write_text(text)
    step.publish_artifact(making, "digest of " + text, 1.0, {"loss": 0.5})


def test_an_artifact_takes_the_place_of_one_without_a_manifest(step: Step) -> None:
    publish(step, "old")
    (step.folder / "manifest.json").unlink()
    publish(step, "new")
    assert (step.folder / "artifact" / "deep" / "weights").read_text() == "new"
    assert step.manifest is not None
    assert (step.manifest.digest, step.manifest.info) == ("digest of new", {"loss": 0.5})
    assert list(step.manifest.files) == ["deep/weights"]
    step.verify()


def test_a_damaged_artifact_is_named(step: Step) -> None:
    publish(step, "weights")
    (step.folder / "artifact" / "deep" / "weights").write_text("weight!")
    with pytest.raises(UsageError) as raised:
        step.verify()
    assert raised.value.where.endswith("artifact/deep/weights")
    assert str(step.folder / "manifest.json") in raised.value.remedy
