"""The real thing: vLLM's own server, in the environment that `make vllm` builds, on the embedded model."""

import os

import pytest

from promptcot import models
from promptcot.engines.vllm import environment
from promptcot.errors import MissingHere


@pytest.fixture(scope="session", autouse=True)
def _there():
    """Skip without that environment, except where these tests were asked for."""
    try:
        environment.find()
    except MissingHere as error:
        if os.environ.get("REQUIRE_VLLM"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def folder():
    return models.resolve("smollm2-135m-instruct")
