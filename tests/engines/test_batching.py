"""Batches never mix groups, never exceed their size, and lose nobody."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from promptcot.engines.batching import pack, windows


@dataclass(frozen=True)
class Row:
    group: int
    length: int


rows = st.lists(st.builds(Row, group=st.integers(0, 3), length=st.integers(1, 30)), max_size=60)


@given(rows, st.integers(1, 9))
def test_windows_hold_one_group_in_order(requests: list[Row], size: int):
    cut = list(windows(iter(requests), size))
    assert [row for window in cut for row in window] == requests
    assert all(len({row.group for row in window}) == 1 and len(window) <= size for window in cut)


@given(rows, st.integers(1, 60), st.integers(1, 7))
def test_batches_stay_within_tokens_and_rows(requests: list[Row], max_tokens: int, max_rows: int):
    ordered = sorted(requests, key=lambda row: -row.length)
    batches = list(pack(ordered, lambda row: row.length, max_tokens=max_tokens, max_rows=max_rows))
    assert [row for batch in batches for row in batch] == ordered
    assert all(len(b) <= max_rows and (len(b) == 1 or len(b) * max(row.length for row in b) <= max_tokens) for b in batches)
