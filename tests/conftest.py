"""Nothing here asserts a time: a property is no less true on a busy machine."""

import os

import pytest
from hypothesis import HealthCheck, settings

from promptcot.errors import MissingHere

settings.register_profile("promptcot", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("promptcot")


@pytest.fixture(scope="session")
def sandbox() -> None:
    """Where no sandbox works what needs one is skipped, but never in CI: there it is the point."""
    from promptcot.sandbox import available

    try:
        available()
    except MissingHere as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no sandbox here: {error}")
