"""The assistant's turn as text: how a chat template writes reasoning and answer, and what to write where it has no place for reasoning.

    template with a thinking form     whatever it renders after the prefix, up to the end of the answer
    any other                         <think>\\n reasoning \\n</think>\\n\\n answer

    Parted("2 + 3 = 5", "\\\\boxed{5}")    <->    <think>\\n2 + 3 = 5\\n</think>\\n\\n\\\\boxed{5}

Reasoning tags are `<think>` and `</think>`, at most one of each: a text with more would be cut elsewhere by who reads it next.
A prefix that already opens the reasoning (`...assistant\\n<think>\\n`) is gone on from, not opened again.

What this does not cover: a template that closes empty reasoning before the assistant speaks (`<think>\n\n</think>`, thinking switched off);
reasoning is then opened a second time, after it.
"""

from __future__ import annotations

from dataclasses import dataclass

from promptcot.outcomes import Drop

BEGIN, END = TAGS = ("<think>", "</think>")
MARK = "\ue000"
"""A character of nobody's: an answer that is found again in what a template makes of it."""
KEYS = ("reasoning_content", "reasoning", "thinking")
"""What templates call the reasoning of a message."""


def rendered(prefix: str, whole: str, reasoning: str, answer: str, tail: str = "") -> str | None:
    """What a template wrote after the prefix, up to the end of the answer; None where it left the reasoning out or changed the prefix.

    `whole` is the conversation with the assistant's turn, as the template renders it; `tail` what it writes after any answer."""
    if not whole.startswith(prefix) or not whole.endswith(tail):
        return None
    turn = whole[len(prefix) : len(whole) - len(tail)]
    return turn if turn.endswith(answer) and reasoning in turn[: len(turn) - len(answer)] else None


def wrapped(prefix: str, reasoning: str, answer: str) -> str:
    """Reasoning between its tags, then the answer, as they go on after the prefix."""
    opened = prefix.rstrip().endswith(BEGIN)
    if not reasoning and not opened:
        return answer
    begin = "" if opened else f"{BEGIN}\n"
    gap = "\n" if opened and not prefix[-1].isspace() else ""
    return f"{begin}{gap}{reasoning}\n{END}\n\n{answer}"


@dataclass(frozen=True, slots=True)
class Parted:
    """A solution in its two parts; `reasoning` is empty where the model wrote none."""

    reasoning: str
    answer: str


def parted(text: str, reasoning: str = "") -> Parted | Drop:
    """Reasoning and answer: as a server gave them, else split at the last `</think>`. A stray tag is `unparsable`, no answer `empty`."""
    before, after = reasoning, text
    if not reasoning.strip():
        before, end, rest = text.rpartition(END)
        after = rest if end else text
    before, after = before.strip().removeprefix(BEGIN).strip(), after.strip()
    if any(tag in part for tag in TAGS for part in (before, after)):
        return Drop.UNPARSABLE
    return Parted(before, after) if after else Drop.EMPTY


def joined(reasoning: str, answer: str) -> str:
    """A trace as one text, its reasoning between tags."""
    return f"{BEGIN}\n{reasoning}\n{END}\n\n{answer}" if reasoning else answer


def opened(text: str) -> str:
    """A text that begins inside its thought, since its prompt had opened that, with the tag before it; any other as it is."""
    return f"{BEGIN}\n{text.lstrip()}" if END in text and BEGIN not in text else text
