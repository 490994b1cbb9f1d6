"""The shapes outside rows come in: which of their keys is which of our fields, and what must be put together from several.

| format | recognized by | |
|---|---|---|
| `champ` | `_text`, `hints`, `steps` | rationale: the hints and first steps |
| `codeforces` | `description`, `input_format` | statement put together; `rating` is the level; `fields: {concepts: tags}` takes tags |
| `promptcot` | `prompt` and `completion`, or `foundational_concepts` | the four tags parsed; the row's own `prompt` kept verbatim |
| `promptcot_self_play` | `prompt` with `answer` or `test_cases` | problems, seeds, labels; the prompt's own instructions taken off |
| `promptcot_pairs` | `prompt`, `chosen` and `rejected`, no `question` | pairs; chat markup taken off |
| `promptcot_sft` | `prompt` and a `completion` without tags | problems, and the completions as attempts or traces |
| `numina` | `problem`, `solution`, `answer`, none of our other fields | |
| `native` | our field names | what the tables of a run hold |
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import promptcot.seeds.champ as champ
import promptcot.seeds.released as released
from promptcot.errors import UsageError
from promptcot.outcomes import Drop
from promptcot.seeds.rows import BadRow, Raw, Row, encodable, named
from promptcot.templates import TAGGED

Values = dict[str, Any]

OWN = ("family", "split", "source", "license", "domain")
"""Fields that any row of ours may carry."""
_PROBLEM = ("problem", "concepts", "level", "rationale", "prompt", *OWN)
FIELDS: dict[str, tuple[str, ...]] = {
    "seeds": ("answer", "solution", "tests", *_PROBLEM),
    "triples": ("annotator", *_PROBLEM),
    "concept_sets": ("concepts", "level", "prompt", "source", "license", "domain"),
    "problems": ("problem", "concepts", "level", "rationale", "draw", "tokens", "log_p", "generator", "source", "license", "domain"),
    "labels": ("problem", "kind", "answer", "tests", "evidence", "status", "source", "license", "domain"),
    "attempts": ("problem", "draw", "text", "reasoning", "verdict", "source", "license", "domain"),
    "pairs": ("question", "prompt", "chosen", "rejected", "weight", "source", "license", "domain"),
    "traces": ("question", "draw", "prompt", "reasoning", "answer", "tokens", "source", "license", "domain"),
}
"""Which fields a kind of row may bring, and so what `fields:` may name."""


def _always(theirs: Mapping[str, Any]) -> bool:
    return True


def _nothing(theirs: Mapping[str, Any]) -> Values:
    return {}


@dataclass(frozen=True, slots=True)
class Format:
    """How one shape is read. `fields`: our name -> theirs (None: the same names); `assemble` makes what no single key holds, and may
    raise `BadRow`; `marks`: sets of keys any of which gives the format away, where the row also `looks` like it; `domain` of all its rows,
    where it has one; `of_kind` assembles a kind of row in another way."""

    name: str
    fields: Mapping[str, str] | None = None
    assemble: Callable[[Mapping[str, Any]], Values] = _nothing
    marks: tuple[frozenset[str], ...] = ()
    kinds: frozenset[str] = field(default_factory=lambda: frozenset(["seeds", "triples", "problems"]))
    domain: str | None = None
    looks: Callable[[Mapping[str, Any]], bool] = _always
    of_kind: Mapping[str, Callable[[Mapping[str, Any]], Values]] = field(default_factory=dict)

    def row(self, raw: Mapping[str, Any], kind: str, overrides: Mapping[str, str]) -> Row:
        """The row under our names; `overrides` win over the format. Raises `BadRow`."""
        own = self.fields if self.fields is not None else {name: name for name in FIELDS[kind]}
        theirs = {**own, **overrides}
        assemble = self.of_kind.get(kind, self.assemble)
        values = {**assemble(raw), **{ours: raw[key] for ours, key in theirs.items() if key in raw}}
        return Row(values, theirs)


def parse_conditions(prompt: str) -> tuple[tuple[str, ...], str | None]:
    """The concepts numbered 1, 2, ... before the last `Difficulty Level:` of a prompt, and the level; `((), None)` without them."""
    head, mark, tail = prompt.rpartition("Difficulty Level:")
    level = tail.strip().partition("\n")[0].strip()
    numbered = re.findall(r"^\s*(\d+)[.)]\s+(\S.*?)\s*$", head, re.MULTILINE)
    if not mark or not level or [int(n) for n, _ in numbered] != list(range(1, len(numbered) + 1)) or not numbered:
        return (), None
    return tuple(concept for _, concept in numbered), level


def _promptcot(theirs: Mapping[str, Any]) -> Values:
    prompt, completion = theirs.get("prompt"), theirs.get("completion")
    concepts, level = parse_conditions(prompt) if isinstance(prompt, str) else ((), None)
    values: Values = {"concepts": concepts, "level": level}
    if completion is not None:
        if not isinstance(completion, str):
            raise BadRow("completion", f"a text is wanted, this is {named(completion)}")
        parsed = TAGGED.parse_generated(completion)
        if isinstance(parsed, Drop):
            raise BadRow("completion", f"{parsed} (a tag is missing, doubled, out of order or holds nothing)")
        values |= {"rationale": parsed.rationale, "problem": parsed.problem}
    return values


def _codeforces(theirs: Mapping[str, Any]) -> Values:
    rating = theirs.get("rating")
    values: Values = {
        "problem": _statement(theirs),
        "level": f"codeforces {rating}" if isinstance(rating, int) and rating else "codeforces",
    }
    return values if theirs.get("examples") is None else values | {"tests": theirs["examples"]}


def _statement(theirs: Mapping[str, Any]) -> str:
    parts = []
    for key, heading in _SECTIONS:
        text = theirs.get(key)
        if text is None and key != "description":
            continue
        if not isinstance(text, str) or not encodable(text):
            raise BadRow(key, f"a text is wanted, this is {named(text)}")
        if text.strip():
            parts.append(f"{heading}{text.strip()}")
        elif key == "description":
            raise BadRow(key, "empty")
    tests = Row({"tests": theirs.get("examples")}, {"tests": "examples"}).examples()
    return "\n\n".join([*parts, *(f"Example {n}\nInput:\n{i.strip()}\nOutput:\n{o.strip()}" for n, (i, o) in enumerate(tests, 1))])


_SECTIONS = (
    ("title", ""),
    ("description", ""),
    ("input_format", "Input\n"),
    ("output_format", "Output\n"),
    ("interaction_format", "Interaction\n"),
)


def _champ(theirs: Mapping[str, Any]) -> Values:
    try:
        return {"rationale": champ.rationale(theirs), "solution": "\n".join(theirs["steps"])}
    except (KeyError, TypeError) as error:
        raise BadRow("steps", f"hints and steps must be lists of texts ({error!r})") from error


FORMATS: dict[str, Format] = {
    f.name: f
    for f in (
        Format(
            "champ",
            {"problem": "_text", "answer": "_answer", "concepts": "concepts"},
            _champ,
            (frozenset(["_text", "hints", "steps"]),),
            domain="math",
        ),
        Format(
            "codeforces",
            {},
            _codeforces,
            (frozenset(["description", "input_format"]),),
            kinds=frozenset(["seeds", "problems"]),
            domain="code",
        ),
        Format(
            "promptcot",
            {"concepts": "foundational_concepts", "level": "level", "prompt": "prompt"},
            _promptcot,
            (frozenset(["prompt", "completion"]), frozenset(["foundational_concepts"])),
            kinds=frozenset(["seeds", "triples", "problems", "concept_sets"]),
            looks=released.tagged,
        ),
        Format(
            "promptcot_self_play",
            {},
            released.self_play,
            (frozenset(["prompt", "answer"]), frozenset(["prompt", "test_cases"])),
            kinds=frozenset(["seeds", "problems", "labels"]),
            looks=released.asks,
            of_kind={"labels": released.label},
        ),
        Format(
            "promptcot_pairs",
            {"license": "license"},
            released.pair,
            (frozenset(["prompt", "chosen", "rejected"]),),
            kinds=frozenset(["pairs"]),
            looks=lambda theirs: "question" not in theirs,
        ),
        Format(
            "promptcot_sft",
            {},
            released.sft,
            (frozenset(["prompt", "completion"]),),
            kinds=frozenset(["problems", "attempts", "traces"]),
            looks=lambda theirs: not released.tagged(theirs),
            of_kind={"attempts": released.attempt, "traces": released.trace},
        ),
        Format(
            "numina",
            {"problem": "problem", "solution": "solution", "answer": "answer", "source": "source"},
            kinds=frozenset(["seeds", "problems"]),
        ),
        Format("native", kinds=frozenset(FIELDS)),
    )
}


_TELLING = {"concept_sets": ("concepts", "prompt"), "pairs": ("chosen",), "traces": ("answer",)}
"""A key that makes a row native, by kind; `problem` for the others."""


def choose(name: str, kind: str, first: Raw, overrides: Mapping[str, str]) -> Format:
    """The format called `name`, or for `auto` the one that the first readable row shows. Raises `UsageError`."""
    if name == "auto":
        return _detect(kind, first, overrides)
    if kind not in FORMATS[name].kinds:
        fitting = [f.name for f in FORMATS.values() if kind in f.kinds]
        raise UsageError(f"format `{name}` does not hold {kind}", where=first.where, remedy=f"formats for {kind}: {', '.join(fitting)}")
    return FORMATS[name]


def _detect(kind: str, first: Raw, overrides: Mapping[str, str]) -> Format:
    keys = set(first.data or ())
    for candidate in FORMATS.values():
        if kind in candidate.kinds and any(mark <= keys for mark in candidate.marks) and candidate.looks(first.data or {}):
            return candidate
    if (
        kind in FORMATS["numina"].kinds
        and {"problem", "solution", "answer"} <= keys
        and not keys & {"concepts", "level", "rationale", "family", "domain"}
    ):
        return FORMATS["numina"]
    wanted = _TELLING.get(kind, ("problem",))
    if any(name in overrides or name in keys for name in wanted):
        return FORMATS["native"]
    raise UsageError(
        f"the format of these {kind} cannot be told: no known shape has the keys {', '.join(sorted(map(str, keys)))}",
        where=first.where,
        remedy=f"set `format:` to one of {', '.join(f.name for f in FORMATS.values() if kind in f.kinds)}, "
        f"or say which key it is: `fields: {{{wanted[0]}: KEY}}`",
    )


def check_overrides(kind: str, overrides: Iterable[str], where: str) -> None:
    """Raise `UsageError` where `fields:` names what is no field of the kind."""
    for name in overrides:
        if name not in FIELDS[kind]:
            near = difflib.get_close_matches(name, FIELDS[kind], n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(FIELDS[kind])}"
            raise UsageError(f"`{name}` is no field of {kind}", where=f"{where} fields.{name}", remedy=hint)
