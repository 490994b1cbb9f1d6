"""Transformers' Trainer over planned optimizer steps: the loop, optimizer, clipping and device are its; order, loss and schedule ours.

An element of the data set is a whole optimizer step, cut into micro-batches: their gradients add up to exactly that of the batch,
however it is cut.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch.nn import Module
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.utils.data import DataLoader, Subset
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from promptcot.engines.transformers import accelerators
from promptcot.errors import Stopped
from promptcot.recipe import Training
from promptcot.training import batches
from promptcot.training.checkpoints import Checkpoints, Kept
from promptcot.training.log import Progress, StepMetrics
from promptcot.training.loss import MicroBatch, text_nll
from promptcot.training.plan import Plan, Step
from promptcot.training.sharded import require_wrapper
from promptcot.training.state import room_for, set_random, state_of


class PlannedTrainer(Trainer):
    """Trainer over a `Plan`: own loss, own schedule, nothing logged or saved but by `Reporter`."""

    def __init__(
        self,
        model: Module,
        head: Module,
        plan: Plan,
        arguments: TrainingArguments,
        training: Training,
        *,
        autocast: bool,
        kept: Kept | None = None,
    ) -> None:
        """`kept` is a checkpoint of a killed fit: this one goes on from there."""
        super().__init__(model=model, args=arguments, train_dataset=plan)
        self.remove_callback(PrinterCallback)
        self.head, self.plan, self.training, self.autocast, self._kept = head, plan, training, autocast, kept
        self._room: dict[str, torch.Tensor] = {}
        self.history = [StepMetrics(**step) for step in kept.history] if kept else []
        self.resumed = len(self.history)
        self.tokens, self.began = 0, time.perf_counter()

    def get_train_dataloader(self) -> DataLoader[dict[str, Step]]:
        """What is left of the plan in its order; its elements are batches already."""
        return DataLoader(Subset(self.plan, range(self.resumed, len(self.plan))), batch_size=None, shuffle=False)

    def create_optimizer(self, model: Module | None = None) -> torch.optim.Optimizer:
        """The Trainer's; with the moments of the fit that goes on, and the model with its weights."""
        made = self.optimizer is not None
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)
        if self._kept and not made:
            assert self.model is not None
            self._room = room_for(self.model, optimizer, self._kept.names())
            self._kept.read_into(self._room)
        return optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> LRScheduler:
        """The recipe's schedule, from the step where the fit goes on."""
        steps, settings, resumed = len(self.plan), self.plan.settings, self.resumed
        self.lr_scheduler = LambdaLR(
            optimizer or self.create_optimizer(), lambda step: batches.learning_rate_factor(resumed + step, steps, settings)
        )
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def keep(self, checkpoints: Checkpoints) -> None:
        """Keep this process's part of the state after a step."""
        assert self.model is not None
        assert self.optimizer is not None
        checkpoints.save(len(self.history), state_of(self.model, self.optimizer), list(map(asdict, self.history)))

    def _begin(self, model: Module) -> None:
        """In the first step: see how the model is held, and go on with a killed fit's random numbers, since what came before draws too."""
        if not self.tokens:
            require_wrapper(model, self.training)
            if rank := self.plan.share[0]:
                torch.manual_seed(self.args.seed + rank)  # else all would drop out alike; the first draws as one alone would
        set_random(self._room)
        self._room = {}

    def training_step(self, model: Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """Accumulate the gradient of one optimizer step over its micro-batches; returns the loss."""
        model.train()
        self._begin(model)
        step: Step = inputs["step"]
        device = self.args.device
        total = torch.zeros((), device=device)
        margins: list[torch.Tensor] = []
        for number, micro in enumerate(step.micro):
            last = number + 1 == len(step.micro)
            # copies add up their gradients once a step; shards, which have no `no_sync`, each time, since a whole gradient has no room
            with nullcontext() if last else self.accelerator.no_sync(model):
                part, of_pairs = self._part(model, micro.to(device))
                self.accelerator.backward(part / (step.divisor / self.plan.share[1]))  # what they make of them is the mean
            total += part.detach()
            margins += [] if of_pairs is None else [of_pairs]
        self._remember(step, self._summed(total, margins))
        return total / step.divisor

    def _part(self, model: Module, micro: MicroBatch) -> tuple[torch.Tensor, torch.Tensor | None]:
        with torch.autocast(self.args.device.type, torch.bfloat16, enabled=self.autocast):
            nll = text_nll(model, self.head, micro)
        total, margins = self.plan.objective.total(nll, micro)
        return total, None if margins is None else margins[micro.weights > 0]

    def _summed(self, total: torch.Tensor, margins: Sequence[torch.Tensor]) -> tuple[float, float, int, int]:
        """Over all processes: the loss, the margins, how many of these are positive, and how many there are."""
        own = torch.cat([*margins, total.new_zeros(0)])
        figures = torch.stack([total, own.sum(), (own > 0).sum().to(total), torch.tensor(float(len(own)), device=total.device)])
        loss, margin, positive, pairs = self.accelerator.reduce(figures, "sum").tolist()
        return loss, margin, round(positive), round(pairs)

    def _remember(self, step: Step, summed: tuple[float, float, int, int]) -> None:
        number, (total, margin, positive, pairs) = len(self.history), summed
        loss = total / step.unit
        if not math.isfinite(loss):
            raise Stopped(
                f"the loss is {loss} at step {number + 1} of {len(self.plan)}",
                where="training",
                remedy="lower the learning rate, or set training.dtype: fp32",
            )
        self.tokens += step.tokens
        self.history.append(
            StepMetrics(
                step=number + 1,
                loss=loss,
                learning_rate=self.plan.learning_rate(number),
                tokens=step.tokens + (self.history[-1].tokens if self.history else 0),
                tokens_per_second=self.tokens / (time.perf_counter() - self.began),
                margin=margin / pairs if pairs else None,
                accuracy=positive / pairs if pairs else None,
            )
        )


class Reporter(TrainerCallback):
    """Tells of each optimizer step: `on_step`, the file `metrics`, and whoever `training.report_to` names; and keeps `checkpoints`.

    It keeps the time: `seconds` of the steps, `gpu_seconds` since `began` (monotonic)."""

    def __init__(
        self,
        trainer: PlannedTrainer,
        on_step: Callable[[Progress], None] | None,
        metrics: Path,
        checkpoints: Checkpoints | None,
        began: float,
    ) -> None:
        self.trainer, self.on_step, self.metrics, self.checkpoints, self._began = trainer, on_step, metrics, checkpoints, began
        metrics.write_text("".join(map(_line, trainer.history)), encoding="utf-8")
        self._accelerators = accelerators(trainer.args.device) * trainer.plan.share[1]
        self.seconds = 0.0

    @property
    def gpu_seconds(self) -> float:
        """Wall seconds so far, times the accelerators that the fit holds."""
        return self._accelerators * (time.monotonic() - self._began)

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Start the clock."""
        self.trainer.began = time.perf_counter()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Report."""
        self.seconds = time.perf_counter() - self.trainer.began
        done = self.trainer.history[-1]
        if self.checkpoints and self.checkpoints.due(done.step, len(self.trainer.plan)):
            self.trainer.keep(self.checkpoints)
        if not state.is_world_process_zero:
            return
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(_line(done))
        if args.report_to:
            self.trainer.log({name: value for name, value in asdict(done).items() if value is not None})
        if self.on_step:
            self.on_step(
                Progress(
                    done.step,
                    len(self.trainer.plan),
                    done.loss,
                    self.trainer.tokens / self.seconds,
                    self.trainer.tokens,
                    self.gpu_seconds,
                    done.margin,
                    done.accuracy,
                )
            )


def _line(step: StepMetrics) -> str:
    return json.dumps(asdict(step)) + "\n"
