r"""The final answer of a completion: the last complete `\boxed{...}` after the reasoning.

Without one, a declared fallback: `marked` takes what follows a phrase such as `Final answer:` or `####`, `last_number` the last number of
the text, `none` nothing. The last number is never taken unless asked for: it is right by chance too often.

What this does not cover: answers in prose ("there are twelve of them"), tables, several parts each in a box of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum

MAX_COMPLETION = 1 << 20
"""Characters of a completion that are read, from its end."""

MARKS, LINE = 64, 1 << 12
"""Marks that are looked at, from the last one back, and characters after each: a text of marks alone must not cost its square."""

_BOX = re.compile(r"\\(?:boxed|fbox)\s*")
_THINK_END = re.compile(r"</(?:think|thinking|reasoning)>|<\|end_of_thought\|>", re.IGNORECASE)
_THINK_START = re.compile(r"<(?:think|thinking|reasoning)>|<\|begin_of_thought\|>", re.IGNORECASE)
_MARK = re.compile(
    r"####[ \t]*|(?:the\s+)?(?:final|correct)\s+answer(?:\s+is)?\s*[:=]?\s*|\banswer(?:\s+is\s*[:=]?|\s*[:=])\s*", re.IGNORECASE
)
_BARE = re.compile(r"[^\s{}$\\]{1,64}")
_FORMULA = re.compile(r"\$+([^$]+)\$+|\\\((.+?)\\\)|\\\[(.+?)\\\]")
_CLAUSE_END = re.compile(r"\*\*|(?<=\S)[.!?](?:\s|$)|,\s+(?:since|because|as|so|which|where|not)\b")
_SAYS = re.compile(r"[^\W_]|[∅∞π√]|\\[a-zA-Z]")
"""A letter, a digit or a symbol: a lone full stop or arrow is no answer."""
_NUMBER = re.compile(r"[-−+]?\d+(?:,\d{3})*(?:\.\d+)?(?:/\d+)?")


class Fallback(StrEnum):
    """What stands for the answer of a completion that boxes none."""

    NONE = "none"
    MARKED = "marked"
    LAST_NUMBER = "last_number"


def final_answer(completion: str, fallback: Fallback = Fallback.MARKED) -> str | None:
    """The text of the final answer, None where the completion gives none."""
    text = after_reasoning(completion[-MAX_COMPLETION:])
    if text is None:
        return None
    boxed = last_boxed(text)
    if boxed is not None or fallback is Fallback.NONE:
        return boxed
    marked = _marked(text)
    if marked is not None or fallback is Fallback.MARKED:
        return marked
    numbers = _NUMBER.findall(text)
    return numbers[-1] if numbers else None


def answer_text(text: str, fallback: Fallback = Fallback.MARKED) -> str | None:
    """As `final_answer`, but a text without box, reasoning or mark is itself the answer: a reference, or an answer already extracted."""
    if _BOX.search(text) or _THINK_START.search(text) or _THINK_END.search(text):
        return final_answer(text, fallback)
    marked = _marked(text) if fallback is not Fallback.NONE else None
    return marked if marked is not None else text.strip() or None


def after_reasoning(text: str) -> str | None:
    """What follows the last end of reasoning; None where reasoning begins and never ends."""
    ends = list(_THINK_END.finditer(text))
    rest = text[ends[-1].end() :] if ends else text
    return None if _THINK_START.search(rest) else rest


def last_boxed(text: str) -> str | None:
    r"""The content of the last box that closes, so of boxes in boxes the innermost. `\boxed 5` counts, an empty box does not."""
    closing = _closing_braces(text)
    for mark in reversed(list(_BOX.finditer(text))):
        start = mark.end()
        bare = None if start in closing else _BARE.match(text, start)
        content = text[start + 1 : closing[start]].strip() if start in closing else bare.group().rstrip(".,;") if bare else ""
        if content:
            return content
    return None


def _closing_braces(text: str) -> dict[int, int]:
    """Position of every opening brace that closes to the position of its closing one; escaped braces do not count."""
    found: dict[int, int] = {}
    stack: list[int] = []
    for place, brace in _braces(text):
        if brace == "{":
            stack.append(place)
        elif stack:
            found[stack.pop()] = place
    return found


def _braces(text: str) -> Iterator[tuple[int, str]]:
    for hit in re.finditer(r"\\.|[{}]", text, re.DOTALL):
        if hit.group() in "{}":
            yield hit.start(), hit.group()


def _marked(text: str) -> str | None:
    """What follows the last mark: the formula that begins there, else the line up to the end of its clause. None where nothing does."""
    for mark in reversed(list(_MARK.finditer(text))[-MARKS:]):
        line = text[mark.end() : mark.end() + LINE].split("\n", 1)[0].lstrip("*_:` ")
        if _BOX.search(line):
            continue
        formula = _FORMULA.match(line)
        found = next(filter(None, formula.groups()), "") if formula else _CLAUSE_END.split(line, maxsplit=1)[0]
        if _SAYS.search(found := found.strip("*_` ")):
            return found
    return None
