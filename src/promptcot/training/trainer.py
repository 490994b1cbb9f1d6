"""Transformers' Trainer over planned optimizer steps: the loop, optimizer, clipping and device are its; order, loss and schedule ours.

An element of the data set is a whole optimizer step, cut into micro-batches: their gradients add up to exactly that of the batch,
however it is cut.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.nn import Module
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.utils.data import DataLoader, Dataset
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from promptcot.engines.protocol import FitExample
from promptcot.engines.transformers import accelerators
from promptcot.errors import Stopped
from promptcot.recipe import Fit
from promptcot.training import batches
from promptcot.training.log import Progress
from promptcot.training.loss import MicroBatch, collate, weighted_nll


@dataclass(frozen=True, slots=True)
class Step:
    """One optimizer step. `divisor` turns its summed weighted nll into the loss, `weight` (w over scored tokens) into nats per token."""

    micro: tuple[MicroBatch, ...]
    divisor: float
    weight: float
    tokens: int


class Plan(Dataset[dict[str, Step]]):
    """The data of a fit: element s is optimizer step s as `{"step": Step}` (the Trainer wants a dict), built when it is asked for."""

    def __init__(self, data: batches.Usable, settings: Fit, batch_tokens: int, seed: int) -> None:
        self.data, self.batch_tokens = data, batch_tokens
        self.steps = batches.optimizer_steps(len(data.examples), settings.epochs, settings.batch, seed)

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, step: int) -> dict[str, Step]:
        batch = [self.data.examples[i] for i in self.steps[step]]
        lengths = [len(example.tokens) for example in batch]
        scored = [batches.scored_tokens(example) for example in batch]
        planned = Step(
            tuple(collate([batch[i] for i in cut]) for cut in batches.micro_batches(lengths, self.batch_tokens)),
            divisor=self.data.mean_weight * sum(scored),
            weight=sum(example.weight * n for example, n in zip(batch, scored, strict=True)),
            tokens=sum(lengths),
        )
        return {"step": planned}

    def count(self, tokens: Callable[[FitExample], int]) -> int:
        """Sum over every example of every step."""
        return sum(tokens(self.data.examples[i]) for step in self.steps for i in step)


class WeightedTrainer(Trainer):
    """Trainer over a `Plan`: own loss, own schedule, nothing logged or saved."""

    def __init__(self, model: Module, head: Module, plan: Plan, settings: Fit, arguments: TrainingArguments, *, autocast: bool) -> None:
        super().__init__(model=model, args=arguments, train_dataset=plan)
        self.remove_callback(PrinterCallback)
        self.head, self.plan, self.settings, self.autocast = head, plan, settings, autocast
        self.losses: list[float] = []
        self.tokens = 0

    def get_train_dataloader(self) -> DataLoader[dict[str, Step]]:
        """The plan in its order; its elements are batches already."""
        return DataLoader(self.plan, batch_size=None, shuffle=False)

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> LRScheduler:
        """The recipe's schedule."""
        factor = partial(batches.learning_rate_factor, steps=num_training_steps, settings=self.settings)
        self.lr_scheduler = LambdaLR(optimizer or self.create_optimizer(), factor)
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def training_step(self, model: Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """Accumulate the gradient of one optimizer step over its micro-batches; returns the loss."""
        model.train()
        step: Step = inputs["step"]
        self.tokens += step.tokens
        device = self.args.device
        total = torch.zeros((), device=device)
        for micro in step.micro:
            with torch.autocast(device.type, torch.bfloat16, enabled=self.autocast):
                nll = weighted_nll(model, self.head, micro.to(device))
            self.accelerator.backward(nll / step.divisor)
            total += nll.detach()
        self.losses.append(self._finite(total.item() / step.weight))
        return total / step.divisor

    def _finite(self, loss: float) -> float:
        if not math.isfinite(loss):
            raise Stopped(
                f"the loss is {loss} at step {len(self.losses) + 1} of {len(self.plan)}",
                where="training",
                remedy="lower the learning rate, or set training.dtype: fp32",
            )
        return loss


class Reporter(TrainerCallback):
    """Tells `on_step` of each optimizer step and keeps the time: `seconds` of the steps, `gpu_seconds` since `began` (monotonic)."""

    def __init__(self, trainer: WeightedTrainer, on_step: Callable[[Progress], None] | None, began: float) -> None:
        self.trainer, self.on_step, self._began = trainer, on_step, began
        self.losses, self._accelerators = trainer.losses, accelerators(trainer.args.device)
        self.seconds = 0.0

    @property
    def gpu_seconds(self) -> float:
        """Wall seconds so far, times the accelerators that the fit holds."""
        return self._accelerators * (time.monotonic() - self._began)

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Start the clock."""
        self.start = time.perf_counter()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Report."""
        self.seconds = time.perf_counter() - self.start
        if self.on_step:
            speed = self.trainer.tokens / self.seconds
            self.on_step(Progress(state.global_step, state.max_steps, self.losses[-1], speed, self.trainer.tokens, self.gpu_seconds))
