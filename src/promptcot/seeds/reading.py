"""Inputs to records: every row of the outside world becomes a record or a `Dropped` with the file, line and key to blame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Generic, TypeVar

from promptcot.errors import UsageError
from promptcot.outcomes import Drop, Split
from promptcot.recipe import Input
from promptcot.records import Dropped, Record, record_id
from promptcot.seeds.formats import Format, check_overrides, choose
from promptcot.seeds.rows import BadRow, Raw, Row
from promptcot.seeds.sources import Source, open_source

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Reading(Generic[R]):
    """What was read: `rows_in` = rows + dropped, always. `left_out` counts good rows beyond an input's `rows`, which are in neither."""

    rows: tuple[R, ...]
    dropped: tuple[Dropped, ...]
    rows_in: int
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Origin:
    """What a row has where it brings nothing itself. `split` is the input's own, which wins over the row's."""

    domain: str
    source: str
    license: str
    split: str


@dataclass(frozen=True, slots=True)
class Kind(Generic[R]):
    """A kind of row: how it is built (raising `BadRow`), and the key under which two rows are exact duplicates."""

    name: str
    build: Callable[[Row, Origin], R]
    same: Callable[[R], str]


@dataclass(slots=True)
class Collected(Generic[R]):
    """Rows by input, with the drops, while reading."""

    kept: list[list[R]] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    seen: dict[str, R] = field(default_factory=dict)


def collect(inputs: Sequence[Input], kind: Kind[R], domain: str, seed: int) -> Collected[R]:
    """Read all inputs, in order; of exact duplicates the first stays. Raises `UsageError` for an input without a usable row."""
    collected: Collected[R] = Collected()
    for given in inputs:
        collected.kept.append(_read(given, kind, domain, seed, collected))
    return collected


def _read(given: Input, kind: Kind[R], domain: str, seed: int, into: Collected[R]) -> list[R]:
    check_overrides(kind.name, given.fields, given.path)
    if given.split is not None and given.split not in list(Split):
        raise UsageError(f"`{given.split}` is no split", where=f"{given.path} split", remedy=f"one of {', '.join(Split)}")
    source = open_source(given, given.domain or domain, seed)
    rows = iter(source.rows)
    ahead, first = _first_readable(rows)
    if first is None:
        raise _unusable(given, kind, ahead[0].where if ahead else given.path, ahead[0].why if ahead else "it is empty")
    shape = choose(given.format, kind.name, first, given.fields)
    reader = _Reader(kind, shape, _origin(given, shape, source, domain), given.fields, into)
    for raw in chain(ahead, rows):
        reader.take(raw)
    reader.finish(given)
    return reader.kept


def _first_readable(rows: Iterable[Raw]) -> tuple[list[Raw], Raw | None]:
    ahead = []
    for raw in rows:
        ahead.append(raw)
        if raw.data is not None:
            return ahead, raw
    return ahead, None


def _origin(given: Input, shape: Format, source: Source, domain: str) -> Origin:
    license_ = source.license if given.license is None else given.license
    return Origin(given.domain or shape.domain or domain, given.source or source.name, license_, given.split or "")


@dataclass(slots=True)
class _Reader(Generic[R]):
    """Reads the rows of one input."""

    kind: Kind[R]
    shape: Format
    origin: Origin
    overrides: Mapping[str, str]
    into: Collected[R]
    kept: list[R] = field(default_factory=list)
    usable: int = 0
    keys: set[str] = field(default_factory=set)
    complaint: tuple[str, str] | None = None

    def take(self, raw: Raw) -> None:
        try:
            record = self._record(raw)
        except BadRow as bad:
            where = f"{raw.where} {bad.key}".rstrip()
            self.complaint = self.complaint or (where, bad.why)
            self.into.dropped.append(_dropped(self.origin, Drop.BAD_ROW, raw, f"{where}: {bad.why}"))
            return
        self.usable += 1
        earlier = self.into.seen.setdefault(self.kind.same(record), record)
        if earlier is record:
            self.kept.append(record)
            return
        self.into.dropped.append(_dropped(self.origin, Drop.EXACT_DUPLICATE, raw, f"{raw.where}: the same as {earlier.id}", earlier.id))

    def _record(self, raw: Raw) -> R:
        if raw.data is None:
            raise BadRow("", raw.why)
        self.keys.update(raw.data)
        return self.kind.build(self.shape.row(raw.data, self.kind.name, self.overrides), self.origin)

    def finish(self, given: Input) -> None:
        for ours, theirs in self.overrides.items():
            if theirs not in self.keys:
                known = ", ".join(sorted(self.keys))
                raise UsageError(f"no row has the key `{theirs}`", where=f"{given.path} fields.{ours}", remedy=f"keys there: {known}")
        if not self.usable:
            where, why = self.complaint or (given.path, "it is empty")
            raise _unusable(given, self.kind, where, why, self.shape.name)


def _unusable(given: Input, kind: Kind[R], where: str, why: str, shape: str = "") -> UsageError:
    read_as = f" in format `{shape}`" if shape else ""
    return UsageError(
        f"`{given.path}` holds no usable row of {kind.name}{read_as}: {why}",
        where=where,
        remedy="mend the rows, set `format:`, or map keys with `fields: {OURS: THEIRS}`",
    )


def _dropped(origin: Origin, reason: Drop, raw: Raw, detail: str, *parents: str) -> Dropped:
    return Dropped(
        id=record_id("dropped", parents, 0, f"{reason} {raw.where} {raw.text}"),
        parents=parents,
        domain=origin.domain,
        source=origin.source,
        license=origin.license,
        reason=reason,
        detail=detail,
        content=raw.text,
    )
