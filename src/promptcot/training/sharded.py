"""Weights that several processes hold together (`launch: fsdp2`), and whether a model is held as the recipe asks.

    single  the model itself    ddp  in DistributedDataParallel, whole in each process    fsdp2  an FSDPModule, 1/N of every weight in each

transformers shards while it loads, by the model's own plan: every layer is a unit of torch's `fully_shard`, and no process ever holds the
whole model. Accelerate's plugin for FSDP is not used: on CPUs it is passed over in silence, and the model trained by DDP.
With bf16 a layer is gathered and computed in bf16; weights, sums of gradients and moments stay fp32.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, Shard, distribute_tensor
from torch.nn import Module
from torch.nn.parallel import DistributedDataParallel
from transformers import AutoModelForCausalLM, PreTrainedModel

from promptcot.errors import MissingHere, Stopped, UsageError
from promptcot.recipe import Training
from promptcot.training import group

if TYPE_CHECKING:
    from peft import PeftModel


def load_sharded(folder: Path, processes: int, *, bf16: bool) -> PreTrainedModel:
    """The model of a folder in fp32, each process reading and holding its part. All processes have to call it."""
    if not hasattr(PreTrainedModel, "is_distributed_loading_by_transformers"):
        raise MissingHere(
            "this transformers cannot shard a model while it loads",
            where="training.launch: fsdp2",
            remedy="python -m pip install 'transformers>=5.23,<6'",
        )
    from transformers.distributed.configuration_utils import DistributedConfig

    config = DistributedConfig(fsdp_size=processes, fsdp_mixed_precision=bf16)
    try:
        return AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, use_safetensors=True, distributed_config=config
        )
    except ValueError as error:
        if "fsdp_plan" not in str(error):
            raise
        raise UsageError(
            f"transformers has no plan to shard this model: {error}",
            where="training.launch: fsdp2",
            remedy="`launch: ddp`, or `backend: command` with a trainer that shards it",
        ) from None


def require_wrapper(model: Module, training: Training) -> None:
    """Raise `Stopped` unless a model about to be trained is held as `training.launch` says."""
    found = "fsdp2" if any(map(_is_shards, model.modules())) else "ddp" if isinstance(model, DistributedDataParallel) else "single"
    if found != training.launch:
        raise Stopped(
            f"the recipe asks for `launch: {training.launch}`, but what would be trained is a {type(model).__name__} (`{found}`)",
            where="training.launch",
            remedy="report this with the versions of torch, transformers and accelerate; until then use a `launch` that holds",
        )
    if found == "fsdp2" and (whole := unsharded(model, training.processes)):
        raise Stopped(
            f"{len(whole)} weights are not sharded over {training.processes} processes: {', '.join(whole[:3])}",
            where="training.launch",
            remedy="`launch: ddp`, or `backend: command` with a trainer that shards this model",
        )


def _is_shards(module: Module) -> bool:
    return isinstance(module, FSDPModule)


def unsharded(model: Module, processes: int) -> list[str]:
    """Names of weights that are not split over so many processes; the matrices of an adapter, small and whole in each, aside."""
    return [name for name, weight in model.named_parameters() if ".lora_" not in name and not _is_split(weight, processes)]


def _is_split(weight: torch.Tensor, processes: int) -> bool:
    return (
        isinstance(weight, DTensor)
        and weight.device_mesh.size() == processes
        and any(isinstance(placement, Shard) for placement in weight.placements)
    )


def local(weight: torch.Tensor) -> torch.Tensor:
    """What this process holds of a weight."""
    return weight.to_local() if isinstance(weight, DTensor) else weight


def merged(model: PeftModel) -> PreTrainedModel:
    """The model with LoRA's matrices added into its weights, shard by shard: the update of one matrix at a time is whole."""
    from peft.tuners.lora import LoraLayer

    with torch.no_grad():
        layers: list[Any] = [module for module in model.modules() if isinstance(module, LoraLayer)]
        for layer in layers:
            weight = layer.get_base_layer().weight
            for name in layer.active_adapters:
                update = layer.get_delta_weight(name).to(weight.dtype)
                weight += distribute_tensor(update, weight.device_mesh, weight.placements, src_data_rank=None)
    return model.unload()  # type: ignore[no-any-return]


def save_gathered(network: PreTrainedModel, out: Path) -> None:
    """Write the whole model as the first process would write one that is not sharded, gathered in its main memory. All have to call it.

    Unlike transformers' own gathering, which writes weights that are one (tied embeddings) twice."""
    weights = get_model_state_dict(network, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    if group.rank() == 0:
        for name, other in network.all_tied_weights_keys.items():
            weights[name] = weights[other]
        del network.config.distributed_config
        network.save_pretrained(out, state_dict=weights)
