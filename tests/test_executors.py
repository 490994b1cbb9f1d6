"""Steps on a run folder: every item answered once, whatever order and however often the process stops."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptcot.errors import Incomplete, UsageError
from promptcot.executors import Draining, LocalWorkplace, MemoryWorkplace, Progress, Rows, Task, ask, each
from promptcot.records import Draw, Dropped, Label, Record
from promptcot.store import Run, StepSpec

ITEMS = 10
SHARD = 4


def spec(name: str = "labels", **settings_: Any) -> StepSpec:
    return StepSpec(name, Label, 1, settings_, {})


def answer(n: int) -> Record:
    if n % 5 == 3:
        return Dropped(id=str(n), reason="empty", detail="three of five")
    return Label(id=str(n), parents=("p", str(n)), problem="p", kind="gold", answer=f"{n} \r\n\u2028\x85 é\t")


class Worker:
    """Answers items, with a window of `ahead` tasks in flight and in the order of `seed`; fails after `stop` answers."""

    def __init__(self, stop: int = 10**9, ahead: int = 1, seed: int = 0, then: Callable[[int], None] = lambda n: None) -> None:
        self.stop, self.ahead, self.chance, self.then = stop, ahead, random.Random(seed), then
        self.worked: list[int] = []

    def __call__(self, tasks: Iterator[Task[int]]) -> Iterator[tuple[int, Rows]]:
        window: list[Task[int]] = []
        for task in tasks:
            window.append(task)
            if len(window) >= self.ahead:
                yield self._one(window)
        while window:
            yield self._one(window)

    def _one(self, window: list[Task[int]]) -> tuple[int, Rows]:
        if len(self.worked) == self.stop:
            raise RuntimeError("the power went out")
        task = window.pop(self.chance.randrange(len(window)))
        self.worked.append(task.item)
        self.then(len(self.worked))
        return task.index, [answer(task.item)]


def place_at(folder: Path, **options: Any) -> LocalWorkplace:
    run = Run.create(folder, {})
    with run.writing():
        return LocalWorkplace(run, **options)


def run_labels(place: LocalWorkplace, worker: Callable[..., Any], journal: bool = False) -> list[Record]:
    table = place.rows(spec(), range(ITEMS), worker, shard_rows=SHARD, journal=journal)
    assert [row.id for row in table.rows] == [str(n) for n in range(ITEMS) if n % 5 != 3]
    assert [row.id for row in table.drops] == ["3", "8"]
    return [*table.rows, *table.drops]


def parts(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of an undisturbed run."""
    folder = tmp_path_factory.mktemp("whole")
    run_labels(place_at(folder), Worker())
    return parts(folder)


def journal_of(run: Path) -> Path:
    (path,) = run.rglob("journal-*.jsonl")
    return path


# rows


@settings(max_examples=10)
@given(ahead=st.integers(1, 12), seed=st.integers(0, 99), journal=st.booleans(), stop=st.integers(0, 9))
def test_any_order_of_answers_and_any_stop_give_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, whole: dict[str, bytes], ahead: int, seed: int, journal: bool, stop: int
) -> None:
    folder = tmp_path_factory.mktemp("order")
    first, second = Worker(stop, ahead, seed), Worker(ahead=ahead, seed=seed + 1)
    with pytest.raises(RuntimeError, match="power"):
        run_labels(place_at(folder), first, journal)
    committed = {SHARD * int(path.stem[-5:]) + n for path in folder.rglob("shard-*.json") for n in range(SHARD)}
    run_labels(place_at(folder), second, journal)
    done = set(first.worked) if journal else committed
    assert sorted(second.worked) == sorted(set(range(ITEMS)) - done)
    assert parts(folder) == whole
    assert not list(folder.rglob("journal-*"))


def test_a_finished_step_is_loaded_without_any_work(tmp_path: Path) -> None:
    rows = run_labels(place_at(tmp_path), Worker())
    assert run_labels(place_at(tmp_path), Worker(stop=0)) == rows


