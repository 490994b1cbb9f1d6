"""The files of the public PromptCoT 2.0 release, in its own field names; `inputs` reads all of them back.

| file | fields | from |
|---|---|---|
| `problems.jsonl` | `foundational_concepts`, `level`, `prompt`, `completion` (tagged rationale and problem) | problems |
| `self_play.jsonl` | `source`, `prompt`, and `answer` or `test_cases` | problems with labels |
| `pairs.jsonl` | `source`, `prompt`, `chosen`, `rejected` | pairs |
| `sft.jsonl` | `prompt`, `completion` (`<think>...</think>` and the answer) | traces |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from promptcot.attempts import of_problem
from promptcot.engines.chat_reply import joined
from promptcot.material import Material
from promptcot.records import Record
from promptcot.templates import TAGGED
from promptcot.templates_solving import BOXED_SUFFIX

Row = dict[str, Any]


def source(row: Record) -> str:
    """What the release calls rows like these: its scripts branch on it."""
    return "PromptCoT-Code" if row.domain == "code" else "PromptCoT-Math"


def problems(material: Material) -> Iterator[Row]:
    """What the generator read and wrote."""
    for p in material.problems:
        prompt = TAGGED.generator_prefix(p.domain, p.concepts, p.level)
        completion = TAGGED.render_rationale(p.rationale) + TAGGED.render_problem(p.problem)
        yield {"foundational_concepts": list(p.concepts), "level": p.level, "prompt": prompt, "completion": completion}


def self_play(material: Material) -> Iterator[Row]:
    """Prompts with what a solution must reach."""
    for p, label in material.labeled:
        if label.tests is not None:
            yield {"source": source(p), "prompt": of_problem(p), "test_cases": json.loads(label.tests)}
        else:
            yield {"source": source(p), "prompt": p.problem + BOXED_SUFFIX, "answer": label.answer}


def pairs(material: Material) -> Iterator[Row]:
    """Right and wrong completions."""
    for p in material.pairs:
        yield {"source": source(p), "prompt": p.prompt, "chosen": p.chosen, "rejected": p.rejected}


def sft(material: Material) -> Iterator[Row]:
    """Traces."""
    for t in material.traces:
        yield {"prompt": t.prompt, "completion": joined(t.reasoning, t.answer)}


FILES: dict[str, Callable[[Material], Iterator[Row]]] = {
    "problems.jsonl": problems,
    "self_play.jsonl": self_play,
    "pairs.jsonl": pairs,
    "sft.jsonl": sft,
}
