"""The counter of an engine that works in this process."""

from __future__ import annotations

import time

from promptcot.usage import Usage


class Tally:
    """Counts tokens, and the time that `accelerators` are held: from now until `stop`."""

    def __init__(self, accelerators: int = 0) -> None:
        self.tokens_in = self.tokens_out = 0
        self._accelerators, self._since = accelerators, time.monotonic()
        self._until: float | None = None

    def stop(self) -> None:
        """The accelerators are free again."""
        self._until = self._until or time.monotonic()

    @property
    def usage(self) -> Usage:
        """What was counted so far."""
        held = (self._until or time.monotonic()) - self._since
        return Usage(self.tokens_in, self.tokens_out, gpu_seconds=self._accelerators * held)
