"""One of the processes of a fit that several share: python -m promptcot.training.process FOLDER, started by `launch`.

FOLDER holds the job (see `files`). The first process writes `progress.jsonl` while it runs and `log.json` at its end; each process that
fails for a reason that a person can act on writes it to `error-RANK.json`. Standard input is a pipe of the starter: all end with it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from promptcot.durable import write_json
from promptcot.errors import PromptcotError
from promptcot.training.files import read_job
from promptcot.training.log import Progress

PROGRESS, LOG = "progress.jsonl", "log.json"


def main(folder: Path) -> None:
    """Take this process's part in the fit."""
    threading.Thread(target=_end_with_the_starter, daemon=True).start()
    rank = int(os.environ["RANK"])
    job, facts = read_job(folder)
    checkpoints = Path(facts["checkpoints"]) if facts["checkpoints"] else None
    try:
        from promptcot.training.worker import fit_transformers

        log = fit_transformers(job, Path(facts["out"]), checkpoints=checkpoints, on_step=_teller(folder / PROGRESS) if rank == 0 else None)
    except PromptcotError as error:
        write_json(folder / f"error-{rank}.json", {"kind": type(error).__name__, **vars(error)})
        sys.exit(error.exit_code)
    if rank == 0:
        write_json(folder / LOG, asdict(log))


def _teller(path: Path) -> Callable[[Progress], None]:
    def tell(done: Progress) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(done)) + "\n")

    return tell


def _end_with_the_starter() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
