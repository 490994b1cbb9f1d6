"""How fast a model samples, scores and is fitted on a machine, and so how long a step takes.

On accelerators: decoding is scaled from one figure by parameters and memory bandwidth, bounded by what the sequences in flight allow;
reading and scoring take 2, training 6 FLOPs a parameter and token (8 with gradient checkpointing, a third less with LoRA) at a share of
the peak. On a CPU: measured rates of a small model, scaled by parameters and cores. A probe's measurement takes the place of all that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from promptcot.planning.figures import ZERO, Figures, Range
from promptcot.planning.machines import GB, H100_BANDWIDTH, Machine
from promptcot.planning.shapes import ModelShape
from promptcot.planning.work import Kind, Step
from promptcot.recipe import EngineSpec, Recipe, Training

DECODED = 32.8e9
"""Parameters of the model that `decode_rate` is stated for."""
MEASURED, MEASURED_CORES = 134.5e6, 2
"""Parameters and cores that the CPU's figures are stated for."""
HOUR = 3600.0

Measured = Mapping[tuple[Kind, str], Range]
"""Tokens a second here by kind of step and model, as a probe found them."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A role as a plan sees it: its model's `name`, engine and shape, which is None for engines that cost nothing (`scripted`, `tabular`)
    and for hosted models."""

    name: str
    engine: EngineSpec
    shape: ModelShape | None

    @property
    def free(self) -> bool:
        """Whether its answers take no time worth planning."""
        return self.engine.kind in ("scripted", "tabular") or (self.shape is None and self.engine.kind != "openai")


