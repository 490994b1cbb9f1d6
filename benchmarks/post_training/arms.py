"""The recipes of the arms, and the rows from outside that the oracle's needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from promptcot.procedural import Instances

TASK = "reasoning-gym:chain_sum?min_terms=2&max_terms=2&min_digits=1&max_digits=2"
QUESTIONS = 128
MODEL = {"sft": "self_played", "dpo": "self_played", "oracle": "distilled"}
"""What each arm's better model is called in its evaluation."""


def rejection(given: Path, seed: int) -> dict[str, Any]:
    """Self-play by rejection sampling."""
    return _recipe("self-play-sft", seed, ["solver", "self_played"], {"self_play": _played("sft", 2, {"lr": 2.0e-5, "batch": 16})})


def preferences(given: Path, seed: int) -> dict[str, Any]:
    """Self-play by DPO on the same attempts."""
    fit = {"lr": 5.0e-5, "batch": 8}
    return _recipe("self-play-dpo", seed, ["solver", "self_played"], {"self_play": _played("dpo", 4, fit) | {"pairs": 4}})


def oracle(given: Path, seed: int) -> dict[str, Any]:
    """Distillation of procedural solutions, which a scripted teacher recites and the true answers verify."""
    instances = Instances.of(TASK, QUESTIONS, f"oracle traces {seed}").questions("math")
    entries = [(q.problem, json.loads(q.reference or "{}")["entry"]) for q in instances]
    rows = {question: {"prompt": question, "answer": entry["answer"]} for question, entry in entries}
    (given / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows.values()), encoding="utf-8")
    replies = [{"contains": question, "text": solution(entry)} for question, entry in entries]
    teacher = given / "teacher"
    teacher.mkdir(exist_ok=True)
    (teacher / "script.json").write_text(json.dumps({"replies": replies, "default": "?"}), encoding="utf-8")
    source = [{"path": str(given / "problems.jsonl"), "format": "promptcot_self_play", "license": "Apache-2.0"}]
    distilled = {"student": "solver", "verify": True, "sample": {"max_tokens": 400}, "epochs": 2, "lr": 2.0e-5, "batch": 16}
    made = _recipe("oracle", seed, ["solver", "distilled"], {"distill": distilled})
    made["inputs"] = {"problems": source, "labels": source}
    made["models"]["teacher"] = {"path": str(teacher), "engine": "script", "license": "Apache-2.0"}
    made["engines"] = {"default": {}, "script": {"kind": "scripted"}}
    return made


def solution(entry: dict[str, Any]) -> str:
    """The procedural solution of a sum: `12 + 5 = 17`, and the answer boxed."""
    sides = entry["metadata"]["expression"]
    return f"{sides} = {entry['answer']}\n\nThe final answer is \\boxed{{{entry['answer']}}}."


def _played(method: str, epochs: int, fit: dict[str, Any]) -> dict[str, Any]:
    return {
        "tasks": [f"reasoning-gym:chain_sum?size={QUESTIONS}&min_terms=2&max_terms=2&min_digits=1&max_digits=2"],
        "attempts": 8,
        "sample": {"temperature": 0.7, "max_tokens": 80},
        "band": {"below": 1.0},
        "method": method,
        "right": 2,
        "fit": {"epochs": epochs} | fit,
        "fallback": "last_number",
    }


def _recipe(name: str, seed: int, models: list[str], stage: dict[str, Any]) -> dict[str, Any]:
    evaluation = {
        "models": models,
        "benchmarks": [{"name": TASK, "rows": 100}],
        "samples": 4,
        "sample": {"temperature": 0.6, "top_p": 0.95, "max_tokens": 80},
        "fallback": "last_number",
    }
    solver = {"path": "smollm2-135m-instruct", "license": "Apache-2.0"}
    return {"schema": 1, "name": name, "seed": seed, "models": {"solver": solver}, "inputs": {}, **stage, "evaluate": evaluation}
