"""What an annotator reads and writes: the two prompts of PromptCoT 2.0's annotation (section 3), in our own words, with their parsers.

(1) problem -> N foundational concepts, as a Python list in a code fence; (2) problem, concepts, level -> the design rationale z, which
is the whole reply. The criteria are the paper's. Unlike the paper, (2) also asks not to solve the problem and not to repeat its
wording, since a rationale that holds x makes log p(x|z,c) near 0 for nothing.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from promptcot.outcomes import Drop

LONGEST_LIST = 4000
"""Characters of a list that are parsed at all."""
LONGEST_CONCEPT = 200
"""Characters of one concept."""

_SUBJECT = {"math": ("math", "mathematics"), "code": ("programming", "computer science")}
_FENCED = re.compile(r"^```[ \t]*\w*[ \t]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
_PLACEHOLDER = re.compile(r"concept \d+", re.IGNORECASE)
_TAG = re.compile(r"<!--\s*(BEGIN|END) (RATIONALE|PROBLEM)\s*-->")


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why a reply cannot be used: the reason that is counted, and what exactly is wrong."""

    reason: Drop
    why: str


def concepts_prompt(domain: str, problem: str, count: int) -> str:
    """Ask for the `count` foundational concepts that a problem tests."""
    kind, field = _SUBJECT[domain]
    return f"""You are an expert in educational assessment. Name the {count} foundational concepts that the {kind} problem below tests.

Each concept must be
- part of the core curriculum of {field}, so that it is taught under its own name;
- precise and measurable, so that a teacher could write a test for it;
- an essential building block, so that nobody solves the problem without it;
- fundamental: not a trick that helps with this one problem.

Think about the problem first. Then end your reply with a Python list of exactly {count} strings in a code fence, like this:
```python
[{", ".join(f'"concept {n}"' for n in range(1, count + 1))}]
```

Problem:
{problem}"""


def rationale_prompt(domain: str, problem: str, concepts: Sequence[str], level: str) -> str:
    """Ask for the design rationale z behind a problem x with concepts c."""
    listed = "\n".join(f"{n}. {concept}" for n, concept in enumerate(concepts, 1))
    return f"""You are an expert in problem design. Reconstruct how the {_SUBJECT[domain][0]} problem below was designed from its concepts.

Your account of the design must
- bring the concepts together in a natural way;
- contain every key decision: the setting, the structure, the numbers or limits, and what a solver has to notice;
- be so precise that another teacher who reads it would write the identical problem;
- be so natural that another teacher could arrive at it from the concepts and the level alone.

Do not solve the problem and do not repeat its wording. Reply with the account alone, as plain text.

Concepts:
{listed}
Difficulty Level: {level}

Problem:
{problem}"""


def parse_concepts(reply: str, count: int) -> tuple[str, ...] | Unusable:
    """The concepts in the last code fence of a reply. Only literals are read; nothing is evaluated."""
    blocks = _FENCED.findall(reply)
    if not reply.strip():
        return Unusable(Drop.EMPTY, "an empty reply")
    if not blocks:
        return Unusable(Drop.UNPARSABLE, "no code fence")
    items = _literal(blocks[-1].strip())
    if isinstance(items, Unusable):
        return items
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        return Unusable(Drop.UNPARSABLE, "not a list of strings")
    if not all(item.isprintable() for item in items):  # before stripping, which would turn "\theta", read as a tab, into "heta"
        return Unusable(Drop.UNPARSABLE, "a concept with a control character (a backslash that was read as an escape)")
    return _checked([item.strip() for item in items], count)


def parse_rationale(reply: str) -> str | Unusable:
    """The rationale: the whole reply, unless it holds code or the tags that would break the text form of p and q."""
    text = reply.strip()
    if not text:
        return Unusable(Drop.EMPTY, "an empty reply")
    if "```" in text:
        return Unusable(Drop.UNPARSABLE, "a code fence, where plain text was asked for")
    return Unusable(Drop.UNPARSABLE, "a tag of the generator's text form") if _TAG.search(text) else text


def _literal(text: str) -> Any:
    if len(text) > LONGEST_LIST:
        return Unusable(Drop.TOO_LONG, f"a list of {len(text)} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an unknown escape such as "\s" is the model's affair; it keeps its backslash
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        return Unusable(Drop.UNPARSABLE, f"not a Python list ({type(error).__name__})")


def _checked(items: Sequence[str], count: int) -> tuple[str, ...] | Unusable:
    if len(items) != count:
        return Unusable(Drop.UNPARSABLE, f"{len(items)} concepts where {count} were asked for")
    if len({item.casefold() for item in items}) < count:
        return Unusable(Drop.UNPARSABLE, "the same concept twice")
    for item in items:
        if _PLACEHOLDER.fullmatch(item):
            return Unusable(Drop.UNPARSABLE, "the example of the prompt, repeated")
        if not item:
            return Unusable(Drop.EMPTY, "an empty concept")
        if len(item) > LONGEST_CONCEPT:
            return Unusable(Drop.TOO_LONG, f"a concept of {len(item)} characters")
    return tuple(items)