class Speeds:
    """Seconds of steps on a machine."""

    def __init__(self, recipe: Recipe, machine: Machine, figures: Figures, measured: Measured | None = None) -> None:
        self.training, self.machine, self.figures = recipe.training, machine, figures
        self.measured = measured or {}

    def gpus(self, step: Step, worker: Worker) -> int:
        """Accelerators that a step keeps busy: a fit its `processes`; transformers samples and scores on one."""
        if worker.free or self.machine.is_cpu or (worker.engine.kind == "openai" and step.kind is not Kind.FIT):
            return 0
        if step.kind is Kind.FIT:
            return min(self.training.processes, self.machine.gpus)
        return min(worker.engine.gpus, self.machine.gpus) if worker.engine.kind == "vllm" else 1

    def seconds(self, step: Step, worker: Worker) -> Range:
        """The tokens of a step over its rates; programs run one after the other."""
        if step.kind is Kind.RUN:
            return step.rows * self.figures["program_run_s"]
        if worker.free or (step.kind is Kind.FIT and worker.shape is None):  # a hosted model cannot be fitted: `limits` says so
            return ZERO
        if step.kind is Kind.FIT:
            return step.tokens.fitted / self._fit(worker)
        reading = self._reading(step, worker)
        return step.tokens.sampled / self._sampling(step, worker) + (step.tokens.read + step.tokens.scored) / reading

    def opening(self, worker: Worker, *, fits: bool) -> Range:
        """Seconds until a model is ready: a server's start, or reading its weights; a fit also writes them."""
        if worker.free or worker.shape is None:
            return ZERO
        if worker.engine.kind == "vllm" and not fits:
            return self.figures["server_start_s"]
        weights = Range.exact(worker.shape.weight_bytes / GB)
        if fits:
            weights += self.figures["saved_bytes"] * (worker.shape.parameters / GB)
        return self.figures["open_s"] + weights / self.figures["file_rate"]

    # sampling

    def _sampling(self, step: Step, worker: Worker) -> Range:
        if (Kind.SAMPLE, worker.name) in self.measured:
            return self.measured[Kind.SAMPLE, worker.name]
        if worker.engine.kind == "openai":
            return self._hosted(step, self.figures["hosted_stream_rate"] * worker.engine.width, worker.engine)
        shape = worker.shape
        assert shape is not None
        if self.machine.is_cpu:
            return self._cpu("cpu_served_rate" if worker.engine.kind == "vllm" else "cpu_sample_rate", shape)
        if worker.engine.kind == "transformers":
            step_s = (self.figures["eager_layer_ms"] * (shape.layers / 1e3)).at_least(self._read_weights(shape, 1))
            return Range.exact(worker.engine.batch_rows) / step_s
        return self._served(step, worker, shape)

    def _served(self, step: Step, worker: Worker, shape: ModelShape) -> Range:
        """Of all copies of the model on the machine."""
        copies, share = self.copies(worker), worker.engine.tensor_parallel
        scale = DECODED / self._decoded(shape) * self.machine.bandwidth / H100_BANDWIDTH
        full = (self.figures["decode_rate"] * (scale * share)).at_most(self.figures["decode_ceiling"])
        flight = max(1.0, min(worker.engine.concurrency / copies, self.sequences(step, worker, shape)))
        return full.at_most(Range.exact(flight) / self._read_weights(shape, share)) * copies

    def copies(self, worker: Worker) -> int:
        """Copies of the model that a started server keeps."""
        return max(1, min(worker.engine.gpus, self.machine.gpus) // worker.engine.tensor_parallel)

    def sequences(self, step: Step, worker: Worker, shape: ModelShape) -> float:
        """Sequences of mean length whose keys and values fit beside one copy of the weights."""
        return self.cache(worker, shape).mid / max(1.0, shape.kv_bytes * step.mean)

    def cache(self, worker: Worker, shape: ModelShape) -> Range:
        """Bytes that a copy of the model has for keys and values; not below 0."""
        share = worker.engine.tensor_parallel
        taken = Range.exact(worker.engine.gpu_memory) if worker.engine.gpu_memory else self.figures["served_share"]
        working = self.figures["working_gb"] * GB
        free = [
            taken.mid * self.machine.memory * share - shape.weight_bytes - used * share for used in (working.high, working.mid, working.low)
        ]
        return Range(*(max(0.0, value) for value in free))

    def _decoded(self, shape: ModelShape) -> float:
        """Parameters that decoding is bound by: of a mixture of experts, between those of a token and all, which a large batch meets."""
        return math.sqrt(shape.active * shape.parameters)

    def _read_weights(self, shape: ModelShape, share: int) -> Range:
        """Seconds a token of one sequence: all weights pass through the memory once."""
        return Range.exact(shape.weight_bytes / share / self.machine.bandwidth) / self.figures["stream_efficiency"]

    # reading, scoring, fitting

    def _reading(self, step: Step, worker: Worker) -> Range:
        if (Kind.SCORE, worker.name) in self.measured:
            return self.measured[Kind.SCORE, worker.name]
        if worker.engine.kind == "openai":
            return self._hosted(step, self.figures["hosted_read_rate"] * worker.engine.width, worker.engine)
        assert worker.shape is not None
        if self.machine.is_cpu:
            return self._cpu("cpu_score_rate", worker.shape)
        return self.figures["prefill_efficiency"] * (self.machine.flops * self.gpus(step, worker) / (2 * worker.shape.active))

    def _fit(self, worker: Worker) -> Range:
        if (Kind.FIT, worker.name) in self.measured:
            return self.measured[Kind.FIT, worker.name]
        assert worker.shape is not None
        flops = flops_per_parameter(self.training)
        if self.machine.is_cpu:
            return self._cpu("cpu_train_rate", worker.shape) * (6 / flops)
        one = self.figures["training_mfu"] * (self.machine.flops / (flops * worker.shape.active))
        devices = min(self.training.processes, self.machine.gpus)
        return one if devices == 1 else one * self.figures["shared_fit"] * devices

    def _cpu(self, figure: str, shape: ModelShape) -> Range:
        return self.figures[figure] * (MEASURED / shape.active * self.machine.cores / MEASURED_CORES)

    def _hosted(self, step: Step, rate: Range, engine: EngineSpec) -> Range:
        """Tokens a second of a service, which may also limit requests."""
        if engine.requests_per_minute is None:
            return rate
        each = (step.tokens.sampled + step.tokens.read + step.tokens.scored).mid / max(1.0, step.rows.mid)
        return rate.at_most(engine.requests_per_minute / 60 * each)


def flops_per_parameter(training: Training) -> float:
    """FLOPs a parameter and token of a fit: forward 2, backward 4 (LoRA: 2, the weights' own gradients are not needed), recomputation 2."""
    return (6 if training.method == "full" else 4) + (2 if training.gradient_checkpointing else 0)
