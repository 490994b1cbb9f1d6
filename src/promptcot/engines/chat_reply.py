"""The assistant's turn as text: how a chat template writes reasoning and answer, and what to write where it has no place for reasoning.

    template with a thinking form     whatever it renders after the prefix, up to the end of the answer
    any other                         <think>\\n reasoning \\n</think>\\n\\n answer

A prefix that already opens the reasoning (`...assistant\\n<think>\\n`) is gone on from, not opened again.

What this does not cover: a template that closes empty reasoning before the assistant speaks (`<think>\n\n</think>`, thinking switched off);
reasoning is then opened a second time, after it.
"""

from __future__ import annotations

BEGIN, END = "<think>", "</think>"
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
