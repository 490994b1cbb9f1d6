"""How many requests a server gets at once, and how often a service is asked.

Additive increase, multiplicative decrease: the limit doubles each round trip until the first refusal, then grows by one a round trip;
a refusal or a time-out halves it, once for all requests that were in flight together.
"""

from __future__ import annotations

import asyncio
import time

START = 8
"""Requests in flight before a server has shown what it can take."""


class Congestion:
    """The number of requests in flight at one server; at least 1, at most `most`."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(min(START, most))
        self._doubling = True
        self._cut = -1.0

    def grow(self) -> None:
        """An answer came."""
        self.limit = min(float(self.most), self.limit + (1.0 if self._doubling else 1.0 / self.limit))

    def shrink(self, sent: float) -> None:
        """A request sent at the time `sent` was refused or not answered; what was sent before the last cut says nothing new."""
        if sent < self._cut:
            return
        self._cut, self._doubling = time.monotonic(), False
        self.limit = max(1.0, self.limit / 2)


class Pacing:
    """Spreads requests evenly over time, `per_minute` of them; any number when that is None."""

    def __init__(self, per_minute: float | None) -> None:
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for the next turn."""
        now = time.monotonic()
        at = max(now, self._next)
        self._next = at + self._gap
        if at > now:
            await asyncio.sleep(at - now)
