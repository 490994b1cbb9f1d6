"""All that the next optimizer step depends on, as tensors by name: what a checkpoint keeps.

    weight/NAME  moment/NAME/{step,exp_avg,exp_avg_sq}  random/{cpu,cuda}/RANK

NAME is a trainable weight's, so a state does not depend on how the weights are grouped, nor over how many processes they are spread.
"""

from __future__ import annotations

from collections.abc import Iterator, Set

import torch
from torch import Tensor
from torch.nn import Module, Parameter
from torch.optim import Optimizer

from promptcot.training import group

MOMENTS = ("step", "exp_avg", "exp_avg_sq")
"""What AdamW keeps for a weight."""


def trainable(model: Module) -> Iterator[tuple[str, Parameter]]:
    """The weights that a fit changes, by name."""
    return ((name, weight) for name, weight in model.named_parameters() if weight.requires_grad)


def state_of(model: Module, optimizer: Optimizer) -> dict[str, Tensor]:
    """This process's part of the state, after a step."""
    state: dict[str, Tensor] = {}
    for name, weight in trainable(model):
        state[f"weight/{name}"] = weight.detach()
        state |= {f"moment/{name}/{moment}": optimizer.state[weight][moment] for moment in MOMENTS}
    return state | {_random("cpu"): torch.get_rng_state()} | ({_random("cuda"): torch.cuda.get_rng_state()} if _on_cuda(model) else {})


def room_for(model: Module, optimizer: Optimizer, kept: Set[str]) -> dict[str, Tensor]:
    """The tensors that a state is read into: the weights themselves, and moments new to the optimizer.

    Random numbers of a process that a state does not know are left as they were seeded."""
    room: dict[str, Tensor] = {}
    for name, weight in trainable(model):
        step = torch.zeros((), device=weight.device)
        optimizer.state[weight] = {"step": step, "exp_avg": torch.zeros_like(weight), "exp_avg_sq": torch.zeros_like(weight)}
        room[f"weight/{name}"] = weight.detach()
        room |= {f"moment/{name}/{moment}": optimizer.state[weight][moment] for moment in MOMENTS}
    sources = {_random("cpu"): torch.get_rng_state()} | ({_random("cuda"): torch.cuda.get_rng_state()} if _on_cuda(model) else {})
    return room | {name: numbers for name, numbers in sources.items() if name in kept}


def set_random(state: dict[str, Tensor]) -> None:
    """Go on with a state's random numbers."""
    if _random("cpu") in state:
        torch.set_rng_state(state[_random("cpu")])
    if _random("cuda") in state:
        torch.cuda.set_rng_state(state[_random("cuda")])


def _random(device: str) -> str:
    return f"random/{device}/{group.rank()}"


def _on_cuda(model: Module) -> bool:
    return next(model.parameters()).device.type == "cuda"
