"""A fit on disk, for a process of its own: `job.json`, and `examples.jsonl` with one example a line.

    {"id": "a", "tokens": {"prefix": [1, 9], "segments": [[10, 11], [12, 2]]}, "weight": 1.0}
    {"id": "b", "chosen": {...}, "rejected": {...}, "reference": [-20.0, -7.5], "weight": 1.0}

Only tokens of segments bear loss; `reference` holds log p of both texts under the reference model, in nats.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from promptcot.durable import read_json, write_json
from promptcot.engines.protocol import FitExample, PairExample, Tokens
from promptcot.recipe import Fit, Training
from promptcot.training.batches import Example
from promptcot.training.job import Job

EXAMPLES, JOB = "examples.jsonl", "job.json"


def write_job(job: Job, folder: Path, **more: Any) -> None:
    """Write both files. `more` goes into `job.json` as it is."""
    write_examples(folder / EXAMPLES, job.examples)
    settings, training = job.settings.model_dump(), job.training.model_dump()
    facts = {"model": str(job.model.absolute()), "settings": settings, "training": training, "seed": job.seed, "beta": job.beta}
    write_json(folder / JOB, {**facts, **more})


def read_job(folder: Path) -> tuple[Job, Mapping[str, Any]]:
    """The job in a folder, and all of `job.json`."""
    facts = read_json(folder / JOB)
    settings, training = Fit.model_validate(facts["settings"]), Training.model_validate(facts["training"])
    job = Job(Path(facts["model"]), read_examples(folder / EXAMPLES), settings, training, facts["seed"], facts["beta"])
    return job, facts


def write_examples(path: Path, examples: Sequence[Example]) -> None:
    """One example a line."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(example)) + "\n" for example in examples)


def read_examples(path: Path) -> tuple[Example, ...]:
    """What `write_examples` wrote."""
    with path.open(encoding="utf-8") as file:
        return tuple(_example(json.loads(line)) for line in file)


def _example(line: Mapping[str, Any]) -> Example:
    if "tokens" in line:
        return FitExample(line["id"], _tokens(line["tokens"]), line["weight"])
    first, second = line["reference"]
    return PairExample(line["id"], _tokens(line["chosen"]), _tokens(line["rejected"]), (first, second), line["weight"])


def _tokens(value: Mapping[str, Any]) -> Tokens:
    return Tokens(tuple(value["prefix"]), tuple(map(tuple, value["segments"])))