def test_a_run_folder_and_memory_give_the_same_rows(tmp_path: Path) -> None:
    table = MemoryWorkplace().rows(spec(), range(ITEMS), Worker(ahead=3), shard_rows=SHARD)
    assert [*table.rows, *table.drops] == run_labels(place_at(tmp_path), Worker())


@pytest.mark.parametrize(("fan", "items", "rows"), [(2, [0, 1], 2), (0, ["ab", "c"], 3), (None, [0, 1], 5)])
def test_rows_in_follow_the_fan(tmp_path: Path, fan: int | None, items: Sequence[Any], rows: int) -> None:
    def make(item: Any) -> Rows:
        count = 2 if fan == 2 else len(item) if fan == 0 else 5 * item
        return [Label(id=f"{item}.{n}", problem="p", kind="gold") for n in range(count)]

    place = place_at(tmp_path)
    place.rows(spec(), items, partial(each, make=make), shard_rows=1, fan=fan)
    manifest = place.run.manifest("labels")
    assert manifest is not None
    assert manifest.rows_in == manifest.rows_out == (4 if fan == 2 else rows)


def test_a_row_that_got_lost_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="4 rows in, but 3 out and 0 dropped"):
        place_at(tmp_path).rows(spec(), range(4), partial(each, make=lambda n: [answer(0)] * (n > 0)), shard_rows=4)


def test_an_item_answered_twice_is_a_fault(tmp_path: Path) -> None:
    def twice(tasks: Iterator[Task[int]]) -> Iterator[tuple[int, Rows]]:
        for task in tasks:
            yield task.index, [answer(0)]
            yield task.index, [answer(0)]

    with pytest.raises(AssertionError, match="answered twice"):
        place_at(tmp_path).rows(spec(), range(4), twice, shard_rows=4)


def test_a_step_without_items_is_an_empty_table(tmp_path: Path) -> None:
    table = place_at(tmp_path).rows(spec(), [], Worker(stop=0), shard_rows=4)
    assert (table.rows, table.drops) == ([], [])


def test_shards_cut_in_another_size_are_not_mixed(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        run_labels(place_at(tmp_path), Worker(stop=5))
    for shard_rows in (3, 8):
        with pytest.raises(UsageError, match="cut in another size"):
            place_at(tmp_path).rows(spec(), range(ITEMS), Worker(stop=0), shard_rows=shard_rows)


def test_progress_counts_what_is_there_already(tmp_path: Path) -> None:
    seen: list[Progress] = []
    with pytest.raises(RuntimeError):
        run_labels(place_at(tmp_path), Worker(stop=6), journal=True)
    run_labels(place_at(tmp_path, watch=seen.append), Worker(), journal=True)
    assert [now.done for now in seen] == [4, 7, 8, 9, 10]
    assert {now.total for now in seen} == {ITEMS}


# the journal


def stopped_with_journal(folder: Path, stop: int = 3) -> Path:
    with pytest.raises(RuntimeError):
        run_labels(place_at(folder), Worker(stop), journal=True)
    return journal_of(folder)


@pytest.mark.parametrize("keep", [0, 1, 30, -1])
def test_a_torn_last_line_is_cut_and_only_its_item_is_done_again(tmp_path: Path, whole: dict[str, bytes], keep: int) -> None:
    path = stopped_with_journal(tmp_path / "run")
    first, second, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second + last[:keep])
    again = Worker(stop=2)
    with pytest.raises(RuntimeError):
        run_labels(place_at(tmp_path / "run"), again, journal=True)
    assert again.worked == [2, 3], "the torn line's item, and the one that was never answered"
    rest = Worker()
    run_labels(place_at(tmp_path / "run"), rest, journal=True)
    assert rest.worked == [4, 5, 6, 7, 8, 9]
    assert parts(tmp_path / "run") == whole


