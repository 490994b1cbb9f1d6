"""A recipe that only evaluates, from a model and the names of benchmarks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from promptcot.recipe import Recipe
from promptcot.recipes import overridden, validate

_URL = re.compile(r"https?://\S+")


def recipe(
    model: str,
    benchmarks: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any],
    *,
    key_env: str | None = None,
    served: str | None = None,
    overrides: Sequence[str] = (),
    seed: int = 0,
) -> Recipe:
    """The recipe. `model` is a folder, an alias, a hub id or the address of an OpenAI-compatible server, up to and with `/v1`; `served`
    names one of a server's models (default: the first that it lists), `key_env` the environment variable with its key."""
    remote = bool(_URL.fullmatch(model))
    engine: dict[str, Any] = {"kind": "transformers"}
    if remote:
        engine = {"kind": "openai", "urls": [model], "key_env": key_env}
        served = served or _listed(engine)
        engine["model"] = served
    elif (Path(model) / "script.json").is_file() or (Path(model) / "tabular.json").is_file():
        engine = {"kind": "scripted" if (Path(model) / "script.json").is_file() else "tabular"}
    data = {
        "schema": 1,
        "name": name([str(b["name"]) for b in benchmarks], served or model),
        "seed": seed,
        "models": {"solver": {"path": served if remote else model}},
        "engines": {"default": engine},
        "inputs": {},
        "evaluate": {"benchmarks": list(benchmarks), **settings},
    }
    return validate(overridden(data, overrides), "evaluate")


def name(benchmarks: Sequence[str], model: str) -> str:
    """What the run is called, and so its default folder: `evaluate-gsm8k-smollm2-135m-instruct`."""
    words = ["evaluate", *(Path(b).stem if b.endswith(".jsonl") else b for b in benchmarks), model.rstrip("/").split("/")[-1]]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(words))[:100]


def _listed(engine: Mapping[str, Any]) -> str:
    """The first model that a server lists."""
    from promptcot.engines.openai.engine import OpenAIEngine
    from promptcot.recipe import EngineSpec

    with OpenAIEngine.open(Path("-"), EngineSpec.model_validate(engine)) as opened:
        return opened.listed()[0]
