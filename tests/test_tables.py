"""Every record class survives parquet, a table and JSON unchanged, and the same rows give the same bytes."""

import dataclasses
import json
import tempfile
import typing
from pathlib import Path
from types import NoneType, UnionType
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptcot import records
from promptcot.errors import UsageError
from promptcot.records import Problem, Record, Seed
from promptcot.tables import as_dict, from_table, read_parquet, schema_of, to_json, to_table, write_parquet

RECORDS = [cls for cls in vars(records).values() if isinstance(cls, type) and issubclass(cls, Record)]
few = settings(max_examples=8)


VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=20),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(),
    bool: st.booleans(),
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    if isinstance(hint, UnionType):
        return st.one_of(*(st.none() if part is NoneType else values(part) for part in typing.get_args(hint)))
    if typing.get_origin(hint) is tuple:
        return st.lists(VALUES[typing.get_args(hint)[0]], max_size=4).map(tuple)
    return VALUES[hint]


def rows_of(record: type[Record]) -> st.SearchStrategy[list[Record]]:
    hints = typing.get_type_hints(record)
    fields = {f.name: values(hints[f.name]) for f in dataclasses.fields(record)}
    return st.lists(st.builds(record, **fields), max_size=4)


def same(a: Any, b: Any) -> bool:
    """Equal, where NaN equals itself."""
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b or (a != a and b != b))


def same_rows(a: list[Record], b: list[Record]) -> bool:
    return same([tuple(as_dict(row).values()) for row in a], [tuple(as_dict(row).values()) for row in b])


@few
@given(data=st.data())
@pytest.mark.parametrize("record", RECORDS)
def test_rows_come_back_from_parquet_as_they_were(record: type[Record], data: st.DataObject) -> None:
    rows = data.draw(rows_of(record))
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder) / "first.parquet", Path(folder) / "second.parquet"
        write_parquet(rows, record, first)
        write_parquet(rows, record, second)
        table = read_parquet([first], record)
        assert first.read_bytes() == second.read_bytes()
    assert table.schema == schema_of(record)
    assert same_rows(from_table(table, record), rows)


@few
@given(data=st.data())
@pytest.mark.parametrize("record", RECORDS)
def test_a_row_as_json_holds_every_field(record: type[Record], data: st.DataObject) -> None:
    for row in data.draw(rows_of(record)):
        line = to_json(row)
        assert "\n" not in line
        back: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(line).items()}
        assert same_rows([record(**back)], [row])


def a_seed(n: int) -> Seed:
    return Seed(id=str(n), family="f", content_hash="h", problem=f"x{n}", concepts=("a", "b") if n else ())


def test_the_columns_are_the_fields_and_only_optional_fields_may_be_null() -> None:
    schema = schema_of(Seed)
    assert schema.names == [f.name for f in dataclasses.fields(Seed)]
    assert {f.name for f in schema if f.nullable} == {"answer", "solution", "tests", "level", "rationale", "prompt"}
    assert schema.field("concepts").type == pa.list_(pa.string())


def test_a_table_cannot_hold_a_null_where_a_record_has_none(tmp_path: Path) -> None:
    row = dataclasses.replace(a_seed(1), problem=None)  # type: ignore[arg-type]
    with pytest.raises(pa.ArrowInvalid, match="problem"):
        write_parquet([row], Seed, tmp_path / "t.parquet")


def test_files_are_read_in_the_order_given_and_none_is_an_empty_table(tmp_path: Path) -> None:
    for n in (0, 1):
        write_parquet([a_seed(n)], Seed, tmp_path / str(n))
    assert [row.id for row in from_table(read_parquet([tmp_path / "1", tmp_path / "0"], Seed), Seed)] == ["1", "0"]
    assert from_table(read_parquet([], Seed), Seed) == []
    assert to_table([], Problem).schema == schema_of(Problem)


def test_a_flipped_byte_in_a_page_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_parquet([a_seed(n) for n in range(50)], Seed, path)
    whole = path.read_bytes()
    place = whole.index(b"\x28\xb5\x2f\xfd") + 12  # inside the first zstd frame
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(UsageError, match="checksum") as raised:
        read_parquet([path], Seed)
    assert raised.value.where == str(path)


@pytest.mark.parametrize("length", [0, 3, 100])
def test_a_truncated_or_missing_file_is_an_error_that_names_it(tmp_path: Path, length: int) -> None:
    path = tmp_path / "t.parquet"
    write_parquet([a_seed(1)], Seed, path)
    path.write_bytes(path.read_bytes()[:length])
    for damaged in (path, tmp_path / "absent.parquet"):
        with pytest.raises(UsageError) as raised:
            read_parquet([damaged], Seed)
        assert raised.value.where == str(damaged)