def test_a_damaged_line_is_passed_over_and_its_item_is_done_again(tmp_path: Path, whole: dict[str, bytes]) -> None:
    path = stopped_with_journal(tmp_path / "run")
    raw = path.read_bytes()
    start = raw.index(b"\n") + 1
    for place in (start, start + 4, start + 30, raw.index(b"\n", start) - 1):
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        again = Worker(stop=0)
        with pytest.raises(RuntimeError):
            run_labels(place_at(tmp_path / "run"), again, journal=True)
    rest = Worker()
    run_labels(place_at(tmp_path / "run"), rest, journal=True)
    assert rest.worked == [1, 3, 4, 5, 6, 7, 8, 9]
    assert parts(tmp_path / "run") == whole


def test_a_shard_whose_last_items_were_answered_first_is_resumed(tmp_path: Path, whole: dict[str, bytes]) -> None:
    def backwards(tasks: Iterator[Task[int]]) -> Iterator[tuple[int, Rows]]:
        for task in list(islice(tasks, SHARD))[:0:-1]:
            yield task.index, [answer(task.item)]
        raise RuntimeError("the power went out")

    with pytest.raises(RuntimeError):
        run_labels(place_at(tmp_path), backwards, journal=True)
    rest = Worker()
    run_labels(place_at(tmp_path), rest, journal=True)
    assert rest.worked == [0, 4, 5, 6, 7, 8, 9]
    assert parts(tmp_path) == whole


def test_a_journal_brings_back_every_kind_of_field(tmp_path: Path) -> None:
    rows = [
        Draw(id=str(n), round=1, draw=n, rationale="z\n", ids=(1, 2), log_q=value, tokens=3, finish="stop", invalid=None)
        for n, value in enumerate([-1e-300, float("-inf"), 0.1 + 0.2, -0.0])
    ]
    draws = StepSpec("draws", Draw, 1, {}, {})

    def work(tasks: Iterator[Task[Draw]], stop: int) -> Iterator[tuple[int, Rows]]:
        for task in tasks:
            if task.index == stop:
                raise RuntimeError("the power went out")
            yield task.index, [task.item]

    with pytest.raises(RuntimeError):
        place_at(tmp_path).rows(draws, rows, partial(work, stop=3), shard_rows=9, journal=True)
    table = place_at(tmp_path).rows(draws, rows, partial(work, stop=0), shard_rows=9, journal=True)
    assert table.rows == rows


# stopping in order


@pytest.mark.parametrize(("journal", "worked"), [(False, [0, 1, 2, 3]), (True, [0, 1])])
def test_draining_ends_with_the_shard_or_with_a_journal_at_once(
    tmp_path: Path, whole: dict[str, bytes], journal: bool, worked: list[int]
) -> None:
    draining = Draining()
    first = Worker(then=lambda n: draining.request() if n == 2 else None)
    with pytest.raises(Incomplete, match=f"{len(worked) // 4} of 3 shards are committed"):
        run_labels(place_at(tmp_path / "run", draining=draining), first, journal)
    assert first.worked == worked
    rest = Worker()
    run_labels(place_at(tmp_path / "run"), rest, journal)
    assert rest.worked == [n for n in range(ITEMS) if n not in worked]
    assert parts(tmp_path / "run") == whole


def test_draining_takes_no_new_step_and_opens_no_engine_but_loads_what_is_done(tmp_path: Path) -> None:
    run_labels(place_at(tmp_path), Worker())
    draining = Draining()
    draining.request()
    place = place_at(tmp_path, draining=draining)
    run_labels(place, Worker(stop=0))

    def no_engine(tasks: Iterator[Task[int]]) -> Iterator[tuple[int, Rows]]:
        pytest.fail("an engine was opened to stop")
        yield from ()

    with pytest.raises(Incomplete, match="during `later`"):
        place.rows(spec("later"), range(3), no_engine, shard_rows=1)
    with pytest.raises(Incomplete, match="before `model`"):
        place.artifact(StepSpec("model", None, 1, {}, {}), lambda folder: pytest.fail("an artifact was begun to stop"))


def test_a_stop_after_the_last_shard_finishes_the_step(tmp_path: Path) -> None:
    draining = Draining()
    run_labels(place_at(tmp_path, draining=draining), Worker(then=lambda n: draining.request() if n == ITEMS else None))


