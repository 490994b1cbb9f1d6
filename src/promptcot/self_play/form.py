"""Whether an attempt is built as training wants it: thought and answer apart, and an answer that can be found.

<think>2 and 2 ...</think>The sum is \\boxed{4}.        well formed
<think>2 and 2 ...</think>                              nothing after the thought
The sum is \\boxed{4}.                                  no thought (well formed where only an answer is asked for)
"""

from __future__ import annotations

from promptcot.grading import PROGRAMS
from promptcot.outcomes import Grading
from promptcot.verify.extraction import last_boxed
from promptcot.verify.program_text import extract

OPEN, CLOSE = "<think>", "</think>"


def malformed(text: str, grading: str, form: str, *, opened: bool = False) -> str:
    """What is wrong with an attempt, in words; empty where nothing is. `form` is as in the recipe. `opened`: the prompt ends with the tag
    that opens the thought, so that the attempt begins inside."""
    if form == "none":
        return ""
    answer = text
    if form == "think":
        whole = OPEN + text if opened else text
        if whole.count(OPEN) != 1 or whole.count(CLOSE) != 1:
            return f"{whole.count(OPEN)} {OPEN} and {whole.count(CLOSE)} {CLOSE}, where one of each is wanted"
        before, _, rest = whole.partition(OPEN)
        thought, closed, answer = rest.partition(CLOSE)
        if before.strip() or not closed:
            return f"text before {OPEN}" if closed else f"{CLOSE} before {OPEN}"
        if not thought.strip() or not answer.strip():
            return "nothing in the thought" if answer.strip() else "nothing after the thought"
    if Grading(grading) in PROGRAMS:
        return "" if extract(answer) else "no program in a closed code block"
    return "" if last_boxed(answer) else "no boxed answer"
