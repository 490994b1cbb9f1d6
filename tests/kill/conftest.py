"""A scripted workplace, an undisturbed run of it to compare with, and a fork server, once for all tests here."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.kill.runs import Server, content, write_recipe


@dataclass(frozen=True)
class Place:
    """A folder with a recipe, its fork server, and what an undisturbed run of each program leaves behind."""

    folder: Path
    recipe: Path
    server: Server
    whole: dict[str, dict[str, Any]]

    def argv(self, program: str, run: Path) -> tuple[str | Path, ...]:
        """The driver's arguments: the pipeline of the command line, or the small program of steps."""
        return ("steps", run) if program == "steps" else ("cli", "run", self.recipe, "--run", run, "--until", "screen")


@pytest.fixture(scope="session")
def place() -> Iterator[Place]:
    """In memory where the machine has that: a killed process loses nothing of the page cache, and syncing costs nothing there."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None))
    server = Server(folder)
    try:
        made = Place(folder, write_recipe(folder / "given"), server, {})
        for program in ("pipeline", "steps"):
            run = folder / program / "run"
            run.parent.mkdir()
            assert server(*made.argv(program, run)).finished
            made.whole[program] = content(run)
        yield made
    finally:
        server.close()
        shutil.rmtree(folder)


@pytest.fixture
def run(place: Place) -> Iterator[Path]:
    """Where a new run goes; gone afterwards."""
    folder = Path(tempfile.mkdtemp(dir=place.folder))
    yield folder / "run"
    shutil.rmtree(folder)
