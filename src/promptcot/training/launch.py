"""A fit by several processes: `training.processes` of them, each with a part of every batch, started by torchrun on each node.

They work over files (see `process`), so the fit is the same program whether it is one process or many. Should this process be killed, by
whatever signal, the others end: they hold the other end of a pipe.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from promptcot import errors
from promptcot.durable import read_json
from promptcot.recipe import Training
from promptcot.training.files import write_job
from promptcot.training.job import Job
from promptcot.training.log import FitLog, Progress
from promptcot.training.process import LOG, PROGRESS

POLL_S = 0.2
PATIENCE_S = 20.0
"""How long the processes may take to end once they are asked to."""
SAID = 10
"""So many last lines of processes that failed for an unknown reason are told."""


def fit_by_processes(job: Job, out: Path, *, checkpoints: Path | None, on_step: Callable[[Progress], None] | None) -> FitLog:
    """`worker.fit_transformers` by several processes. Raises what they raised."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name.lstrip('.')}-job-", dir=out.parent) as scratch:
        folder = Path(scratch)
        kept = str(checkpoints.absolute()) if checkpoints else None
        write_job(job, folder, out=str(out.absolute()), checkpoints=kept)
        with (folder / "said").open("w+") as said, _processes(launcher(job.training, folder), said) as running:
            told = 0
            while True:
                ended = _ended(running)
                told = _tell(folder / PROGRESS, told, on_step)
                if ended:
                    break
            if running.returncode:
                raise _failure(folder, said, running.returncode)
        return _log(read_json(folder / LOG))


def launcher(training: Training, folder: Path) -> list[str]:
    """The command that starts all processes on the job in `folder`; they meet at a port of this machine."""
    each = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(training.processes_here), "--max-restarts", "0"]
    if training.nodes == 1:
        meet = ["--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1"]
    else:
        meet = ["--nnodes", str(training.nodes), "--rdzv-id", folder.name, "--rdzv-endpoint", f"{socket.getfqdn()}:{_free_port()}"]
    return [*training.on_nodes, *each, "--rdzv-backend", "c10d", *meet, "-m", "promptcot.training.process", str(folder)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def _processes(command: Sequence[str], said: IO[str]) -> Iterator[subprocess.Popen[bytes]]:
    """The launcher, which ends when the block is left. Raises `UsageError` where there is no such command."""
    if shutil.which(command[0]) is None:
        raise errors.UsageError(f"there is no program `{command[0]}`", where="training.on_nodes", remedy="install it, or name another")
    running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=said, stderr=said)
    assert running.stdin is not None
    try:
        yield running
    finally:
        running.stdin.close()
        try:
            running.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def _ended(running: subprocess.Popen[bytes]) -> bool:
    """Whether the launcher has ended; waits a little."""
    try:
        running.wait(POLL_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def _tell(path: Path, told: int, on_step: Callable[[Progress], None] | None) -> int:
    """Pass on what is new in the file; how many lines of it have been passed on."""
    whole = path.read_text(encoding="utf-8").rpartition("\n")[0].splitlines() if path.is_file() else []
    for line in whole[told:]:
        if on_step:
            on_step(Progress(**json.loads(line)))
    return len(whole)


def _failure(folder: Path, said: IO[str], code: int) -> Exception:
    for path in sorted(folder.glob("error-*.json")):
        error = read_json(path)
        kind: type[errors.PromptcotError] = getattr(errors, error["kind"])
        return kind(error["what"], where=error["where"], remedy=error["remedy"])
    said.seek(0)
    last = "\n".join(said.read().splitlines()[-SAID:])
    return RuntimeError(f"the training processes ended with code {code}:\n{last}")


def _log(stored: dict[str, Any]) -> FitLog:
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()}
    return FitLog(**values)
