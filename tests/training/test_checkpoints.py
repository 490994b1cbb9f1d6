"""A killed fit goes on from its last whole checkpoint, to the losses and the very weights of one that was not killed."""

import dataclasses
import json
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from promptcot.errors import UsageError
from promptcot.recipe import Fit, Training
from promptcot.training import METRICS, fit
from promptcot.training.checkpoints import MARKER, Checkpoints
from tests.training.test_worker import EXAMPLES, assert_same_weights
from tests.training.tiny import save_llama

SETTINGS = Fit(epochs=2.5, lr=1e-3, batch=2, warmup=0.3)
TRAINING = Training(dtype="fp32", checkpoint_steps=2)


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    save_llama(tmp_path / "llama")
    return tmp_path / "llama"


def metrics(folder: Path) -> list[dict[str, float]]:
    """Its lines, but for the speed."""
    lines = [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "tokens_per_second"} for line in lines]


@pytest.mark.slow
def test_a_killed_fit_goes_on_with_the_same_losses_to_the_same_weights(llama: Path, tmp_path: Path) -> None:
    """Seven steps, states kept after 2, 4, 6; killed in step 5, so the state after 4 is there. Each fit in a process of its own."""
    kept = tmp_path / "kept"

    def fitted(out: str, checkpoints: Path, kill: int) -> tuple[int, list[str]]:
        command = [sys.executable, "-m", "tests.training.killed", str(llama), str(tmp_path / out), str(checkpoints)]
        done = subprocess.run([*command, str(kill), "2.5", "single", "1"], check=False, capture_output=True, text=True)
        return done.returncode, done.stdout.split("\n")[:-1]

    assert fitted("whole", tmp_path / "unused", 0) == (0, [f"{step} 7" for step in range(1, 8)])
    assert fitted("out", kept, 5) == (-signal.SIGKILL, [f"{step} 7" for step in range(1, 6)])
    assert [path.name for path in kept.iterdir()] == ["step-00000004"]
    assert not (tmp_path / "out").exists()

    assert fitted("out", kept, 0) == (0, ["5 7", "6 7", "7 7"])
    assert_same_weights(tmp_path / "out", tmp_path / "whole")
    assert metrics(tmp_path / "out") == metrics(tmp_path / "whole")


def test_a_state_of_another_fit_is_not_gone_on_from(llama: Path, tmp_path: Path) -> None:
    fit(llama, EXAMPLES, SETTINGS, TRAINING, tmp_path / "first", seed=5, checkpoints=tmp_path / "kept")
    assert list((tmp_path / "kept").iterdir())
    log = fit(llama, EXAMPLES, SETTINGS, TRAINING, tmp_path / "other", seed=6, checkpoints=tmp_path / "kept")
    assert log.resumed_tokens == 0


def test_only_a_whole_and_marked_state_counts_and_the_one_before_it_stands_in(tmp_path: Path) -> None:
    states = Checkpoints(tmp_path / "kept", 1, "this fit")
    assert states.latest() is None
    states.save(1, {"at": torch.tensor(1)}, [{"step": 1}])
    shutil.copytree(tmp_path / "kept" / "step-00000001", tmp_path / "first")
    states.save(2, {"at": torch.tensor(2)}, [{"step": 1}, {"step": 2}])
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["step-00000002"]
    shutil.copytree(tmp_path / "first", tmp_path / "kept" / "step-00000001")

    def found() -> int:
        kept, state = states.latest(), {"at": torch.tensor(0)}
        if kept:
            assert kept.names() == {"at"}
            kept.read_into(state)
            assert len(kept.history) == state["at"]
        return int(state["at"])

    newest = tmp_path / "kept" / "step-00000002"
    assert found() == 2
    assert dataclasses.replace(states, identity="another").latest() is None
    marker = (newest / MARKER).read_text()
    (newest / MARKER).unlink()
    assert found() == 1
    (newest / MARKER).write_text(marker.replace("this fit", "that fit"))
    assert found() == 1, "a marker that does not match its own checksum"
    (newest / MARKER).write_text(marker)
    assert found() == 2
    (file,) = newest.glob("*.safetensors")
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    assert found() == 1, "a state that is not the one that the marker names"


def test_a_state_that_cannot_be_written_is_an_error_that_names_the_folder(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    states = Checkpoints(tmp_path / "kept", 1, "this fit")
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(UsageError, match="cannot write") as raised:
            states.save(1, {"large": torch.zeros(100_000)}, [])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(tmp_path) in raised.value.where
    assert states.latest() is None
