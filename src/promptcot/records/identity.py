"""What every row carries, and its id."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


def record_id(kind: str, parents: Iterable[str] = (), draw: int = 0, content: str = "") -> str:
    """The id of a record: 32 hex digits (128 bits) that depend on nothing but its arguments."""
    digest = hashlib.sha256()
    for part in (kind, *sorted(parents), str(draw), content):
        raw = part.encode()
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()[:32]


def content_hash(text: str) -> str:
    """A hash of the text without case and spacing, to find exact duplicates; 32 hex digits."""
    return hashlib.sha256(" ".join(text.lower().split()).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What every row carries: identity, lineage, licence and split.

    `split` is `train`, `dev` or `test` for rows that descend from a seed and empty for synthesized ones."""

    id: str
    parents: tuple[str, ...] = ()
    domain: str = "math"
    source: str = ""
    license: str = ""
    split: str = ""


def inherited(row: Record) -> dict[str, Any]:
    """The fields a row hands on to what is made of it: domain, source, license, split."""
    return {"domain": row.domain, "source": row.source, "license": row.license, "split": row.split}
