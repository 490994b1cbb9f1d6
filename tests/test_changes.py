"""A changed recipe: what is said, what is redone, what is kept."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from promptcot.changes import SMALL, Changes, differences
from promptcot.errors import UsageError
from promptcot.executors import LocalWorkplace, Table, each
from promptcot.records import Label
from promptcot.store import Run, StepSpec

STAGES = ("first", "second", "third")
HOURS = 2 * SMALL


def spec(name: str, settings: Any, **inputs: str) -> StepSpec:
    return StepSpec(name, Label, 1, settings, inputs)


def label(n: int) -> Label:
    return Label(id=str(n), problem="p", kind="gold")


def finish(run: Run, made: StepSpec, seconds: float = HOURS, *, shards: int = 1) -> None:
    """Finish a step that took `seconds`; with `shards` of 2, leave it in the middle."""
    run.point(made)
    step = run.step(made)
    step.folder.mkdir(parents=True)
    step.commit(0, 1, [label(0)], [], seconds)
    if shards == 1:
        step.finish(1)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "run", {})


def test_an_unchanged_step_and_a_new_one_go_on_under_their_own_keys(run: Run) -> None:
    old = spec("second/fit", {"lr": 1})
    finish(run, old)
    assert Changes(STAGES)(old, run) == old.key
    assert Changes(STAGES)(spec("third/new", {}), run) == spec("third/new", {}).key


def test_a_change_names_fields_old_and_new_the_cost_and_the_remedy(run: Run) -> None:
    old, new = (spec("second/fit", {"fit": {"lr": lr, "batch": 4}, "k": k}, rows="r") for lr, k in ((0.1, [1]), (0.2, [1, 8])))
    finish(run, old)
    finish(run, spec("third/sample", {}), 3 * SMALL)
    finish(run, spec("first/read", {}), 100 * SMALL)
    with pytest.raises(UsageError) as raised:
        Changes(STAGES)(new, run)
    assert raised.value.what == "`second/fit` was made with other settings: fit.lr: 0.1 -> 0.2; k: [1] -> [1, 8]"
    assert raised.value.where == str(run.path / "second/fit")
    assert f"--redo second redoes it and what follows ({5 * SMALL:.0f} s of finished work)" in raised.value.remedy
    assert "--keep second keeps it" in raised.value.remedy
    assert run.current("second/fit") == old.key


def test_little_work_is_redone_without_asking(run: Run) -> None:
    finish(run, spec("second/fit", {"lr": 1}), SMALL)
    new = spec("second/fit", {"lr": 2})
    assert Changes(STAGES)(new, run) == new.key


def test_redo_covers_the_stage_and_those_after_it_but_none_before(run: Run) -> None:
    changed = {stage: spec(f"{stage}/x", {"n": 2}) for stage in STAGES}
    for stage in STAGES:
        finish(run, spec(f"{stage}/x", {"n": 1}))
    changes = Changes(STAGES, redo=["second"])
    assert changes(changed["second"], run) == changed["second"].key
    assert changes(changed["third"], run) == changed["third"].key
    with pytest.raises(UsageError, match="first/x"):
        changes(changed["first"], run)


def test_keep_keeps_records_and_is_remembered_until_the_settings_change_again(run: Run) -> None:
    old, new, newer = (spec("second/fit", {"lr": n}) for n in (1, 2, 3))
    finish(run, old)
    assert Changes(STAGES, keep=["second"])(new, run) == old.key
    assert run.kept("second/fit") == {"wanted": new.key, "changed": ["lr: 1 -> 2"]}
    assert Changes(STAGES)(new, run) == old.key
    with pytest.raises(UsageError, match="lr: 1 -> 3"):
        Changes(STAGES)(newer, run)


def test_a_result_that_is_there_already_is_taken_again_without_asking(run: Run) -> None:
    old, new = (spec("second/fit", {"lr": n}) for n in (1, 2))
    finish(run, old)
    finish(run, new)
    assert run.current("second/fit") == new.key
    assert Changes(STAGES)(old, run) == old.key


def test_a_step_in_the_middle_can_be_redone_but_not_kept(run: Run) -> None:
    finish(run, spec("second/fit", {"lr": 1}), shards=2)
    new = spec("second/fit", {"lr": 2})
    for keep in ((), ("second",)):
        with pytest.raises(UsageError, match="lr: 1 -> 2") as raised:
            Changes(STAGES, keep=keep)(new, run)
        assert "--keep" not in raised.value.remedy
    assert Changes(STAGES, redo=["second"])(new, run) == new.key


def test_a_refused_change_puts_the_former_recipe_back(run: Run) -> None:
    with run.writing():
        finish(run, spec("second/fit", {"lr": 1}))
    other = Run.create(run.path, {"lr": 2})
    with pytest.raises(UsageError, match="lr: 1 -> 2"), other.writing():
        Changes(STAGES)(spec("second/fit", {"lr": 2}), other)
    assert Run.open(run.path).recipe == {}


@pytest.mark.parametrize("options", [{"redo": ["frist"]}, {"keep": ["frist"]}])
def test_an_unknown_stage_is_an_error_that_lists_the_known_ones(options: dict[str, list[str]]) -> None:
    with pytest.raises(UsageError, match="no stage `frist`") as raised:
        Changes(STAGES, **options)
    assert "first, second, third" in raised.value.remedy


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": (1, 2)}, {"a": [1, 2]}, []),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ["a.b: 1 -> 2"]),
        ({"a": {"b": 1}}, {"a": None}, ["a.b: 1 -> None"]),
        ({"a": 1}, {"b": 1}, ["a: 1 -> None", "b: None -> 1"]),
        ([{"path": "x", "rows": None}], [{"path": "y", "rows": None}], ["0.path: 'x' -> 'y'"]),
        ([{"path": "x"}], [{"path": "x"}, {"path": "y"}], ["1.path: None -> 'y'"]),
        ({"a": "x"}, {"a": "x y"}, ["a: 'x' -> 'x y'"]),
    ],
)
def test_differences_by_dotted_path(old: Any, new: Any, said: list[str]) -> None:
    assert list(differences({"settings": old}, spec("s", new))) == said


def test_differences_of_inputs_by_name() -> None:
    found = differences({"settings": {}, "inputs": {"rows": "1", "gone": "2"}}, spec("s", {}, rows="3", new="4"))
    assert list(found) == ["its input `gone` changed", "its input `new` changed", "its input `rows` changed"]


def test_the_steps_of_a_kept_stage_feed_what_follows_unchanged(run: Run) -> None:
    """The digest that later keys are built on is the kept result's, so nothing after it is redone."""

    def work(n: int, changes: Changes) -> tuple[Table[Any], str]:
        place = LocalWorkplace(run, confirm=changes)
        first = place.rows(spec("first/x", {"n": n}), [n], partial(each, make=lambda item: [label(item)]), shard_rows=1)
        later = spec("second/y", {}, rows=first.digest)
        place.rows(later, [0], partial(each, make=lambda item: [label(item)]), shard_rows=1)
        return first, later.key

    before, key = work(1, Changes(STAGES))
    after, same_key = work(2, Changes(STAGES, keep=["first"]))
    assert (after.rows, same_key) == (before.rows, key)
    changed, other_key = work(3, Changes(STAGES))
    assert changed.rows == [label(3)]
    assert other_key != key


def test_a_redo_that_was_allowed_is_not_refused_in_its_middle_by_its_own_work(run: Run) -> None:
    for name in ("second/one", "second/two"):
        finish(run, spec(name, {"lr": 1}), SMALL / 3)
    changes = Changes(STAGES)
    first = spec("second/one", {"lr": 2})
    assert changes(first, run) == first.key
    finish(run, first, HOURS)
    other = spec("second/two", {"lr": 2})
    assert changes(other, run) == other.key


def test_redo_overrules_what_was_kept_before(run: Run) -> None:
    old, new = spec("second/fit", {"lr": 1}), spec("second/fit", {"lr": 2})
    finish(run, old)
    assert Changes(STAGES, keep=["second"])(new, run) == old.key
    assert Changes(STAGES)(new, run) == old.key
    assert Changes(STAGES, redo=["second"])(new, run) == new.key
