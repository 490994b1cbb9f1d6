"""A program that does real runs and dies on order: the command line, and a small program of steps with a journal and an artifact.

    python -m tests.kill.driver cli run RECIPE --run DIR      one process, exit codes as the outside contract says
    python -m tests.kill.driver steps DIR
    python -m tests.kill.driver serve                         one JSON order a line; each runs in a fork and may be killed

`HOLD=STEP:N` stops the process when `N` items of a step are done: it says `holding` on stdout and waits for a line on stdin.
Traps count every call of the commit protocol (write, fsync, rename, make, remove), before it, after it and, where bytes can be torn, in
the middle; at the wanted count the process kills itself.
"""

from __future__ import annotations

import builtins
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import partial, wraps
from pathlib import Path
from typing import Any, NoReturn

import pyarrow.dataset  # noqa: F401 - so that forks need not
import pyarrow.parquet as pq

from promptcot import cli, progress, running  # noqa: F401
from promptcot.errors import PromptcotError
from promptcot.executors import LocalWorkplace, Progress, Rows, Task, each
from promptcot.records import Dropped, Label, Record, inherited
from promptcot.store import Run, StepSpec

ITEMS = 11


class Trap:
    """Kills the process at the `kill_at`-th step, counted from 1."""

    def __init__(self, kill_at: int) -> None:
        self.left = kill_at

    def step(self, tear: Callable[[], object] = lambda: None) -> None:
        """One more; `tear` is what the kill leaves half done."""
        self.left -= 1
        if self.left == 0:
            tear()
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call` with a step before and after it."""

        @wraps(call)
        def trapped(*args: Any, **kwargs: Any) -> Any:
            self.step()
            result = call(*args, **kwargs)
            self.step()
            return result

        return trapped

    def arm(self) -> None:
        """Set the traps in this process."""
        fsync, opened = os.fsync, builtins.open

        def torn_fsync(handle: int) -> None:
            self.step(partial(_halve, handle))
            fsync(handle)
            self.step()

        def trapped_open(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if not set(mode) & set("wax+"):
                return opened(file, mode, *args, **kwargs)
            stream = self.around(opened)(file, mode, *args, **kwargs)
            return TornAppend(stream, self) if Path(file).name.startswith("journal-") and mode == "a" else stream

        os.fsync, builtins.open = torn_fsync, trapped_open  # type: ignore[assignment]
        for module, name in ((os, "replace"), (os, "mkdir"), (os, "unlink"), (os, "rmdir"), (pq, "write_table")):
            setattr(module, name, self.around(getattr(module, name)))


def _halve(handle: int) -> None:
    """What is not synced may be lost: cut the file in the middle."""
    path = f"/proc/self/fd/{handle}"
    if os.path.isfile(path):
        os.truncate(path, os.path.getsize(path) // 2)


class TornAppend:
    """A journal whose writes can be cut in the middle of a line."""

    def __init__(self, stream: Any, trap: Trap) -> None:
        self.stream, self.trap = stream, trap

    def __enter__(self) -> TornAppend:
        return self

    def __exit__(self, *error: object) -> None:
        self.stream.close()

    def write(self, text: str) -> None:
        self.trap.step(lambda: (self.stream.write(text[: len(text) // 2]), self.stream.flush()))
        self.stream.write(text)
        self.stream.flush()
        self.trap.step()


class Hold:
    """Watches a run and stops it where `HOLD` says, until a line comes on stdin."""

    def __init__(self) -> None:
        step, _, count = os.environ["HOLD"].rpartition(":")
        self.step, self.count = step, int(count)

    def __call__(self, now: Progress) -> None:
        if now.step == self.step and now.done == self.count:
            print("holding", flush=True)
            sys.stdin.readline()


def steps(folder: Path) -> None:
    """Three steps: rows with a journal, an artifact made of them, rows of any number made of it. `worked.log` beside the run lists
    each item that was worked on."""
    run = Run.create(folder, {"name": "steps"})
    with run.writing():
        place = LocalWorkplace(run)
        spec = StepSpec("answers", Label, 1, {"items": ITEMS}, {})
        first = place.rows(spec, range(ITEMS), partial(_in_pairs, log=folder.parent / "worked.log"), shard_rows=4, journal=True)
        made = place.artifact(StepSpec("model", None, 1, {}, {"answers": first.digest}), partial(_write_model, first.rows))
        assert (made.path / "deep" / "weights.bin").read_bytes() == _weights(first.rows)
        last = StepSpec("last", Label, 1, {}, {"model": made.digest})
        place.rows(last, range(5), partial(each, make=lambda n: [_label(n, i) for i in range(n)]), shard_rows=2, fan=None)


def _in_pairs(tasks: Iterator[Task[int]], log: Path) -> Iterator[tuple[int, Rows]]:
    """Answer tasks two by two, the later first, as an engine with a window may."""
    waiting: list[Task[int]] = []
    for task in tasks:
        waiting.append(task)
        if len(waiting) == 2:
            yield from _answer(waiting, log)
    yield from _answer(waiting, log)


def _answer(waiting: list[Task[int]], log: Path) -> Iterator[tuple[int, Rows]]:
    while waiting:
        task = waiting.pop()
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(handle, f"{task.item}\n".encode())
        os.close(handle)
        yield task.index, [_label(task.item, 0)]


def _label(item: int, number: int) -> Record:
    label = Label(id=f"{item}.{number}", parents=("p",), problem=f"p{item}", kind="gold", answer=f"{item}²\n\u2028" if item % 2 else None)
    if item % 5 == 2:
        return Dropped(id=label.id, reason="empty", detail="two of five", **inherited(label))
    return label


def _write_model(rows: list[Label], folder: Path) -> tuple[str, Mapping[str, Any]]:
    (folder / "deep").mkdir()
    for name, content in (("config.json", b"{}"), ("deep/weights.bin", _weights(rows))):
        with open(folder / name, "wb") as file:
            file.write(content)
    return f"weights of {len(rows)} rows", {"rows": len(rows)}


def _weights(rows: list[Label]) -> bytes:
    return "\n".join(row.problem for row in rows).encode()


def perform(argv: list[str]) -> int:
    """Do one program in this process; its exit code."""
    try:
        if argv[0] == "steps":
            steps(Path(argv[1]))
            return 0
        sys.argv = ["promptcot", *argv[1:]]
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    except PromptcotError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def serve() -> None:
    """Do orders `{"argv", "log", "kill_at", "kill_after"}`, each in a fork; reply how it ended, `{"signal", "code"}`."""
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            _forked(order)
        if order["kill_after"] is not None:
            time.sleep(order["kill_after"])
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        print(json.dumps({"signal": max(0, -code), "code": max(0, code)}), flush=True)


def _forked(order: dict[str, Any]) -> NoReturn:
    code = 1
    try:
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if order["kill_at"] is not None:
            Trap(order["kill_at"]).arm()
        code = perform(order["argv"])
    finally:
        if error := sys.exc_info()[1]:
            traceback.print_exception(error)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    if "HOLD" in os.environ:
        setattr(progress, "ProgressPrinter", Hold)  # noqa: B010 - a name that the command line looks up when it runs
    if sys.argv[1:] == ["serve"]:
        serve()
    else:
        sys.exit(perform(sys.argv[1:]))
