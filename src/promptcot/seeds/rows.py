"""A row of the outside world: as it was read, and under our field names with checked access."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KEPT = 2000
"""Characters of a bad row that are kept to be read."""


class BadRow(Exception):
    """A row that cannot be used: the key in the row's own naming, and why."""

    def __init__(self, key: str, why: str) -> None:
        self.key, self.why = key, why
        super().__init__(f"{key}: {why}" if key else why)


@dataclass(frozen=True, slots=True)
class Raw:
    """A row as it was read. `where` is FILE:LINE (in .json and .parquet the row's number); `data` is None, with the reason in `why`,
    where the row is no JSON object; `text` is the row for people, cut to `KEPT` characters."""

    where: str
    data: Mapping[str, Any] | None
    text: str
    why: str = ""

    @classmethod
    def of(cls, where: str, data: Any) -> Raw:
        """Wrap a decoded value."""
        text = shortened(json.dumps(data, ensure_ascii=False, default=str))
        if not isinstance(data, Mapping):
            return cls(where, None, text, f"a JSON object is wanted, this is {named(data)}")
        return cls(where, data, text)


@dataclass(frozen=True, slots=True)
class Row:
    """A row's values by our field names; `theirs` maps a name to the row's own, for messages. Every getter raises `BadRow`."""

    values: Mapping[str, Any]
    theirs: Mapping[str, str]

    def text(self, name: str) -> str:
        """A text that is not blank, without surrounding space."""
        return self.verbatim(name).strip()

    def verbatim(self, name: str) -> str:
        """A text that is not blank, every character kept."""
        value = self.values.get(name)
        if value is None:
            raise self.bad(name, "missing")
        return self._checked(name, value)

    def maybe(self, name: str) -> str | None:
        """A text, or None where it is missing or blank."""
        return None if self._blank(name) else self.text(name)

    def scalar(self, name: str) -> str | None:
        """A text or a number as text, or None where it is missing or blank."""
        value = self.values.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return self.maybe(name)
        if not math.isfinite(value):
            raise self.bad(name, "not a finite number")
        return str(value)

    def count(self, name: str) -> int:
        """A whole number >= 0; 0 where it is missing."""
        value = self.values.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.bad(name, f"a whole number from 0 is wanted, this is {named(value)}")
        return value

    def number(self, name: str) -> float:
        """A finite number; 0 where it is missing."""
        value = self.values.get(name, 0.0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.bad(name, f"a finite number is wanted, this is {named(value)}")
        return float(value)

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        """One of `allowed`; `default` where it is missing or blank."""
        value = default if self._blank(name) else self.text(name)
        if value not in allowed and value != default:
            raise self.bad(name, f"`{value}` is none of {', '.join(allowed)}")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts, each not blank; empty where it is missing."""
        value = self.values.get(name)
        if value is None:
            return ()
        if not isinstance(value, list | tuple):
            raise self.bad(name, f"a list of texts is wanted, this is {named(value)}")
        return tuple(self._checked(name, item).strip() for item in value)

    def tests(self, name: str) -> str | None:
        """Unit tests as JSON, from a list of {input, output}, a map of two lists, or JSON text of either; None where there are none."""
        value = self.values.get(name)
        if isinstance(value, str) and value.strip():
            try:
                value = json.loads(value)
            except ValueError:
                raise self.bad(name, "not JSON") from None
        if not value:
            return None
        pairs = [self._test(name, item) for item in self._unzipped(name, value)]
        return json.dumps([{"input": i, "output": o} for i, o in pairs], ensure_ascii=False)

    def examples(self) -> list[tuple[str, str]]:
        """The pairs of input and output under `tests`; empty where there are none."""
        made = self.tests("tests")
        return [(test["input"], test["output"]) for test in json.loads(made)] if made else []

    def bad(self, name: str, why: str) -> BadRow:
        """The error that names the row's own key."""
        return BadRow(self.theirs.get(name, name), why)

    def _blank(self, name: str) -> bool:
        value = self.values.get(name)
        return value is None or (isinstance(value, str) and not value.strip())

    def _checked(self, name: str, value: Any) -> str:
        if not isinstance(value, str):
            raise self.bad(name, f"a text is wanted, this is {named(value)}")
        if not value.strip():
            raise self.bad(name, "empty")
        if not encodable(value):
            raise self.bad(name, "half of a surrogate pair: not Unicode text")
        return value

    def _unzipped(self, name: str, value: Any) -> list[Any]:
        if isinstance(value, Mapping) and all(isinstance(value.get(k), list) for k in ("input", "output")):
            inputs, outputs = value["input"], value["output"]
            if len(inputs) != len(outputs):
                raise self.bad(name, f"{len(inputs)} inputs but {len(outputs)} outputs")
            return [{"input": i, "output": o} for i, o in zip(inputs, outputs, strict=True)]
        if not isinstance(value, list):
            raise self.bad(name, f"a list of {{input, output}} is wanted, this is {named(value)}")
        return value

    def _test(self, name: str, item: Any) -> tuple[str, str]:
        if not isinstance(item, Mapping) or not all(isinstance(item.get(k), str) and encodable(item[k]) for k in ("input", "output")):
            raise self.bad(name, "every test needs the texts `input` and `output`")
        return item["input"], item["output"]


def encodable(text: str) -> bool:
    """Whether a text can be written as UTF-8."""
    return not any("\ud800" <= c <= "\udfff" for c in text)


def shortened(text: str) -> str:
    """The text cut to `KEPT` characters and made writable."""
    cut = text if len(text) <= KEPT else f"{text[:KEPT]}... ({len(text)} characters)"
    return cut.encode("utf-8", "backslashreplace").decode()


def named(value: Any) -> str:
    """What a JSON value is, in words."""
    kinds = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "a truth value",
        int: "a number",
        float: "a number",
        type(None): "null",
    }
    return kinds.get(type(value), f"a {type(value).__name__}")
