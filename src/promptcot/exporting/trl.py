"""Rows for TRL's trainers: conversations for SFT, DPO and GRPO. Columns that no trainer reads keep a row's lineage and license.

| format | columns that TRL reads | from |
|---|---|---|
| `trl-messages` | `messages` | traces |
| `trl-completions` | `prompt`, `completion`: only the completion is learned | traces |
| `trl-preference` | `prompt`, `chosen`, `rejected` | pairs |
| `trl-prompts` | `prompt`; `answer`, `tests` for the rewards of `promptcot.rewards.trl` | problems with labels |
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from promptcot.attempts import of_problem
from promptcot.engines.chat_reply import joined
from promptcot.licenses import combined
from promptcot.material import Material
from promptcot.records import Record

Row = dict[str, Any]


def said(role: str, content: str) -> list[dict[str, str]]:
    """A conversation of one turn."""
    return [{"role": role, "content": content}]


def origin(row: Record) -> Row:
    """Where a row is from."""
    return {"id": row.id, "domain": row.domain, "source": row.source, "license": row.license}


def messages(material: Material) -> Iterator[Row]:
    """Whole conversations."""
    for t in material.traces:
        yield {"messages": said("user", t.prompt) + said("assistant", joined(t.reasoning, t.answer)), **origin(t), "problem": t.question}


def completions(material: Material) -> Iterator[Row]:
    """Prompt and completion apart."""
    for t in material.traces:
        turn = said("assistant", joined(t.reasoning, t.answer))
        yield {"prompt": said("user", t.prompt), "completion": turn, **origin(t), "problem": t.question}


def preference(material: Material) -> Iterator[Row]:
    """A right and a wrong completion. `weight` is what the pair weighs in our loss; TRL's has no such thing."""
    for p in material.pairs:
        both = {"chosen": said("assistant", p.chosen), "rejected": said("assistant", p.rejected)}
        yield {"prompt": said("user", p.prompt), **both, **origin(p), "problem": p.question, "weight": p.weight, "round": p.round}


def prompts(material: Material) -> Iterator[Row]:
    """Prompts with what a completion must reach; `tests` is JSON text, so that the column has one type. None where there is none."""
    for problem, label in material.labeled:
        reached = {"answer": None if label.tests is not None else label.answer, "tests": label.tests}
        yield {
            "prompt": said("user", of_problem(problem)),
            **reached,
            **origin(problem),
            "license": combined(problem.license, label.license),
        }
