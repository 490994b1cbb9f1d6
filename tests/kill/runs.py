"""What drives the killing: a workplace with a scripted model, processes, a fork server, and what a run holds on disk."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from promptcot.durable import CHECK

REPOSITORY = Path(__file__).parents[2]
SETS = 130
WORDS = ("apples", "boxes", "crates", "drums", "eggs", "figs", "gears", "hats", "inks", "jars", "kites", "lamps", "maps", "nets", "pens")


def write_recipe(folder: Path) -> Path:
    """A recipe that synthesizes from given concept sets with the scripted engine, in two shards, and screens; its path.

    The script writes problems that parse, some that do not, and some that the screen drops."""
    (folder / "writer").mkdir(parents=True)
    (folder / "writer" / "config.json").write_text("{}")
    replies = [{"contains": _topic(n), "text": _reply(n)} for n in range(SETS)]
    (folder / "writer" / "script.json").write_text(json.dumps({"replies": replies, "default": "?"}))
    sets = [{"concepts": [_topic(n), "counting"], "level": "easy"} for n in range(SETS)]
    (folder / "sets.jsonl").write_text("".join(json.dumps(row) + "\n" for row in sets))
    recipe = {
        "schema": 1,
        "name": "killed",
        "models": {"generator": str(folder / "writer")},
        "engines": {"default": {"kind": "scripted", "shard_rows": 70}},
        "inputs": {"concept_sets": [str(folder / "sets.jsonl")]},
        "synthesize": {"sample": {"temperature": 0.8, "max_tokens": 2000}},
        "screen": {},
    }
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(recipe))
    return path


def _topic(n: int) -> str:
    return f"topic {n:03d}"


def _reply(n: int) -> str:
    if n % 10 == 3:
        return f"I would rather not write about {_topic(n)}."
    told = random.Random(n % 50)
    things = ", ".join(f"{told.randint(2, 99)} {told.choice(WORDS)}" for _ in range(8))
    ask = "Prove that the total is even." if n % 10 == 7 else "How many things are there in total?"
    return (
        f"<!-- BEGIN RATIONALE -->\nAdd what draw {{draw}} lists.\n<!-- END RATIONALE -->\n"
        f"<!-- BEGIN PROBLEM -->\nA shop has {things}. {ask}\n<!-- END PROBLEM -->"
    )


def command(*argv: str | Path) -> list[str]:
    """The command that runs the driver."""
    return [sys.executable, "-m", "tests.kill.driver", *map(str, argv)]


def environment(**more: str) -> dict[str, str]:
    """The environment of driver processes."""
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", **more}


def promptcot(*argv: str | Path, before: Callable[[], object] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end in a process of its own; `before` runs in it first."""
    return subprocess.run(
        command("cli", *argv),
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=before,
    )


@contextmanager
def held(step: str, done: int, *argv: str | Path) -> Iterator[subprocess.Popen[str]]:
    """The command line in a process that has stopped once `done` items of `step` are done; a line on stdin lets it go on."""
    process = subprocess.Popen(
        command("cli", *argv),
        cwd=REPOSITORY,
        env=environment(HOLD=f"{step}:{done}"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            assert said == "holding\n", process.communicate()[1]
            yield process
        finally:
            process.kill()


def without_privilege() -> None:
    """Take from a process about to start the right of root to write where its mode bits forbid."""
    drop_from_bounding_set, dac_override = 24, 1
    if os.geteuid() == 0 and ctypes.CDLL(None).prctl(drop_from_bounding_set, dac_override, 0, 0, 0) != 0:
        raise OSError("cannot drop CAP_DAC_OVERRIDE")


def small_files(limit: int) -> Callable[[], None]:
    """Let a process about to start write no file beyond `limit` bytes: the kernel then refuses as a full disk does."""

    def before() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return before


@dataclass(frozen=True)
class End:
    """How a forked run ended, and what it said."""

    signal: int
    code: int
    said: str

    @property
    def finished(self) -> bool:
        """Whether it came to its end by itself, in peace. Anything but that or a kill is a failure of the test."""
        assert self.signal in (0, signal.SIGKILL), self
        assert self.signal or self.code == 0, self.said
        return not self.signal


class Server:
    """The driver as a fork server: a run costs no start of an interpreter."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "server.log"
        self.process = subprocess.Popen(
            command("serve"), cwd=REPOSITORY, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, *argv: str | Path, kill_at: int | None = None, kill_after: float | None = None) -> End:
        """Run the driver in a fork."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        order = {"argv": [str(a) for a in argv], "log": str(self.log), "kill_at": kill_at, "kill_after": kill_after}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return End(**json.loads(self.process.stdout.readline()), said=self.log.read_text())

    def close(self) -> None:
        """End the server."""
        self.process.communicate()


def content(run: Path) -> dict[str, Any]:
    """What counts in a run: the bytes of every table and artifact, and all JSON but its times and costs. Orphans are left out."""
    found: dict[str, Any] = {}
    for path in sorted(run.rglob("*")):
        name = str(path.relative_to(run))
        if not path.is_file() or name == "lock" or path.name.startswith((".", "journal-")):
            continue
        if path.suffix == ".json" and "artifact" not in path.parts:
            value = json.loads(path.read_text())
            found[name] = {key: value[key] for key in value if key not in ("seconds", "usage") and not _is_check(key)}
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _is_check(key: str) -> bool:
    """The checksum's key, also with one byte flipped: the file is then as good as without a checksum."""
    return len(key) == len(CHECK) and sum(a != b for a, b in zip(key, CHECK, strict=True)) <= 1


def rows(run: Path) -> dict[str, list[dict[str, Any]]]:
    """Every table of a run as plain rows."""
    return {str(path.relative_to(run)): pq.read_table(path).to_pylist() for path in sorted(run.rglob("*.parquet"))}


def committed(run: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of every file that a committed shard or manifest stands for, and of these themselves."""
    found = {}
    for entry in [*run.rglob("shard-*.json"), *run.rglob("manifest.json")]:
        value = json.loads(entry.read_text())
        names = [*value["sha256"]] if "sha256" in value else [f"artifact/{name}" for name in value["files"]]
        for path in (entry, *(entry.parent / name for name in names)):
            status = path.stat()
            found[str(path.relative_to(run))] = (status.st_ino, status.st_mtime_ns)
    return found
