"""A circuit breaker: a server whose answers are no good is noticed with the first ones, not after a night."""

from __future__ import annotations

import threading

from promptcot.errors import Stopped

WATCHED = 200
"""Answers at the start of an engine's life that are watched: draws and scores."""
SHARE = 0.2
"""Largest share of failures among them."""
SHOWN = 5
"""Failures that an error shows, and so the fewest that stop."""


class Breaker:
    """Counts answers and failures; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers, self._failures = 0, list[str]()

    def note(self, row: str, error: str) -> None:
        """An answer to a row came back; `error` is empty when it is good. Raises `Stopped` when too many of the first failed."""
        with self._lock:
            self._answers += 1
            if self._answers > WATCHED or not error:
                return
            self._failures.append(f"{row}: {error}")
            if len(self._failures) < SHOWN or len(self._failures) <= SHARE * self._answers:
                return
            shown = "\n".join(f"    | {failure}" for failure in self._failures[-SHOWN:])
            raise Stopped(
                f"{len(self._failures)} of the first {self._answers} draws or scores got no usable answer, after all retries:\n{shown}",
                where="engines",
                remedy="look at the server's own log; when it answers, the same command goes on from here",
            )
