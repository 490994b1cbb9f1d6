"""All of these tests need the sandbox."""

import pytest

from tests.sandbox.leftovers import note_others


@pytest.fixture(scope="session", autouse=True)
def _needs_sandbox(sandbox: None) -> None:
    pass


@pytest.fixture(scope="module", autouse=True)
def _others(_needs_sandbox: None) -> None:
    note_others()
