"""A served toy model, and engines that do not wait long."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from promptcot.engines.openai.engine import OpenAIEngine
from promptcot.engines.openai.servers import Patience
from promptcot.heldout import Pair
from promptcot.recipe import EngineSpec
from tests import toy
from tests.runs import script
from tests.served.server import Served

QUICK = Patience(first_s=0.01, longest_s=0.05, busy_s=60.0)


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return toy.pair(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="session")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of canned replies."""
    return script(tmp_path_factory.mktemp("talker"), ("weather", "Rain, {draw} mm."), default="I see.")


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    """Starts servers that end with the test."""
    running: list[Served] = []

    def start(*args: Any, **settings: Any) -> Served:
        running.append(Served(*args, **settings))
        return running[-1]

    yield start
    for server in running:
        server.stop()


def engine(path: Path | str, *servers: Served, **settings: Any) -> OpenAIEngine:
    """An engine on the servers."""
    return OpenAIEngine(Path(path), EngineSpec(kind="openai", urls=[s.url for s in servers], **settings), QUICK)
