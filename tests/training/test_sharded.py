"""Processes that hold a model together give the losses of one that holds it alone, and leave the same folder."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from promptcot.recipe import Fit, Training
from promptcot.training import fit, fit_pairs
from tests.training.killed import run
from tests.training.test_pairs import PAIRS
from tests.training.test_processes import wait_for_the_end_of_processes_naming
from tests.training.test_worker import EXAMPLES, FP32, assert_same_weights, weights
from tests.training.tiny import save_llama

SHARDED = Training(dtype="fp32", launch="fsdp2", processes=2, batch_tokens=16)
SETTINGS = Fit(epochs=2, lr=1e-3, batch=4)

pytestmark = pytest.mark.slow


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    save_llama(tmp_path / "llama")
    return tmp_path / "llama"


def assert_same_folder(one: Path, other: Path, *, atol: float) -> None:
    """The same files, with the same weights under the same names."""
    assert {path.name for path in one.iterdir()} == {path.name for path in other.iterdir()}
    assert weights(one).keys() == weights(other).keys()
    assert_same_weights(one, other, atol=atol)
    configs = [json.loads((folder / "config.json").read_text()) for folder in (one, other)]
    assert configs[0] == configs[1]


@pytest.mark.parametrize(
    "more",
    [{}, {"method": "lora", "lora_rank": 4, "gradient_checkpointing": True}],
    ids=["full", "lora and gradient checkpointing"],
)
def test_two_processes_with_half_of_the_weights_each_give_the_losses_and_the_folder_of_one(
    llama: Path, tmp_path: Path, more: dict[str, object]
) -> None:
    one = fit(llama, EXAMPLES, SETTINGS, FP32.model_copy(update=more), tmp_path / "one", seed=0)
    two = fit(llama, EXAMPLES, SETTINGS, SHARDED.model_copy(update=more), tmp_path / "two", seed=0)
    assert two.losses == pytest.approx(one.losses, rel=1e-5)
    assert_same_folder(tmp_path / "two", tmp_path / "one", atol=1e-5)
    assert {path.name for path in tmp_path.iterdir()} == {"llama", "one", "two"}


def test_two_processes_with_half_of_the_weights_each_give_the_margins_of_one(llama: Path, tmp_path: Path) -> None:
    one = fit_pairs(llama, PAIRS, Fit(epochs=1, lr=1e-3, batch=3), 0.3, FP32, tmp_path / "one", seed=0)
    two = fit_pairs(llama, PAIRS, Fit(epochs=1, lr=1e-3, batch=3), 0.3, SHARDED, tmp_path / "two", seed=0)
    assert two.losses == pytest.approx(one.losses, rel=1e-5)
    assert two.margins == pytest.approx(one.margins, rel=1e-5)
    assert two.accuracies == one.accuracies
    assert_same_folder(tmp_path / "two", tmp_path / "one", atol=1e-5)


def test_in_bf16_the_losses_are_those_of_one_up_to_its_rounding(llama: Path, tmp_path: Path) -> None:
    """A gathered layer is bf16 throughout; autocast keeps norms and sums of one process in fp32."""
    settings = Fit(epochs=20, lr=1e-2, batch=5)
    logs = [
        fit(llama, EXAMPLES, settings, training.model_copy(update={"dtype": "bf16"}), tmp_path / name, seed=0)
        for name, training in (("one", FP32), ("two", SHARDED))
    ]
    assert logs[1].losses[:3] == pytest.approx(logs[0].losses[:3], rel=0.02)
    assert logs[1].losses[-1] < 0.5 * logs[1].losses[0]
    assert {str(weight.dtype) for weight in weights(tmp_path / "two").values()} == {"torch.float32"}


def test_each_process_holds_half_of_every_weight_and_what_accelerate_makes_of_it_on_a_cpu_is_refused(llama: Path, tmp_path: Path) -> None:
    starter = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-endpoint", "127.0.0.1:0"]
    command = [*starter, "--rdzv-backend", "c10d", "-m", "tests.training.spread", str(llama), str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    told = [json.loads((tmp_path / f"told-{rank}.json").read_text()) for rank in (0, 1)]
    for one in told:
        assert one["fsdp"]
        assert one["share"] == 0.5
        assert one["unsharded"] == [[], len(weights(llama))]
        fine, other, silent = one["refused"]
        assert fine == ""
        assert "asks for `launch: ddp`, but what would be trained is a FSDPLlamaForCausalLM (`fsdp2`)" in other
        assert "asks for `launch: fsdp2`, but what would be trained is a DistributedDataParallel (`ddp`)" in silent


def test_killed_processes_go_on_with_the_same_losses_and_one_alone_can_too(llama: Path, tmp_path: Path) -> None:
    whole = run(llama, tmp_path / "whole", tmp_path / "unused", 0, 10, "fsdp2", 2)
    out, kept = tmp_path / "out", tmp_path / "kept"
    command = [sys.executable, "-m", "tests.training.killed", str(llama), str(out), str(kept), "4", "10", "fsdp2", "2"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == -signal.SIGKILL
    wait_for_the_end_of_processes_naming(str(tmp_path))
    assert not out.exists()
    marked = sorted(kept.glob("*/complete.json"))[-1].parent
    assert [path.name[:11] for path in sorted(marked.glob("*.safetensors"))] == ["shard-00001", "shard-00002"]
    numbers = [load_file(path)[f"random/cpu/{rank}"] for rank, path in enumerate(sorted(marked.glob("*.safetensors")))]
    assert not torch.equal(*numbers), "each process drops out on its own"
    shutil.copytree(kept, tmp_path / "alone")

    resumed = run(llama, out, kept, 0, 10, "fsdp2", 2)
    assert 0 < resumed.resumed_tokens < resumed.total_tokens
    assert resumed.losses == whole.losses
    assert_same_folder(out, tmp_path / "whole", atol=0)
    alone = run(llama, tmp_path / "single", tmp_path / "alone", 0, 10, "single", 1)
    assert alone.resumed_tokens == resumed.resumed_tokens
    assert alone.losses == pytest.approx(whole.losses, rel=1e-3, abs=1e-4)
