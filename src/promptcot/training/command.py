"""A fit by a program of the user's own: it gets the examples as files, and gives back a model.

    training: {backend: command, cmd: [python, mine.py, --data, "{data}", --model, "{model}", --out, "{out}", --seed, "{seed}"]}

`{data}` is a folder with `job.json` and `examples.jsonl` (see `files`), `{model}` the model to start from, `{out}` a folder that the
program makes, in the hub's format. Only what every fit sees is handed over: texts too long and examples of weight 0 are left out before.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections import deque
from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError, safe_open
from transformers import AutoConfig

from promptcot.errors import Stopped, UsageError
from promptcot.training import batches
from promptcot.training.files import write_job
from promptcot.training.folders import context_of, copy_beside, require_free
from promptcot.training.job import Job
from promptcot.training.log import FitLog

SAID = 10
"""So many last lines of a program that failed are told."""


def fit_by_command(job: Job, out: Path) -> FitLog:
    """Run `training.cmd` and take the model that it made. Raises `Stopped` when it fails or leaves no model."""
    data = batches.usable(job.examples, job.training, context=context_of(job.model))
    require_free(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name.lstrip('.')}-", dir=out.parent) as scratch:
        folder, made = Path(scratch) / "data", Path(scratch) / "model"
        folder.mkdir()
        write_job(replace(job, examples=data.examples), folder)
        places = {"data": str(folder), "model": str(job.model.absolute()), "out": str(made), "seed": str(job.seed)}
        seconds = _run([_filled(word, places) for word in job.training.cmd])
        _require_model(made)
        copy_beside(job.model, made, replace=False)
        os.replace(made, out)
    passes = job.settings.epochs
    return FitLog(
        steps=len(batches.optimizer_steps(len(data.examples), passes, job.settings.batch, job.seed)),
        epochs=passes,
        examples=len(data.examples),
        dropped=data.dropped,
        tokens=round(passes * sum(map(batches.scored_tokens, data.examples))),
        total_tokens=round(passes * sum(map(batches.total_tokens, data.examples))),
        seconds=seconds,
    )


def _filled(word: str, places: dict[str, str]) -> str:
    for name, value in places.items():
        word = word.replace("{" + name + "}", value)
    return word


def _run(command: list[str]) -> float:
    """The seconds that it took. What it says goes to standard error, as it comes."""
    if shutil.which(command[0]) is None:
        raise UsageError(f"there is no program `{command[0]}`", where="training.cmd")
    began, said = time.monotonic(), deque[str](maxlen=SAID)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                said.append(line.rstrip())
                os.write(2, line.encode())
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise Stopped(f"the training command ended with code {process.returncode}", where="\n    ".join(["training.cmd", *said]))
    return time.monotonic() - began


def _require_model(folder: Path) -> None:
    """Raise `Stopped` unless config and headers of the weights can be read."""
    try:
        AutoConfig.from_pretrained(folder, local_files_only=True)
        weights = sorted(folder.glob("*.safetensors"))
        for path in weights:
            with safe_open(path, "pt") as file:
                file.keys()
    except (OSError, ValueError, SafetensorError) as error:
        raise Stopped(f"the training command left no model that can be loaded: {error}", where="training.cmd: {out}") from None
    if not weights:
        raise Stopped("the training command left no weights (*.safetensors)", where="training.cmd: {out}")
