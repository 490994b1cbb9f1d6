"""Several processes that share every batch give the losses and weights of one."""

import dataclasses
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from promptcot.errors import Stopped, UsageError
from promptcot.recipe import Fit, Training
from promptcot.training import Progress, fit, fit_pairs
from promptcot.training.batches import micro_batches, shares
from promptcot.training.job import Job
from tests.training.killed import run
from tests.training.test_pairs import PAIRS
from tests.training.test_worker import EXAMPLES, FP32, assert_same_weights
from tests.training.tiny import save_llama

TWO = Training(dtype="fp32", launch="ddp", processes=2, batch_tokens=16)
SETTINGS = Fit(epochs=2, lr=1e-3, batch=4)


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    save_llama(tmp_path / "llama")
    return tmp_path / "llama"


@pytest.mark.slow
def test_two_processes_give_the_losses_and_weights_of_one(llama: Path, tmp_path: Path) -> None:
    """Of five examples in batches of four, the second batch has one: a process without any takes part all the same."""
    heard: list[Progress] = []
    one = fit(llama, EXAMPLES, SETTINGS, FP32, tmp_path / "one", seed=0)
    two = fit(llama, EXAMPLES, SETTINGS, TWO, tmp_path / "two", seed=0, on_step=heard.append)
    assert two.losses == pytest.approx(one.losses, rel=1e-5)
    assert [(done.step, done.loss) for done in heard] == list(enumerate(two.losses, 1))
    assert_same_weights(tmp_path / "two", tmp_path / "one", atol=1e-5)
    assert (two.total_tokens, heard[-1].tokens) == (one.total_tokens, one.total_tokens)
    assert {path.name for path in tmp_path.iterdir()} == {"llama", "one", "two"}


@pytest.mark.slow
def test_two_processes_give_the_margins_of_one(llama: Path, tmp_path: Path) -> None:
    one = fit_pairs(llama, PAIRS, Fit(epochs=1, lr=1e-3, batch=3), 0.3, FP32, tmp_path / "one", seed=0)
    two = fit_pairs(llama, PAIRS, Fit(epochs=1, lr=1e-3, batch=3), 0.3, TWO, tmp_path / "two", seed=0)
    assert two.losses == pytest.approx(one.losses, rel=1e-5)
    assert two.margins == pytest.approx(one.margins, rel=1e-5)
    assert two.accuracies == one.accuracies
    assert_same_weights(tmp_path / "two", tmp_path / "one", atol=1e-5)


@pytest.mark.slow
def test_what_the_processes_raise_is_raised_here(llama: Path, tmp_path: Path) -> None:
    with pytest.raises(Stopped, match="the loss is"):
        fit(llama, EXAMPLES, Fit(epochs=3, lr=1e38, batch=8, warmup=0), TWO, tmp_path / "out", seed=0)
    assert {path.name for path in tmp_path.iterdir()} == {"llama"}


def test_a_fit_that_is_shared_otherwise_than_asked_for_is_refused(llama: Path, tmp_path: Path) -> None:
    from promptcot.training.sharded import require_wrapper
    from promptcot.training.worker import fit_transformers

    with pytest.raises(UsageError, match=r"2 process\(es\) are to share the fit, but 1 were started"):
        fit_transformers(Job(llama, tuple(EXAMPLES), SETTINGS, TWO, 0), tmp_path / "out")
    for asked in ("ddp", "fsdp2"):
        with pytest.raises(Stopped, match=f"asks for `launch: {asked}`, but what would be trained is a Linear"):
            require_wrapper(torch.nn.Linear(1, 1), Training(launch=asked, processes=2))


def test_processes_and_launch_go_together(llama: Path) -> None:
    for wrong in ({"launch": "ddp"}, {"launch": "fsdp2"}, {"processes": 2}):
        with pytest.raises(ValidationError, match="launch: ddp"):
            Training.model_validate(wrong)
    for nodes, why in (({"nodes": 2, "on_nodes": ["srun"], "processes": 3}, "evenly"), ({"nodes": 2, "processes": 2}, "on_nodes")):
        with pytest.raises(ValidationError, match=why):
            Training.model_validate({"launch": "fsdp2", **nodes})
    jobs = [Job(llama, tuple(EXAMPLES), SETTINGS, training, 0) for training in (TWO, Training(dtype="fp32", batch_tokens=16))]
    assert jobs[0].identity == jobs[1].identity != dataclasses.replace(jobs[0], seed=1).identity


@pytest.mark.slow
def test_processes_on_two_nodes_give_the_losses_of_one(llama: Path, tmp_path: Path) -> None:
    """Both nodes are this machine: what starts a command on each starts it twice."""
    twice = "import subprocess as s, sys; started = [s.Popen(sys.argv[1:]) for _ in '12']; sys.exit(max(p.wait() for p in started))"
    nodes = TWO.model_copy(update={"nodes": 2, "on_nodes": [sys.executable, "-c", twice]})
    one = fit(llama, EXAMPLES, SETTINGS, FP32, tmp_path / "one", seed=0)
    two = fit(llama, EXAMPLES, SETTINGS, nodes, tmp_path / "two", seed=0)
    assert two.losses == pytest.approx(one.losses, rel=1e-5)
    with pytest.raises(UsageError, match="no program `nowhere-to-be-found`"):
        fit(llama, EXAMPLES, SETTINGS, nodes.model_copy(update={"on_nodes": ["nowhere-to-be-found"]}), tmp_path / "none", seed=0)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=24), st.integers(1, 2000), st.integers(1, 5))
def test_every_example_is_in_one_share_and_all_take_as_many_passes(sizes: list[int], limit: int, processes: int) -> None:
    dealt = shares(sizes, limit, processes)
    assert len(dealt) == processes
    assert len({len(cuts) for cuts in dealt}) == 1
    assert sorted(i for cuts in dealt for cut in cuts for i in cut) == list(range(len(sizes)))
    assert shares(sizes, limit, 1) == [micro_batches(sizes, limit)]


@pytest.mark.slow
def test_the_processes_end_with_a_killed_starter_and_one_alone_can_go_on(llama: Path, tmp_path: Path) -> None:
    out, kept = tmp_path / "out", tmp_path / "kept"
    command = [sys.executable, "-m", "tests.training.killed", str(llama), str(out), str(kept), "4", "40", "ddp", "2"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == -signal.SIGKILL
    wait_for_the_end_of_processes_naming(str(tmp_path))
    assert not out.exists()
    whole = run(llama, tmp_path / "whole", tmp_path / "unused", 0, 40, "single", 1)
    resumed = run(llama, out, kept, 0, 40, "single", 1)
    assert 0 < resumed.resumed_tokens < resumed.total_tokens
    assert resumed.losses == pytest.approx(whole.losses, rel=1e-3, abs=1e-4)


def wait_for_the_end_of_processes_naming(word: str) -> None:
    until = time.monotonic() + 60
    while left := processes_naming(word):
        assert time.monotonic() < until, left
        time.sleep(0.1)


def processes_naming(word: str) -> list[str]:
    """Command lines of running processes, this one's aside, that hold a word."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(path.read_text(errors="replace").replace("\0", " "))
    return [line for line in lines if word in line]
