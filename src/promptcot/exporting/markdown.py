"""Markdown for cards. What a model, a file or a recipe has said is hostile: it stays text on its line, in its cell, behind its fence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_MARKS = re.compile(r"[\\`*|]")


def plain(text: str) -> str:
    """A text as it reads, on one line: no tag, link, image, emphasis or cell comes of it."""
    line = _CONTROL.sub(" ", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKS.sub(lambda mark: f"\\{mark.group()}", line).replace("](", "]\\(").strip()


def fenced(text: str, language: str = "") -> str:
    """A text as a code block, behind a fence that is longer than any in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; every cell is `plain`."""
    lines = [head, ["---"] * len(head), *([plain(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def bullets(lines: Iterable[str]) -> str:
    """A list of lines that are Markdown already."""
    return "".join(f"- {line}\n" for line in lines)


def sections(parts: Iterable[tuple[str, str]]) -> str:
    """Headed sections; one with nothing to say is left out."""
    return "\n".join(f"## {title}\n\n{text}" for title, text in parts if text)
