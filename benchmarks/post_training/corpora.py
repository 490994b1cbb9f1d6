"""The two corpora of the comparison of synthesized with human problems, for `promptcot trial`.

`synthetic` are problems of a generator that EM fitted, with labels by vote of the embedded model; `human` the starter corpus's training
problems with the answers that programs checked. Both teach a problem and its boxed answer: right attempts would be the better lesson, but
of 548 attempts at the human problems (4 each, 160 tokens, T = 0.7) the embedded model's were right in none.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

SOLVER = {"path": "smollm2-135m-instruct", "license": "Apache-2.0"}
VOTES = {"votes": 8, "agree": 2, "rows": 160, "sample": {"temperature": 0.7, "max_tokens": 256}}


def synthetic(given: Path, seed: int) -> dict[str, Any]:
    """The demo's recipe, more concept sets, and labels by vote."""
    return {
        "extends": "demo",
        "name": "synthetic",
        "seed": seed,
        "models": {"solver": SOLVER},
        "synthesize": {"concept_sets": 600},
        "label": VOTES,
    }


def human(given: Path, seed: int) -> dict[str, Any]:
    """The starter corpus's training problems, with the answers that programs checked."""
    rows = given / "problems.jsonl"
    starter = [row for row in _starter() if row["split"] == "train"]
    rows.write_text("".join(json.dumps({"prompt": row["problem"], "answer": row["answer"]}) + "\n" for row in starter), encoding="utf-8")
    source = [{"path": str(rows), "format": "promptcot_self_play", "license": "Apache-2.0", "source": "starter"}]
    inputs = {"problems": source, "labels": source}
    return {"schema": 1, "name": "human", "seed": seed, "models": {"solver": SOLVER}, "inputs": inputs}


def held_out(path: Path) -> Path:
    """The starter problems that neither corpus holds, as a benchmark of one's own."""
    rows = [{"id": row["key"], "problem": row["problem"], "answer": row["answer"]} for row in _starter() if row["split"] != "train"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _starter() -> list[dict[str, Any]]:
    text = files("promptcot.starter").joinpath("math.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]
