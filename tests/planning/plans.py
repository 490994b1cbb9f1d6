"""Recipes to plan, without a file and without a model."""

from collections.abc import Mapping
from typing import Any

from promptcot.planning import Plan, machine, plan_recipe
from promptcot.recipe import Recipe
from promptcot.recipes import merge, validate

BASE: dict[str, Any] = {
    "schema": 1,
    "name": "planned",
    "models": {"generator": "Qwen/Qwen2.5-32B", "posterior": {"role": "generator"}},
    "engines": {"default": {"kind": "vllm", "gpus": 8, "tensor_parallel": 2, "max_len": 8192, "concurrency": 1024}},
    "inputs": {"seeds": [{"path": "not-here.jsonl", "rows": 15_586, "split": "train"}]},
}


def recipe(**sections: Any) -> Recipe:
    """`BASE` with sections merged over it."""
    return validate(merge(BASE, sections), "here")


def planned(sections: Mapping[str, Any], gpu: str = "H100", gpus: int = 8, **how: Any) -> Plan:
    """The plan of `BASE` with sections merged over it."""
    return plan_recipe(recipe(**sections), machine(gpu, gpus), **how)
