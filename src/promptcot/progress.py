"""Progress on stderr: one line a step that is rewritten on a terminal, and now and then a plain line in a log."""

from __future__ import annotations

import sys
import time

from promptcot.executors import Progress

EVERY = 10.0
"""Seconds between lines of one step where stderr is no terminal."""


KNOWN = 0.05
"""Share of a step that is done before the rest is estimated: the first answers of a batch come late."""


def say(text: str) -> None:
    """Talk, which is no result and so goes to stderr."""
    print(text, file=sys.stderr, flush=True)


class ProgressPrinter:
    """Prints a step's progress with the time it still needs. Call it with each `Progress`."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()
        self.last = 0.0
        self.step = ""

    def __call__(self, progress: Progress) -> None:
        """Show one progress note, or not yet."""
        finished = progress.done >= progress.total
        fresh = progress.step != self.step
        now = time.monotonic()
        if not (finished or fresh or now - self.last >= (0.2 if self.live else EVERY)):
            return
        self.last, self.step = now, progress.step
        end = "\n" if finished or not self.live else "\r"
        print(f"\x1b[2K{line(progress)}" if self.live else line(progress), end=end, file=sys.stderr, flush=True)


def line(progress: Progress) -> str:
    """`step  done/total  elapsed  left`; the time left is a straight line through the work of this process."""
    share = f"{progress.done}/{progress.total}"
    note = f"  {progress.note}" if progress.note else ""
    if progress.done >= progress.total:
        return f"  {progress.step:<28} {share:>11}  done in {clock(progress.seconds)}{note}"
    told = progress.seconds > 0 and progress.done >= KNOWN * progress.total
    left = progress.seconds / progress.done * (progress.total - progress.done) if told else None
    return f"  {progress.step:<28} {share:>11}  {clock(progress.seconds)}" + (f"  ETA {clock(left)}" if left is not None else "") + note


def clock(seconds: float) -> str:
    """m:ss, or h:mm:ss."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
