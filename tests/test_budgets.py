"""A run stops where its budget is used up, says so, and goes on from there when the budget is raised."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import promptcot
from promptcot.budgets import readings
from promptcot.errors import Stopped, UsageError
from promptcot.executors import Rows, Task, each
from promptcot.metering import spent
from promptcot.recipe import Budget, StageLimits
from promptcot.recipes import load, overridden, validate
from promptcot.records import Label
from promptcot.running import run_recipe
from promptcot.store import Run, StepSpec
from promptcot.usage import Usage
from tests import runs
from tests.runs import Shell
from tests.test_executors import answer, parts
from tests.test_metering import ITEMS, SHARD, SPEC, Paid, place_at
from tests.test_pipeline import tabular

ALL = (1 << ITEMS) - 1


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(monkeypatch, capsys)


def work(folder: Path, budget: Budget, **options: Any) -> Paid:
    """One run of the step under a budget; item n costs 2^n tokens."""
    place = place_at(folder, budget=budget)
    worker = Paid(place, **options)
    place.rows(SPEC, range(ITEMS), worker, shard_rows=SHARD)
    return worker


def committed(folder: Path) -> int:
    return len(list(folder.rglob("shard-*.json")))


# at shard borders


def test_no_shard_is_begun_once_a_limit_is_reached_and_a_higher_one_goes_on(tmp_path: Path) -> None:
    work(tmp_path / "free", Budget())
    with pytest.raises(Stopped, match="1 of 3 shards are committed") as stopped:
        work(tmp_path / "run", Budget(tokens=15))
    assert stopped.value.exit_code == 4
    assert stopped.value.where == "budget.tokens"
    assert "15 of 15 tokens used (labels 15)" in str(stopped.value)
    assert "--set budget.tokens=" in stopped.value.remedy
    with pytest.raises(Stopped, match="2 of 3"):
        work(tmp_path / "run", Budget(tokens=16))
    rest = work(tmp_path / "run", Budget(tokens=10**6))
    assert rest.worked == [8, 9]
    assert parts(tmp_path / "run") == parts(tmp_path / "free")


def test_running_again_under_the_same_limit_opens_no_engine(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        work(tmp_path, Budget(tokens=15))

    def no_engine(tasks: Iterator[Task[int]]) -> Iterator[tuple[int, Rows]]:
        pytest.fail("an engine was opened to stop")
        yield from ()

    for spec in (SPEC, StepSpec("other", Label, 1, {}, {})):
        with pytest.raises(Stopped):
            place_at(tmp_path, budget=Budget(tokens=15)).rows(spec, range(ITEMS), no_engine, shard_rows=SHARD)


def test_what_is_finished_loads_whatever_the_budget(tmp_path: Path) -> None:
    work(tmp_path, Budget(tokens=ALL))
    assert work(tmp_path, Budget(tokens=1), stop=0).worked == []


@settings(max_examples=8)
@given(limits=st.lists(st.integers(1, ALL + 50), min_size=1, max_size=3), ahead=st.integers(1, 9), seed=st.integers(0, 99))
def test_whatever_the_limits_a_stop_is_due_and_nothing_is_done_twice(
    tmp_path_factory: pytest.TempPathFactory, limits: list[int], ahead: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("limits")
    for limit in sorted(limits):
        before = committed(folder)
        try:
            work(folder, Budget(tokens=limit), ahead=ahead, seed=seed)
        except Stopped:
            used = spent(Run.open(folder))["labels"].tokens
            assert used >= limit, "stopped too early"
            assert used == sum(1 << n for n in range(min(ITEMS, SHARD * committed(folder)))), "a shard was left open, or done twice"
            assert committed(folder) - before <= 3
        else:
            assert committed(folder) == 3
    work(folder, Budget())
    assert spent(Run.open(folder))["labels"].tokens == ALL


def test_money_and_hours_are_limits_too(tmp_path: Path) -> None:
    """Item n of `Paid` costs a third of 2^n dollars and holds two accelerators."""
    for number, (budget, key) in enumerate(
        [(Budget(usd=5), "usd"), (Budget(gpu_hours=1e-9), "gpu_hours"), (Budget(wall_hours=1e-9), "wall_hours")]
    ):
        with pytest.raises(Stopped) as stopped:
            work(tmp_path / str(number), budget)
        assert stopped.value.where == f"budget.{key}"
    assert committed(tmp_path / "0") == 1


def test_lost_work_was_paid_for_and_counts(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="power"):
        work(tmp_path, Budget(), stop=3)
    with pytest.raises(Stopped, match="0 of 3"):
        work(tmp_path, Budget(tokens=7))


# stages and fits


def test_a_stage_s_limit_stops_that_stage_alone(tmp_path: Path) -> None:
    budget = Budget(stages=StageLimits.model_validate({"em": {"tokens": 20}}))
    place = place_at(tmp_path, budget=budget)

    def step(name: str) -> None:
        place.rows(StepSpec(name, Label, 1, {}, {}), range(SHARD), Paid(place), shard_rows=SHARD)

    step("annotate")
    step("em/1/draws")
    step("em/1/candidates")
    step("synthesize/problems")
    with pytest.raises(Stopped) as stopped:
        step("em/2/draws")
    assert stopped.value.where == "budget.stages.em.tokens"
    assert "30 of 20 tokens used (em 30)" in str(stopped.value)


def test_no_fit_is_begun_once_a_limit_is_reached(tmp_path: Path) -> None:
    spec = StepSpec("cold_start/generator", None, 1, {}, {})
    with pytest.raises(Stopped):
        work(tmp_path, Budget(tokens=15))
    with pytest.raises(Stopped, match="before `cold_start/generator`"):
        place_at(tmp_path, budget=Budget(tokens=15)).artifact(spec, lambda folder: pytest.fail("a fit was begun to stop"))


def test_a_stop_names_what_every_stage_has_used(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    for name in ("annotate", "em/1/draws", "em/2/draws"):
        place.rows(StepSpec(name, Label, 1, {}, {}), range(SHARD), Paid(place), shard_rows=SHARD)
    with pytest.raises(Stopped) as stopped:
        place_at(tmp_path, budget=Budget(tokens=40)).rows(SPEC, [1], partial(each, make=lambda n: [answer(n)]), shard_rows=1)
    assert "45 of 40 tokens used (annotate 15, em 30)" in str(stopped.value)


# the recipe


def test_limits_are_read_with_their_mistakes_named() -> None:
    bare: dict[str, Any] = {"schema": 1, "name": "n", "inputs": {}}
    found = validate(overridden(bare, ["budget.tokens=5e6", "budget.stages.em.wall_hours=2"]), "n").budget
    assert (found.tokens, found.usd, found.stages.em.wall_hours) == (5e6, None, 2)
    for wrong, told in [
        ("budget.stages.emm.tokens=1", "budget.stages.emm: unknown key; did you mean `em`?"),
        ("budget.token=1", "budget.token: unknown key; did you mean `tokens`?"),
        ("budget.tokens=0", "greater than 0"),
        ("budget.stages.em.usd=1", "no engine names a price"),
    ]:
        with pytest.raises(UsageError) as raised:
            validate(overridden(bare, [wrong]), "n")
        assert told in raised.value.remedy


def test_every_limit_is_read_against_what_was_used() -> None:
    hour = 3600.0
    used = {"em": Usage(1, 2, 7, 3.5, 4, 2 * hour, hour), "screen": Usage(wall_seconds=hour)}
    budget = Budget(tokens=10, usd=3.5, gpu_hours=1, wall_hours=3, stages=StageLimits.model_validate({"screen": {"wall_hours": 1}}))
    assert [(r.key, r.used, r.reached) for r in readings(budget, used)] == [
        ("budget.tokens", 7, False),
        ("budget.usd", 3.5, True),
        ("budget.gpu_hours", 2, True),
        ("budget.wall_hours", 2, False),
        ("budget.stages.screen.wall_hours", 1, True),
    ]


# whole runs


def test_a_run_over_budget_leaves_with_4_and_goes_on_when_it_is_raised(shell: Shell, tmp_path: Path) -> None:
    path = runs.recipe(tmp_path, engines={"default": {"kind": "scripted", "shard_rows": 4}})
    whole = promptcot.run(path, folder=tmp_path / "whole")
    each_shard = spent(Run.open(whole.folder))["synthesize/problems"].tokens // 3
    told = shell("run", path, "--run", "run", "--set", f"budget.stages.synthesize.tokens={each_shard}", code=4).err
    assert "where: budget.stages.synthesize.tokens" in told
    assert "1 of 3 shards are committed" in told
    before = {path: path.stat().st_mtime_ns for path in Path("run").rglob("part-*.parquet")}
    assert "1 of 3 shards are committed" in shell("run", "run", code=4).err
    shown = json.loads(shell("status", "run", "--json").out)
    assert [(row["limit"], row["used"] >= row["allowed"]) for row in shown["budget"]] == [("budget.stages.synthesize.tokens", True)]
    assert "budget.stages.synthesize.tokens: " in shell("status", "run").out
    shell("run", "run", "--set", "budget.stages.synthesize.tokens=1e9")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert parts(Path("run")) == parts(whole.folder)
    assert "tokens" in (tmp_path / "run" / "report" / "index.html").read_text()


@pytest.mark.slow
def test_em_stopped_at_limit_after_limit_costs_what_it_costs_in_one_go(tmp_path: Path) -> None:
    def tokens(run: Run) -> dict[str, int]:
        return {name: usage.tokens for name, usage in spent(run).items()}

    path = tabular(tmp_path)
    free, run = Run.create(tmp_path / "free", {}), Run.create(tmp_path / "run", {})
    run_recipe(load(path), free, until="em")
    assert min(tokens(free)[name] for name in ("em/1/draws", "em/1/posterior", "em/1/generator", "em/1/bound/log_p_new")) > 0
    limit, stops = 1, 0
    while True:
        try:
            run_recipe(load(path, [f"budget.tokens={limit}"]), run, until="em")
        except Stopped:
            used = sum(tokens(run).values())
            assert used >= limit
            limit, stops = used + 1, stops + 1
        else:
            break
    assert tokens(run) == tokens(free)
    assert stops > 5
