"""A full disk, a read-only folder, damage, two processes, SIGTERM, another recipe: a clear error or a correct resume."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from promptcot.durable import read_json, write_json
from tests.kill.conftest import Place
from tests.kill.runs import End, committed, content, held, promptcot, small_files, without_privilege


def verb(place: Place, run: Path, *more: str) -> tuple[str | Path, ...]:
    return ("run", place.recipe, "--run", run, "--until", "screen", *more)


def assert_resumes(place: Place, run: Path) -> None:
    kept = committed(run)
    assert place.server(*place.argv("pipeline", run)).finished
    assert content(run) == place.whole["pipeline"]
    after = committed(run)
    assert {name: after[name] for name in kept} == kept


# a disk that takes no more


def file_sizes(place: Place) -> list[int]:
    run = place.folder / "pipeline" / "run"
    return sorted({path.stat().st_size for path in run.rglob("*") if path.is_file() and path.name != "lock"})


@pytest.mark.parametrize("share", [0.0, pytest.param(0.5, marks=pytest.mark.slow), 1.0])
def test_a_refused_write_is_a_clear_error_and_the_run_resumes(place: Place, run: Path, share: float) -> None:
    sizes = file_sizes(place)
    limit = sizes[round(share * (len(sizes) - 1))] - 1
    ended = promptcot(*verb(place, run), before=small_files(limit))
    assert ended.returncode == 2, ended.stderr
    assert "cannot write: " in ended.stderr
    assert "File too large" in ended.stderr
    assert f"where: {run}" in ended.stderr
    assert "remedy: free space" in ended.stderr
    assert_resumes(place, run)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own of `size`, mounted on `folder`."""
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    folder.mkdir(parents=True)
    options = f"size={size},uid={os.getuid()},gid={os.getgid()}"
    mounted = subprocess.run([*as_root, "mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no right to mount a small file system ({mounted.stderr.strip()}); the refused writes above promise the same")
    try:
        yield folder
    finally:
        subprocess.run([*as_root, "umount", str(folder)], check=True)


@pytest.mark.parametrize("size", [pytest.param("16k", marks=pytest.mark.slow), "48k", pytest.param("80k", marks=pytest.mark.slow)])
def test_a_full_disk_is_a_clear_error_and_the_run_resumes_once_there_is_space(place: Place, tmp_path: Path, size: str) -> None:
    with small_disk(tmp_path / "disk", size) as disk:
        ended = promptcot(*verb(place, disk / "run"))
        assert ended.returncode == 2, ended.stderr
        assert "cannot write: " in ended.stderr
        assert "No space left on device" in ended.stderr
        assert f"where: {disk / 'run'}" in ended.stderr
        kept = committed(disk / "run")
        as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        subprocess.run([*as_root, "mount", "-o", "remount,size=8m", str(disk)], check=True)
        assert place.server(*place.argv("pipeline", disk / "run")).finished
        assert content(disk / "run") == place.whole["pipeline"]
        assert {name: committed(disk / "run")[name] for name in kept} == kept
        assert not list(disk.rglob(".*.tmp")), "what the full disk cut off still takes space"


# a folder that cannot be written


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    below = [folder, *(path for path in folder.rglob("*"))]
    modes = {path: path.stat().st_mode for path in below}
    for path in below:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def test_a_read_only_place_is_a_clear_error(place: Place, run: Path) -> None:
    with read_only(run.parent):
        ended = promptcot(*verb(place, run), before=without_privilege)
    assert ended.returncode == 2, ended.stderr
    assert "cannot write: Permission denied" in ended.stderr
    assert f"where: {run}" in ended.stderr
    assert_resumes(place, run)


def test_a_run_made_read_only_says_so_can_still_be_read_and_resumes(place: Place, run: Path) -> None:
    assert place.server("cli", "run", place.recipe, "--run", run, "--until", "synthesize").finished
    with read_only(run):
        ended = promptcot(*verb(place, run), before=without_privilege)
        status = promptcot("status", run, "--json", before=without_privilege)
    assert ended.returncode == 2, ended.stderr
    assert "cannot write: Permission denied" in ended.stderr
    assert f"where: {run}" in ended.stderr
    assert status.returncode == 0, status.stderr
    assert '"name": "synthesize"' in status.stdout
    assert_resumes(place, run)


# two processes, one folder


@pytest.mark.slow
def test_a_second_process_is_refused_with_the_first_ones_pid_and_changes_nothing(place: Place, run: Path) -> None:
    with held("synthesize/problems", 10, *verb(place, run)) as first:
        recipe = (run / "run.json").read_bytes()
        for more in ((), ("--set", "seed=7")):
            second = promptcot(*verb(place, run, *more))
            assert second.returncode == 2, second.stderr
            assert f"another process is working in this run (pid {first.pid} on " in second.stderr
            assert "remedy: wait for it, end it, or choose another --run" in second.stderr
            assert (run / "run.json").read_bytes() == recipe, "the refused process stored its own recipe"
        said = first.communicate("\n")
        assert first.returncode == 0, said
    assert content(run) == place.whole["pipeline"]


def test_a_killed_process_leaves_no_lock_behind(place: Place, run: Path) -> None:
    with held("synthesize/problems", 10, *verb(place, run)) as first:
        first.kill()
        first.wait()
        assert_resumes(place, run)


# SIGTERM


@pytest.mark.parametrize(
    ("step", "done", "shards"),
    [
        pytest.param("synthesize/concept_sets", 0, 0, marks=pytest.mark.slow),
        ("synthesize/problems", 10, 2),
        pytest.param("screen", 0, 3, marks=pytest.mark.slow),
    ],
)
def test_sigterm_drains_and_the_run_resumes(place: Place, run: Path, step: str, done: int, shards: int) -> None:
    with held(step, done, *verb(place, run)) as process:
        process.send_signal(signal.SIGTERM)
        said = process.communicate("\n")[1]
        assert process.returncode == 3, said
    assert f"stopped on request during `{step}`" in said
    assert "remedy: run the same command again to resume" in said
    assert len(list(run.rglob("shard-*.json"))) == shards
    assert_resumes(place, run)


@pytest.mark.slow
def test_a_second_sigterm_does_not_wait_for_the_shard(place: Place, run: Path) -> None:
    with held("synthesize/problems", 10, *verb(place, run)) as process:
        for patience in (0.3, 10, 20):  # two signals at once are one: on a busy machine the third is the second; all within the grace
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(patience)
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.returncode == 3, said
    assert len(list(run.rglob("shard-*.json"))) == 1
    assert_resumes(place, run)


# damage


def follow(ended: End) -> list[Path]:
    """Do what an error's remedy says: delete the file it names, or those beside it."""
    where = re.search(r"where: (.+)", ended.said)
    remedy = re.search(r"remedy: (.+)", ended.said)
    assert where, ended.said
    assert remedy, ended.said
    named = [Path(where[1]).parent / name for name in re.findall(r"\S+\.json", remedy[1])]
    doomed = [*named, *([Path(where[1])] if "delete it" in remedy[1] else [])]
    assert doomed, ended.said
    for path in doomed:
        path.unlink(missing_ok=True)
    return doomed


def damage(path: Path, how: str) -> None:
    raw = bytearray(path.read_bytes())
    if how == "truncated":
        del raw[len(raw) // 2 :]
    elif how == "missing":
        path.unlink()
        return
    else:
        raw[int(float(how) * (len(raw) - 1))] ^= 0x10
    path.write_bytes(raw)


def assert_heals(place: Place, program: str, run: Path, name: str, how: str) -> bool:
    """Damage a file of a finished run: it is noticed by name and the remedy mends it, or it did not matter. Whether it was noticed."""
    shutil.copytree(place.folder / program / "run", run)
    damage(run / name, how)
    ended = place.server(*place.argv(program, run))
    noticed = ended.code != 0
    if noticed:
        assert ended.code == 2, ended.said
        assert f"where: {run / name}\n" in ended.said
        follow(ended)
        assert place.server(*place.argv(program, run)).finished
    assert content(run) == place.whole[program], (name, how)
    return noticed


def files(place: Place, program: str) -> list[str]:
    return sorted(name for name in place.whole[program])


@pytest.mark.parametrize("how", ["0.5", "truncated"])
@pytest.mark.parametrize("kind", ["part-00001.parquet", "dropped-00000.parquet", "shard-00001.json", "weights.bin"])
def test_a_damaged_file_is_named_and_its_remedy_mends_it(place: Place, run: Path, kind: str, how: str) -> None:
    program = "steps" if kind == "weights.bin" else "pipeline"
    name = next(name for name in files(place, program) if name.endswith(kind))
    assert assert_heals(place, program, run, name, how)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["0.1", "0.5", "0.9", "truncated", "missing"])
@pytest.mark.parametrize("program", ["pipeline", "steps"])
def test_any_damage_is_noticed_or_harmless(place: Place, run: Path, program: str, how: str) -> None:
    for name in files(place, program):
        noticed = assert_heals(place, program, run, name, how)
        assert noticed or name.endswith(".json"), f"{name} is damaged and nobody says so"
        shutil.rmtree(run)


# another recipe


def make_costly(run: Path) -> None:
    """Pretend that each finished step took an hour."""
    for path in [*run.rglob("manifest.json"), *run.rglob("shard-*.json")]:
        write_json(path, {**read_json(path), "seconds": 3600.0})


WARMER = ("--set", "synthesize.sample.temperature=0.9")


@pytest.fixture
def costly(place: Place, run: Path) -> Path:
    shutil.copytree(place.folder / "pipeline" / "run", run)
    make_costly(run)
    return run


def cli(place: Place, run: Path, *more: str) -> End:
    return place.server("cli", *verb(place, run, *more))


def test_a_changed_recipe_names_field_cost_and_remedy_and_changes_nothing(place: Place, costly: Path) -> None:
    ended = cli(place, costly, *WARMER)
    assert ended.code == 2
    assert "`synthesize/problems` was made with other settings: sample.temperature: 0.8 -> 0.9" in ended.said
    assert "--redo synthesize" in ended.said
    assert "--keep synthesize" in ended.said
    redone = [path for path in costly.rglob("manifest.json") if path.relative_to(costly).parts[0] in ("synthesize", "screen", "label")]
    assert f"{3600 * len(redone)} s of finished work" in ended.said
    assert content(costly) == {**place.whole["pipeline"], "stages.json": content(costly)["stages.json"]}, "not even the stored recipe"
    assert place.server("cli", "run", costly, "--until", "screen").finished


def test_redo_makes_the_stage_and_what_follows_anew_and_the_old_result_is_not_lost(place: Place, costly: Path) -> None:
    before = committed(costly)
    assert cli(place, costly, *WARMER, "--redo", "synthesize").finished
    after = committed(costly)
    assert {name: after[name] for name in before} == before
    assert read_json(costly / "synthesize/problems/current.json")["settings"]["sample"]["temperature"] == 0.9
    assert cli(place, costly).finished, "back to the old recipe: nothing to redo, so nothing to ask"
    assert {name: value for name, value in content(costly).items() if name in place.whole["pipeline"]} == place.whole["pipeline"]


def test_keep_keeps_the_result_records_it_and_need_not_be_said_again(place: Place, costly: Path) -> None:
    before = committed(costly)
    for more in (("--keep", "synthesize"), ()):
        assert cli(place, costly, *WARMER, *more).finished
        assert committed(costly) == before
        kept = read_json(costly / "synthesize/problems/current.json")["kept"]
        assert kept["changed"] == ["sample.temperature: 0.8 -> 0.9"]
    assert '"kept": true' in promptcot("status", costly, "--json").stdout
    assert cli(place, costly).finished
    assert content(costly) == place.whole["pipeline"], "the settings fit again, so nothing is kept against them"


def test_a_changed_recipe_in_the_middle_of_a_step_is_refused_too(place: Place, run: Path) -> None:
    with held("synthesize/problems", 80, *verb(place, run)) as process:
        process.kill()
    make_costly(run)
    ended = cli(place, run, *WARMER)
    assert ended.code == 2
    assert "sample.temperature: 0.8 -> 0.9" in ended.said
    assert "--keep" not in ended.said, "there is no result to keep yet"
    assert_resumes(place, run)


def test_a_change_of_what_is_given_names_the_entry(place: Place, costly: Path) -> None:
    ended = cli(place, costly, "--set", f'inputs.concept_sets=[{{"path": "{place.folder / "given" / "sets.jsonl"}", "rows": 20}}]')
    assert ended.code == 2
    assert "0.rows: None -> 20" in ended.said
