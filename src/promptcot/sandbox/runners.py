"""Who runs programs: the sandbox of this machine, or a server elsewhere. What comes back is the same, and judged by the same comparison."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache, partial
from typing import Protocol

from promptcot.sandbox.launching import available
from promptcot.sandbox.limits import Limits
from promptcot.sandbox.programs import Program, Ran, Session


class Prepared(Protocol):
    """A program that is ready to run."""

    def run(self, given: bytes) -> Ran:
        """One input."""


class Runner(Protocol):
    """Runs programs."""

    @property
    def kind(self) -> str:
        """What it is, as people read it."""

    def session(self, program: Program, limits: Limits) -> AbstractContextManager[Prepared]:
        """Prepare a program for its inputs; what it holds ends with the context."""


class Local:
    """The sandbox of this machine. Raises `MissingHere` at once where there is none."""

    def __init__(self) -> None:
        self._available = available()

    @property
    def kind(self) -> str:
        """Which isolation, and how many tests share a sandbox."""
        return self._available.kind + ("" if Session.nested else ", one sandbox a test")

    def session(self, program: Program, limits: Limits) -> Session:
        """A program in its sandbox."""
        return Session(program, limits)


def runner_at(address: str = "") -> Runner:
    """The server at an address, or with none the sandbox of this machine. Raises `MissingHere` where there is none."""
    if not address:
        return Local()
    from promptcot.sandbox.remote import Remote

    return Remote(address)


def chosen(address: str | None) -> Callable[[], Runner]:
    """As `runner_at`, found at the first call."""
    return cache(partial(runner_at, address or ""))
