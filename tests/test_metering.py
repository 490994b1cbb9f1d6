"""What engines and fits use is booked once, on the step that used it, whatever order answers come in and however often a process stops."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptcot import metering
from promptcot.engines.protocol import FitExample, Metered, SampleRequest, Sampling, ScoreRequest, Tokens
from promptcot.engines.scripted import ScriptedEngine
from promptcot.engines.tabular import TabularEngine
from promptcot.engines.tally import Tally
from promptcot.errors import Incomplete
from promptcot.executors import Draining, LocalWorkplace, Progress, Rows, Task
from promptcot.fitting import fit_role
from promptcot.metering import UNBOOKED, Account, Meter, spent, unbooked
from promptcot.recipe import Fit, Training
from promptcot.records import Label
from promptcot.store import Run, StepSpec
from promptcot.usage import NAMES, Usage, total
from tests import toy
from tests.test_executors import Worker

ITEMS, SHARD = 10, 4
SPEC = StepSpec("labels", Label, 1, {}, {})


class Paid(Worker):
    """A worker that is paid for: item n reads 2^n tokens, and opening it sends one request."""

    def __init__(self, place: LocalWorkplace, **options: Any) -> None:
        super().__init__(**options)
        self.place, self.tally = place, Tally(accelerators=2)

    def __call__(self, tasks: Iterator[Task[int]]) -> Iterator[tuple[int, Rows]]:
        with self.place.meter.reading(self.read):
            yield from super().__call__(tasks)
            self.tally.stop()

    def read(self) -> Usage:
        return self.tally.usage + Usage(requests=1, usd=self.tally.tokens_in / 3)

    def _one(self, window: list[Task[int]]) -> tuple[int, Rows]:
        index, rows = super()._one(window)
        self.tally.tokens_in += 1 << index
        return index, rows


def place_at(folder: Path, **options: Any) -> LocalWorkplace:
    run = Run.create(folder, {})
    with run.writing():
        return LocalWorkplace(run, **options)


def label(place: LocalWorkplace, journal: bool, **options: Any) -> Paid:
    """Run the step; the worker that did it, also when it failed."""
    worker = Paid(place, **options)
    with suppress(RuntimeError):
        place.rows(SPEC, range(ITEMS), worker, shard_rows=SHARD, journal=journal)
    return worker


def shard_usages(run: Path) -> list[Usage]:
    return [Usage.of(json.loads(path.read_text())["usage"]) for path in sorted(run.rglob("shard-*.json"))]


def manifest_usage(place: LocalWorkplace, name: str = "labels") -> Usage:
    manifest = place.run.manifest(name)
    assert manifest is not None
    assert set(manifest.usage) == set(NAMES)
    return Usage.of(manifest.usage)


def tokens_of(workers: list[Paid]) -> int:
    return sum(worker.tally.tokens_in for worker in workers)


# one step


@pytest.mark.parametrize("journal", [False, True])
def test_the_shards_of_a_step_add_up_to_what_was_used_though_answers_come_interleaved(tmp_path: Path, journal: bool) -> None:
    place, began = place_at(tmp_path), time.monotonic()
    worker = label(place, journal, ahead=7, seed=3)
    used, shards = manifest_usage(place), total(shard_usages(tmp_path))
    assert used.tokens_in == shards.tokens_in == (1 << ITEMS) - 1 == worker.tally.tokens_in
    assert used.requests == shards.requests == 1
    assert used.usd == pytest.approx(shards.usd) == pytest.approx(used.tokens_in / 3)
    assert used.gpu_seconds == pytest.approx(worker.tally.usage.gpu_seconds)
    assert 0 < used.wall_seconds <= time.monotonic() - began
    assert spent(place.run) == {"labels": used}
    assert not list(tmp_path.rglob(UNBOOKED))


def test_what_it_takes_to_close_an_engine_is_in_the_manifest(tmp_path: Path) -> None:
    place = place_at(tmp_path)

    def work(tasks: Iterator[Task[int]]) -> Iterator[tuple[int, Rows]]:
        worker = Paid(place)
        yield from worker(tasks)
        with place.meter.reading(lambda: Usage(gpu_seconds=90)):
            pass

    place.rows(SPEC, range(ITEMS), work, shard_rows=SHARD)
    assert manifest_usage(place).gpu_seconds - total(shard_usages(tmp_path)).gpu_seconds == pytest.approx(90, abs=1)


def test_usage_is_no_part_of_what_a_table_is_known_by(tmp_path: Path) -> None:
    paid, free = place_at(tmp_path / "paid"), place_at(tmp_path / "free")
    label(paid, False)
    table = free.rows(SPEC, range(ITEMS), Worker(), shard_rows=SHARD)
    assert paid.rows(SPEC, range(ITEMS), Worker(stop=0), shard_rows=SHARD).digest == table.digest


def test_a_finished_step_costs_nothing_again(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    label(place, True)
    before = manifest_usage(place)
    place.rows(SPEC, range(ITEMS), Worker(stop=0), shard_rows=SHARD)
    assert manifest_usage(place) == before


@settings(max_examples=10)
@given(stops=st.lists(st.integers(0, 9), max_size=4), ahead=st.integers(1, 9), seed=st.integers(0, 99), journal=st.booleans())
def test_after_any_sequence_of_failures_all_that_was_paid_for_is_booked_once(
    tmp_path_factory: pytest.TempPathFactory, stops: list[int], ahead: int, seed: int, journal: bool
) -> None:
    """Work that was lost, too: it was paid for, and is booked with the next shard of the step."""
    folder = tmp_path_factory.mktemp("failures")
    workers = []
    for number, stop in enumerate([*stops, 10**9]):
        workers.append(label(place_at(folder), journal, stop=stop, ahead=ahead, seed=seed + number))
        used = spent(Run.open(folder))["labels"]
        assert used.tokens_in == tokens_of(workers)
        assert used.usd == pytest.approx(used.tokens_in / 3)
    assert manifest_usage(place_at(folder)).tokens_in == total(shard_usages(folder)).tokens_in == tokens_of(workers)
    if journal:
        assert tokens_of(workers) == (1 << ITEMS) - 1, "what the journal recalls is not paid for again"


@settings(max_examples=10)
@given(at=st.integers(1, ITEMS), ahead=st.integers(1, 9), seed=st.integers(0, 99))
def test_what_a_kill_leaves_of_a_served_step_accounts_for_every_answer(
    tmp_path_factory: pytest.TempPathFactory, at: int, ahead: int, seed: int
) -> None:
    """A copy of the folder, made while an answer is on its way, is what SIGKILL would leave then."""
    folder = tmp_path_factory.mktemp("kill")
    known = 0

    def copy(answers: int) -> None:
        nonlocal known
        if answers == at:
            shutil.copytree(folder / "run", folder / "killed")
            known = worker.tally.tokens_in

    place = place_at(folder / "run")
    worker = Paid(place, ahead=ahead, seed=seed, then=copy)
    place.rows(SPEC, range(ITEMS), worker, shard_rows=SHARD, journal=True)
    assert spent(Run.open(folder / "killed"))["labels"].tokens_in == known
    rest = label(place_at(folder / "killed"), True)
    assert manifest_usage(place_at(folder / "killed")).tokens_in == known + rest.tally.tokens_in == (1 << ITEMS) - 1


@pytest.mark.parametrize("keep", [0, 5, -1])
def test_a_torn_note_leaves_the_one_before_it(tmp_path: Path, keep: int) -> None:
    meter, tally = Meter(), Tally()
    account = Account(tmp_path, meter)
    with meter.reading(lambda: tally.usage):
        for tally.tokens_out in (3, 5):
            account.note()
    first, last = (tmp_path / UNBOOKED).read_bytes().splitlines(keepends=True)
    assert unbooked(tmp_path).tokens_out == 5
    (tmp_path / UNBOOKED).write_bytes(first + last[:keep])
    assert unbooked(tmp_path).tokens_out == 3


def test_a_note_that_a_commit_has_booked_since_does_not_count_again(tmp_path: Path) -> None:
    """A process killed between the two leaves both."""
    place = place_at(tmp_path)
    label(place, True, stop=3)
    (note,) = tmp_path.rglob(UNBOOKED)
    left = note.read_bytes()
    worker = label(place_at(tmp_path), True, stop=2)
    note.write_bytes(left)
    assert [usage.tokens_in for usage in shard_usages(tmp_path)] == [15]
    assert spent(place.run)["labels"].tokens_in == 15
    assert worker.tally.tokens_in == 8 + 16


def test_a_stop_on_request_keeps_account(tmp_path: Path) -> None:
    draining = Draining()
    place = place_at(tmp_path, draining=draining)
    worker = Paid(place, then=lambda n: draining.request() if n == 2 else None)
    with pytest.raises(Incomplete):
        place.rows(SPEC, range(ITEMS), worker, shard_rows=SHARD, journal=True)
    assert spent(place.run)["labels"].tokens_in == worker.tally.tokens_in == 0b11


def test_a_former_result_stays_paid_for(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    label(place, False)
    again = StepSpec("labels", Label, 2, {}, {})
    place.rows(again, range(ITEMS), Paid(place), shard_rows=SHARD)
    assert spent(place.run)["labels"].tokens_in == 2 * ((1 << ITEMS) - 1)


# what counts


def test_engines_in_this_process_count_what_they_read_and_write(tmp_path: Path) -> None:
    pair = toy.pair(tmp_path)
    prefix = (1,)
    for engine in (TabularEngine.open(pair.generator.path, pair.generator.engine), ScriptedEngine([], "yes")):
        assert isinstance(engine, Metered)
        assert engine.usage == Usage()
        (reply,) = engine.sample([SampleRequest("r", prefix, (0, 1, 2))], Sampling(), 0)
        written = sum(completion.tokens for completion in reply.completions)
        assert engine.usage == Usage(tokens_in=3, tokens_out=written)
        list(engine.score([ScoreRequest("s", Tokens(prefix, ((4,), (6, 0))))]))
        assert engine.usage == Usage(tokens_in=3 + 4, tokens_out=written)


def test_accelerators_count_from_loading_to_closing_and_a_cpu_not_at_all() -> None:
    assert Tally().usage.gpu_seconds == 0
    tally = Tally(accelerators=3)
    time.sleep(0.01)
    first = tally.usage.gpu_seconds
    tally.stop()
    stopped = tally.usage.gpu_seconds
    time.sleep(0.01)
    assert 0.03 <= first <= stopped == tally.usage.gpu_seconds


def test_a_fit_accounts_for_the_tokens_it_passed_over(tmp_path: Path) -> None:
    place, start = place_at(tmp_path / "run"), toy.pair(tmp_path).generator
    examples = [FitExample("a", Tokens((1,), ((4,), (6, 0)))), FitExample("b", Tokens((2,), ((5,), (7, 0))))]
    fit_role(place, "em/1/generator", start, examples, Fit(), Training(), seed=0)
    used = manifest_usage(place, "em/1/generator")
    assert (used.tokens_trained, used.tokens_in, used.tokens_out, used.gpu_seconds) == (8, 0, 0, 0)
    assert used.wall_seconds > 0


def test_a_fit_that_was_given_up_was_paid_for(tmp_path: Path) -> None:
    spec = StepSpec("cold_start/generator", None, 1, {}, {})

    def fit(place: LocalWorkplace, tokens: int, end: Callable[[], None]) -> Callable[[Path], tuple[str, dict[str, Any]]]:
        def make(folder: Path) -> tuple[str, dict[str, Any]]:
            with place.meter.reading(lambda: Usage(tokens_trained=tokens)):
                end()
            (folder / "weights").write_text("w")
            return "digest", {}

        return make

    def fail() -> None:
        raise RuntimeError("the power went out")

    place = place_at(tmp_path)
    with pytest.raises(RuntimeError):
        place.artifact(spec, fit(place, 100, fail))
    assert spent(place.run)["cold_start/generator"].tokens_trained == 100
    place = place_at(tmp_path)
    place.artifact(spec, fit(place, 300, lambda: None))
    assert manifest_usage(place, "cold_start/generator").tokens_trained == 400


@pytest.mark.parametrize(("every", "known"), [(0.0, 100), (3600.0, 0)])
def test_a_kill_in_a_long_fit_hides_no_more_than_the_last_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: float, known: int
) -> None:
    monkeypatch.setattr(metering, "EVERY", every)
    place = place_at(tmp_path / "run")

    def make(folder: Path) -> tuple[str, dict[str, Any]]:
        with place.meter.reading(lambda: Usage(tokens_trained=100)):
            place.watch(Progress("fit/model", 1, 2, 0.0))
        shutil.copytree(tmp_path / "run", tmp_path / "killed")
        (folder / "weights").write_text("w")
        return "digest", {}

    place.artifact(StepSpec("fit/model", None, 1, {}, {}), make)
    assert spent(Run.open(tmp_path / "killed"))["fit/model"].tokens_trained == known
    assert manifest_usage(place, "fit/model").tokens_trained == 100


@given(st.lists(st.builds(Usage, *(st.integers(0, 10**9) for _ in NAMES)), max_size=5))
def test_usages_add_and_subtract_by_field_and_survive_their_storage(usages: list[Usage]) -> None:
    whole = total(usages)
    for name in NAMES:
        assert getattr(whole, name) == sum(getattr(usage, name) for usage in usages)
    for usage in usages:
        assert (whole - usage) + usage == whole
        assert Usage.of(json.loads(json.dumps(usage.to_json()))) == usage
