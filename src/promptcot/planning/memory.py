"""What a step needs of a device's memory, and how it falls as a fit is sharded.

    state / N + whole layers in passing + activations + logits + working memory        (`launch: fsdp2` over N devices)

Each device holds 1/N of every weight, gradient and moment, gathers one layer after the other, and works on its own texts.
"""

from __future__ import annotations

from dataclasses import dataclass

from promptcot.planning.figures import Figures, Range
from promptcot.planning.machines import GB, Machine
from promptcot.planning.shapes import ModelShape
from promptcot.recipe import Training

MOST_DEVICES = 1024
"""No fit is suggested to more."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that a step needs on one device, by part, and how many sequences fit there beside the weights (0: does not apply)."""

    parts: tuple[tuple[str, Range], ...]
    sequences: int = 0

    @property
    def need(self) -> Range:
        """All parts."""
        total = Range.exact(0.0)
        for _, part in self.parts:
            total += part
        return total


def fit_memory(training: Training, machine: Machine, figures: Figures, shape: ModelShape, longest: int = 0) -> Memory:
    """Of a fit on each device; on a CPU, of all its processes together, which share the memory.

    An example of `longest` tokens passes alone where it is wider than `batch_tokens`."""
    tokens = max(training.batch_tokens, longest)
    parts = {
        "training state": _state(training, figures, shape),
        "whole layers" if training.launch == "fsdp2" else "bf16 copies": _copies(training, figures, shape),
        "activations": _activations(training, figures, shape, tokens),
        "logits": figures["logit_bytes"] * (tokens * shape.vocabulary),
        "working memory": figures["working_gb"] * (0.2 * GB if machine.is_cpu else GB),
    }
    together = training.processes if machine.is_cpu else 1
    return Memory(tuple((name, part * together) for name, part in parts.items()))


def devices_for(training: Training, machine: Machine, figures: Figures, shape: ModelShape, longest: int = 0) -> int | None:
    """The fewest devices, a power of two, over which the fit can be sharded so that its middle estimate fits; None where no number is."""
    devices = 2
    while devices <= MOST_DEVICES:
        spread = training.model_copy(update={"launch": "fsdp2", "processes": devices})
        if fit_memory(spread, machine, figures, shape, longest).need.mid <= machine.memory:
            return devices
        devices *= 2
    return None


def lora_parameters(shape: ModelShape, rank: int) -> float:
    """Trained parameters of LoRA on every linear layer: rank x (inputs + outputs), with MLPs of about 4 hidden sizes."""
    attention = 2 * shape.hidden + shape.head_dim * (shape.heads + shape.kv_heads)
    return rank * shape.layers * (2 * attention + 3 * 5 * shape.hidden)


def _state(training: Training, figures: Figures, shape: ModelShape) -> Range:
    """LoRA's matrices, small, are whole on each device."""
    shards = training.processes if training.launch == "fsdp2" else 1
    if training.method == "full":
        return figures["train_state_bytes"] * (shape.parameters / shards)
    adapters = figures["train_state_bytes"] * lora_parameters(shape, training.lora_rank)
    return figures["frozen_bytes"] * (shape.parameters / shards) + adapters


def _copies(training: Training, figures: Figures, shape: ModelShape) -> Range:
    """Sharded: a few layers, and both ends of the model, which stay whole through a pass. Else what autocast keeps in bf16."""
    ends = 2 * shape.vocabulary * shape.hidden
    layer = max(0.0, shape.parameters - ends) / shape.layers
    if training.launch == "fsdp2":
        return figures["gathered_bytes"] * (figures["gathered_layers"] * layer + Range.exact(ends))
    kept = shape.parameters / shape.layers if training.method == "lora" and training.gradient_checkpointing else shape.parameters
    return figures["autocast_bytes"] * kept


def _activations(training: Training, figures: Figures, shape: ModelShape, tokens: int) -> Range:
    whole = figures["activation_bytes"] * (tokens * shape.hidden)
    if not training.gradient_checkpointing:
        return whole * shape.layers
    return figures["checkpoint_bytes"] * (tokens * shape.hidden * shape.layers) + whole
