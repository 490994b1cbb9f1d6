"""SIGKILL anywhere, then resume: the same bytes, nothing lost, nothing finished done again."""

import json
import random
import shutil
import time
from pathlib import Path

import pytest

from tests.kill.conftest import Place
from tests.kill.driver import ITEMS
from tests.kill.runs import committed, content, rows


def answered(run: Path) -> set[int]:
    """Items of the program of steps whose answers are on disk: in a committed shard, or a whole line of a journal."""
    shards = (json.loads(path.read_text())["index"] for path in run.glob("answers/*/shard-*.json"))
    found = {item for shard in shards for item in range(4 * shard, min(ITEMS, 4 * shard + 4))}
    for path in run.glob("answers/*/journal-*.jsonl"):
        whole = path.read_bytes().split(b"\n")[:-1]
        found |= {json.loads(line.partition(b" ")[2])[0] for line in whole}
    return found


def worked(run: Path) -> list[int]:
    """Items of the program of steps in the order they were worked on, by all processes so far."""
    log = run.parent / "worked.log"
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def check_resume(place: Place, program: str, run: Path) -> None:
    finished, items, before = committed(run), answered(run), worked(run)
    assert place.server(*place.argv(program, run)).finished
    assert content(run) == place.whole[program]
    after = committed(run)
    assert {name: after[name] for name in finished} == finished, "a committed file was written again"
    if program == "steps":
        assert sorted(worked(run)[len(before) :]) == sorted(set(range(ITEMS)) - items), "an item was lost or done twice"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("program", ["pipeline", "steps"])
def test_killed_at_every_call_of_the_commit_protocol_a_run_resumes_to_the_same_bytes(place: Place, program: str) -> None:
    calls = 0
    while True:
        calls += 1
        run = place.folder / f"{program}-{calls}" / "run"
        run.parent.mkdir()
        if place.server(*place.argv(program, run), kill_at=calls).finished:
            break
        check_resume(place, program, run)
        shutil.rmtree(run.parent)
    assert calls > 150, "the traps were not set"


@pytest.mark.parametrize("program", [pytest.param("pipeline", marks=pytest.mark.slow), "steps"])
def test_killed_again_and_again_a_run_still_ends_in_the_same_bytes(place: Place, program: str, run: Path) -> None:
    kills = 0
    while not place.server(*place.argv(program, run), kill_at=kills + 1).finished:
        kills += 1
    assert kills > 10, "the traps were not set"
    assert content(run) == place.whole[program]


@pytest.mark.slow
@pytest.mark.parametrize("program", ["pipeline", "steps"])
def test_killed_at_random_times_a_run_ends_in_the_same_bytes(place: Place, program: str) -> None:
    chance, kills = random.Random(program), 0
    for number in range(12):
        run = place.folder / f"{program}-random-{number}" / "run"
        run.parent.mkdir()
        started = time.monotonic()
        assert place.server(*place.argv(program, run)).finished
        longest = 1.1 * (time.monotonic() - started)
        shutil.rmtree(run.parent)
        run.parent.mkdir()
        while not place.server(*place.argv(program, run), kill_after=chance.uniform(0, longest)).finished:
            kills += 1
        assert content(run) == place.whole[program]
    assert kills


def test_the_tables_hold_what_the_script_wrote(place: Place) -> None:
    tables = rows(place.folder / "pipeline" / "run")
    written = [row for name, table in tables.items() if name.startswith("synthesize/problems") and "part-" in name for row in table]
    unparsed = [row for name, table in tables.items() if name.startswith("synthesize/problems") and "dropped-" in name for row in table]
    assert (len(written), len(unparsed)) == (117, 13)
    assert {row["id"] for name, table in tables.items() if name.startswith("screen/") and "/validity/" not in name for row in table} == {
        row["id"] for row in written
    }


@pytest.mark.parametrize("program", ["pipeline", "steps"])
def test_running_a_finished_run_again_writes_nothing_but_that_it_did(place: Place, program: str) -> None:
    run = place.folder / program / "run"

    def times() -> dict[Path, int]:
        files = (path for path in run.rglob("*") if path.is_file() and path.name not in ("lock", "stages.json"))
        return {path: path.stat().st_mtime_ns for path in files}

    before = times()
    assert place.server(*place.argv(program, run)).finished
    assert times() == before
    assert content(run) == place.whole[program]
