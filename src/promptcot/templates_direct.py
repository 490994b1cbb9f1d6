"""What an instruct model reads when it is simply asked for a problem, and how its reply is read: the baseline without rationale or fit.

The reply is the problem, behind the word `Problem:` where the model keeps to what it was asked. A reply that goes on to solve the problem
is not taken apart: where its statement ends would be a guess.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from promptcot.outcomes import Drop

_WORK = {"math": "math problem", "code": "programming problem"}
_HEADING = r"^[ \t]*(?:#+[ \t]*)?[*_]{{0,2}}(?:{name})[*_]{{0,2}}(?:[ \t]*:[*_]{{0,2}}|[ \t]*$)"
_PROBLEM = re.compile(_HEADING.format(name=r"Problem(?:[ \t]+statement)?"), re.MULTILINE | re.IGNORECASE)
_SOLVED = re.compile(_HEADING.format(name=r"Solution|(?:Final[ \t]+)?answer"), re.MULTILINE | re.IGNORECASE)


def direct_prompt(domain: str, concepts: Sequence[str], level: str) -> str:
    """Ask for a problem with these concepts at this level."""
    listed = "\n".join(f"{n}. {concept}" for n, concept in enumerate(concepts, 1))
    return (
        f"Write a {_WORK[domain]} that combines the concepts below.\n\nConcepts:\n{listed}\nDifficulty Level: {level}\n\n"
        "Reply with the word `Problem:` and then the problem, complete and self-contained. Do not solve it."
    )


def render_direct(problem: str) -> str:
    """The reply that was asked for."""
    return f"Problem: {problem}"


def parse_direct(text: str) -> str | Drop:
    """The problem in a reply, or why there is none. Inverse of `render_direct` for a text without headings of its own."""
    heading = _PROBLEM.search(text)
    problem = text[heading.end() :].strip() if heading else text.strip()
    if _SOLVED.search(problem):
        return Drop.UNPARSABLE
    return problem or Drop.EMPTY