# asking an engine


class Request:
    """What `ask` needs of a request and a reply: its id."""

    def __init__(self, id: str) -> None:
        self.id = id


def asked(tmp_path: Path, ids: Callable[[Task[int]], str], reply: Callable[[list[Request]], list[Request]]) -> list[Any]:
    def work(tasks: Iterator[Task[int]]) -> Iterator[tuple[int, Rows]]:
        return ask(tasks, lambda task: Request(ids(task)), lambda requests: iter(reply(list(requests))), lambda item, _: [answer(item)])

    return place_at(tmp_path).rows(spec(), [0, 1, 2], work, shard_rows=9).rows


def test_replies_find_their_items_in_any_order(tmp_path: Path) -> None:
    assert [row.id for row in asked(tmp_path, lambda t: f"r{t.index}", lambda all_: all_[::-1])] == ["0", "1", "2"]


def test_requests_that_share_an_id_or_stay_unanswered_are_faults(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="two requests share the id same"):
        asked(tmp_path / "a", lambda t: "same", lambda all_: all_)
    with pytest.raises(AssertionError, match="left 1 requests unanswered"):
        asked(tmp_path / "b", lambda t: f"r{t.index}", lambda all_: all_[1:])


# artifacts

MODEL = StepSpec("fit/model", None, 1, {}, {})


def make_model(folder: Path, text: str = "w") -> tuple[str, dict[str, Any]]:
    (folder / "weights").write_text(text)
    return f"digest of {text}", {"loss": 0.5}


def test_an_artifact_is_made_once_and_then_loaded(tmp_path: Path) -> None:
    made = place_at(tmp_path).artifact(MODEL, make_model)
    again = place_at(tmp_path).artifact(MODEL, lambda folder: pytest.fail("made twice"))
    assert (again.path, again.digest, again.info) == (made.path, "digest of w", {"loss": 0.5})
    assert (again.path / "weights").read_text() == "w"


def test_an_artifact_that_failed_leaves_nothing_that_counts(tmp_path: Path) -> None:
    def fail(folder: Path) -> tuple[str, dict[str, Any]]:
        make_model(folder, "half")
        raise RuntimeError("the power went out")

    with pytest.raises(RuntimeError):
        place_at(tmp_path).artifact(MODEL, fail)
    made = place_at(tmp_path).artifact(MODEL, make_model)
    assert (made.path / "weights").read_text() == "w"
    assert not list(tmp_path.rglob(".making-*"))


def test_a_disk_that_fills_while_an_artifact_is_made_is_a_clear_error(tmp_path: Path) -> None:
    def fill(folder: Path) -> tuple[str, dict[str, Any]]:
        raise OSError(28, "No space left on device")

    with pytest.raises(UsageError, match="cannot write: No space left on device"):
        place_at(tmp_path).artifact(MODEL, fill)


def test_an_artifact_that_is_gone_is_named_and_the_remedy_makes_it_anew(tmp_path: Path) -> None:
    made = place_at(tmp_path).artifact(MODEL, make_model)
    (made.path / "weights").unlink()
    with pytest.raises(UsageError, match="damaged or missing") as raised:
        place_at(tmp_path).artifact(MODEL, make_model)
    manifest = made.path.parent / "manifest.json"
    assert str(manifest) in raised.value.remedy
    manifest.unlink()
    assert (place_at(tmp_path).artifact(MODEL, make_model).path / "weights").read_text() == "w"


def test_no_second_of_work_counts_twice_though_shards_overlap(tmp_path: Path) -> None:
    place, started = place_at(tmp_path / "run"), time.monotonic()
    place.rows(spec(), range(ITEMS), Worker(ahead=ITEMS, then=lambda n: time.sleep(0.01)), shard_rows=SHARD)
    manifest = place.run.manifest("labels")
    assert manifest is not None
    assert 0 < manifest.seconds <= time.monotonic() - started + 0.01
