"""What a writer of unit tests reads and writes: prompts for tests of one kind and for programs that print inputs, and the tests' parser.

The kinds are the four rounds of PromptCoT 2.0 (section 5). Unlike the paper, a round asks for several tests at once, so that they differ,
and what the writer says of an output decides nothing: solutions vote on it (`verify.unittests`).

    parse_tests('```json\\n[{"input": "3\\\\n", "output": "6"}]\\n```')  ->  Parsed((Pair("3\\n", "6"),), malformed=0)

The parser reads JSON or Python literals, nothing else: a pair that is no pair of texts is counted, never mended.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from promptcot.outcomes import Drop
from promptcot.templates_annotation import Unusable

LONGEST_REPLY = 1 << 20
"""Characters of a list of tests that are parsed at all."""


class InputKind(StrEnum):
    """What an input is for: the paper's four rounds, what a program printed, and what the statement shows."""

    EDGE_CASE = "edge_case"
    COMPLEX = "complex"
    ERROR_PRONE = "error_prone"
    CRITICAL_PATH = "critical_path"
    GENERATED = "generated"
    SAMPLE = "sample"


ROUNDS = (InputKind.EDGE_CASE, InputKind.COMPLEX, InputKind.ERROR_PRONE, InputKind.CRITICAL_PATH)
"""The kinds that a writer is asked for, in order."""
_ABOUT = {
    InputKind.EDGE_CASE: "edge cases: smallest and largest values, empty or single items, equal items, everything at a limit",
    InputKind.COMPLEX: "complex cases: several rules of the problem at work in one input, of moderate size",
    InputKind.ERROR_PRONE: "error-prone cases: inputs on which a plausible but wrong or careless program prints something else",
    InputKind.CRITICAL_PATH: "the critical path: typical inputs that need every main step of a right solution",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """An input, and the output that the writer expects, where it says one."""

    input: str
    output: str | None


@dataclass(frozen=True, slots=True)
class Parsed:
    """The pairs of a reply; `malformed` counts entries that are none."""

    pairs: tuple[Pair, ...]
    malformed: int


_EXAMPLE = Pair("first line\nsecond line\n", "expected output")


def asked_of(tests: int) -> list[tuple[InputKind, int]]:
    """How many of so many tests a writer is asked for by kind, those that it is not asked for left out."""
    counts = [tests // len(ROUNDS) + (n < tests % len(ROUNDS)) for n in range(len(ROUNDS))]
    return [(kind, count) for kind, count in zip(ROUNDS, counts, strict=True) if count]


def writer_prompt(problem: str, kind: InputKind, count: int) -> str:
    """Ask for `count` tests of one kind."""
    example = json.dumps([{"input": _EXAMPLE.input, "output": _EXAMPLE.output}])
    return f"""You write tests for the programming problem below. A program reads standard input and writes standard output.

Write {count} tests of this kind: {_ABOUT[kind]}.

Each input must
- have exactly the form that the problem states, and keep within its limits;
- be given in full: no dots in place of values, no code, no comment;
- differ from the examples of the problem and from each other.

Think first, and work out every output step by step. Then end your reply with a JSON list of exactly {count} objects in a code fence, with
\\n for line breaks, like this:
```json
{example}
```

Problem:
{problem}"""


def generator_prompt(problem: str, seeds: int) -> str:
    """Ask for a program that prints an input for each seed from 1 to `seeds`."""
    return f"""Write a Python 3 program that makes test inputs for the programming problem below.

It reads one integer s (1 <= s <= {seeds}) from standard input and prints one input of the problem, in full and in exactly the form that
the problem states, and nothing else. It must
- seed its random numbers with s, so that the same s always gives the same input;
- print a larger input for a larger s: a small one for s = 1, one near the problem's limits for s = {seeds}, at most 200,000 characters;
- also make inputs on which slow or careless solutions fail.

Think first, then give the whole program in one ```python block.

Problem:
{problem}"""


_REASONING_ENDS = re.compile(r"</think(?:ing)?>|</reasoning>")
_FENCED = re.compile(r"^ {0,3}```[ \t]*\w*[ \t]*\n(.*?)^ {0,3}```[ \t]*$", re.MULTILINE | re.DOTALL)
_LISTS = ("tests", "test_cases")
_OUTPUTS = ("output", "expected_output", "expected")


def parse_tests(reply: str) -> Parsed | Unusable:
    """The pairs in the last code fence of a reply that holds data, after the reasoning; or in a reply that is nothing but data."""
    answer = _REASONING_ENDS.split(reply)[-1].strip()
    if not answer:
        return Unusable(Drop.EMPTY, "an empty reply")
    blocks = [block for block in (block.strip() for block in _FENCED.findall(answer)) if block[:1] in ("[", "{")]
    text = blocks[-1] if blocks else answer
    if text[:1] not in ("[", "{"):
        return Unusable(Drop.UNPARSABLE, "no closed code fence with a list of tests")
    if len(text) > LONGEST_REPLY:
        return Unusable(Drop.TOO_LONG, f"a list of {len(text)} characters")
    values = _values(text)
    if values is None:
        return Unusable(Drop.UNPARSABLE, "neither JSON nor a Python list")
    read = [_pair(entry) for value in values for entry in _entries(value)]
    pairs = tuple(pair for pair in read if pair is not None and pair.input != _EXAMPLE.input)
    if not pairs:
        return Unusable(Drop.UNPARSABLE if read else Drop.EMPTY, f"{len(read)} entries, none of them a pair of texts")
    return Parsed(pairs, len(read) - len(pairs))


def _values(text: str) -> list[Any] | None:
    """One JSON value or several in a row; else one Python literal."""
    decoder, at, found = json.JSONDecoder(object_pairs_hook=_object, strict=False), 0, []
    try:
        while at < len(text):
            value, at = decoder.raw_decode(text, at)
            found.append(value)
            while text[at : at + 1].isspace():
                at += 1
        return found
    except (ValueError, RecursionError):
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an unknown escape keeps its backslash
            return [ast.literal_eval(text)]
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; of one that names a key twice nobody knows what it says."""
    return dict(pairs) if len({key for key, _ in pairs}) == len(pairs) else {}


def _entries(value: Any) -> Iterator[Any]:
    if isinstance(value, dict) and "input" not in value:
        value = next((value[key] for key in _LISTS if key in value), [value])
    yield from value if isinstance(value, list) else [value]


def _pair(entry: Any) -> Pair | None:
    if not isinstance(entry, dict):
        return None
    given, outputs = entry.get("input"), [entry[key] for key in _OUTPUTS if key in entry]
    if not _text(given) or len(outputs) > 1 or not all(map(_text, outputs)):
        return None
    return Pair(str(given), outputs[0] if outputs else None)


def _text(value: Any) -> bool:
    """Whether a value is a text that can be written as UTF-8."""
    return isinstance(value, str) and not any("\ud800" <= char <= "\udfff" for char in value)
