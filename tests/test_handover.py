"""The hand-over check between sampler and scorer."""

from dataclasses import replace

import pytest

from promptcot import estep, handover
from promptcot.errors import UsageError
from promptcot.executors import MemoryWorkplace, Table
from promptcot.recipe import Em, EngineSpec
from promptcot.records import Draw
from promptcot.tables import to_table
from promptcot.templates import TAGGED
from tests import toy


def drawn(tmp_path):
    place, pair, pool = MemoryWorkplace(tmp_path / "work"), toy.pair(tmp_path / "start"), toy.triples(None)
    return place, pair.posterior, pool, estep.draw(place, "draws", pair.posterior, pool, Em(candidates=4), round=1, seed=0)


def shifted(table: Table[Draw], by: float) -> Table[Draw]:
    rows = [replace(row, log_q=row.log_q + by) for row in table.rows]
    return Table(to_table(rows, Draw), table.dropped, f"shifted by {by}", Draw)


def test_draws_whose_log_q_agrees_go_on_as_they_are(tmp_path):
    place, posterior, pool, draws = drawn(tmp_path)
    checked = handover.check(place, "em/1", posterior, draws, pool, rows=8)
    assert checked.gap == pytest.approx(0, abs=1e-12)
    assert checked.draws is draws


def test_a_small_gap_is_kept_and_a_wide_one_is_scored_away(tmp_path):
    place, posterior, pool, draws = drawn(tmp_path)
    small = shifted(draws, 0.2)
    assert handover.check(place, "em/1", posterior, small, pool, rows=8).draws is small
    checked = handover.check(place, "em/2", posterior, shifted(draws, 0.5), pool, rows=8)
    assert checked.gap == pytest.approx(0.5)
    assert [row.log_q for row in checked.draws.rows] == pytest.approx([row.log_q for row in draws.rows])
    assert [row.ids for row in checked.draws.rows] == [row.ids for row in draws.rows]


def test_invalid_draws_are_not_scored(tmp_path):
    place, posterior, pool, draws = drawn(tmp_path)
    rows = [replace(row, log_q=row.log_q + 1, invalid="truncated" if i % 2 else None) for i, row in enumerate(draws.rows)]
    table = Table(to_table(rows, Draw), draws.dropped, "half", Draw)
    got = handover.check(place, "em/1", posterior, table, pool, rows=100).draws.rows
    assert all(after.log_q == before.log_q for before, after in zip(rows, got, strict=True) if before.invalid)
    assert all(after.log_q == pytest.approx(before.log_q - 1) for before, after in zip(rows, got, strict=True) if not before.invalid)


def test_roles_that_write_a_rationale_in_other_tokens_are_refused(tmp_path):
    pair = toy.pair(tmp_path / "start")
    handover.require_shared_tokens(pair)
    (pair.posterior.path / "script.json").write_text('{"replies": [], "default": "?"}')
    other = replace(pair.posterior, template=TAGGED, engine=EngineSpec(kind="scripted"))
    with pytest.raises(UsageError, match="do not share"):
        handover.require_shared_tokens(replace(pair, posterior=other))
