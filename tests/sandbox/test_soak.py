"""The short form of the soak (`benchmarks/soak.py`)."""

import pytest
from benchmarks.soak import soak


@pytest.mark.slow
def test_nothing_is_lost_and_nothing_stays():
    assert soak(120, workers=2) == []
