"""All of these tests need the sandbox."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def _needs_sandbox(sandbox: None) -> None:
    pass
