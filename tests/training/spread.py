"""How two processes hold a model, told as JSON by the first: torchrun ... -m tests.training.spread MODEL FOLDER.

Asked for are the shards of our worker, and those of accelerate's plugin, which on CPUs makes no shards."""

import json
import os
import sys
from pathlib import Path

import torch
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from transformers import AutoModelForCausalLM, TrainingArguments

from promptcot.errors import Stopped
from promptcot.recipe import Training
from promptcot.training.sharded import load_sharded, require_wrapper, unsharded

SHARDED = Training(launch="fsdp2", processes=2)


def refused(model: torch.nn.Module, training: Training) -> str:
    """Why, or nothing."""
    try:
        require_wrapper(model, training)
    except Stopped as error:
        return error.what
    return ""


def by_plugin(folder: Path) -> torch.nn.Module:
    """What accelerate makes of a model when it is asked for FSDP2."""
    from accelerate import Accelerator, FullyShardedDataParallelPlugin

    accelerator = Accelerator(cpu=True, fsdp_plugin=FullyShardedDataParallelPlugin(fsdp_version=2))
    model = AutoModelForCausalLM.from_pretrained(folder)
    return accelerator.prepare(model, torch.optim.SGD(model.parameters()))[0]  # type: ignore[no-any-return]


if __name__ == "__main__":
    model, out = Path(sys.argv[1]), Path(sys.argv[2])
    _ = TrainingArguments(output_dir=str(out / "trainer"), use_cpu=True, ddp_backend="gloo").device
    sharded = load_sharded(model, 2, bf16=False)
    whole, here = 0, 0
    for weight in sharded.parameters():
        assert isinstance(weight, DTensor)
        whole, here = whole + weight.numel(), here + weight.to_local().numel()
    told = {
        "fsdp": isinstance(sharded, FSDPModule),
        "share": here / whole,
        "unsharded": [unsharded(sharded, 2), len(unsharded(sharded, 3))],
        "refused": [refused(sharded, SHARDED), refused(sharded, Training(launch="ddp", processes=2)), refused(by_plugin(model), SHARDED)],
    }
    (out / f"told-{os.environ['RANK']}.json").write_text(json.dumps(told))
