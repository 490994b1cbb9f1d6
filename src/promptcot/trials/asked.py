"""A recipe that only tries corpora, from their paths, a student and the names of benchmarks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from promptcot.recipe import Recipe, Trial
from promptcot.recipes import overridden, validate


def recipe(
    corpora: Sequence[str],
    benchmarks: Sequence[str],
    student: str,
    seeds: Sequence[int],
    settings: Mapping[str, Any],
    evaluate: Mapping[str, Any],
    overrides: Sequence[str] = (),
) -> Recipe:
    """The recipe; the corpora are called `a`, `b`, ... in their order."""
    named = [{"name": chr(ord("a") + place), "path": path} for place, path in enumerate(corpora)]
    data: dict[str, Any] = {
        "schema": 1,
        "name": name(corpora),
        "models": {"student": {"path": student}},
        "inputs": {},
        "trial": {"corpora": named, "seeds": list(seeds), **settings},
        "evaluate": {"benchmarks": list(benchmarks), **evaluate},
    }
    data = overridden(data, overrides)
    students = [one.name for one in Trial.model_validate(data["trial"]).students] if benchmarks else []
    data["evaluate"] = {"models": [data["trial"].get("student", "student"), *students], **data["evaluate"]}
    return validate(data, "trial")


def name(corpora: Sequence[str]) -> str:
    """What the run is called, and so its default folder: `trial-mine-theirs`."""
    words = ["trial", *(Path(path.rstrip("/")).name.removesuffix(".jsonl").removesuffix(".parquet") for path in corpora)]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(words))[:100]
