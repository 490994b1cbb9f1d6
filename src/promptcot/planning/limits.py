"""What cannot be done: memory, context, engines that cannot do their part, budgets. Refusals say what, where, remedy and exit code.

The codes are those of the commands: 2 where the recipe is wrong on any machine (a text longer than the context), 5 where the machine
planned for lacks something (memory, accelerators, a server that scores), 4 where a budget would stop the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from promptcot.errors import MissingHere, Stopped, UsageError
from promptcot.planning.figures import Figures, Range
from promptcot.planning.machines import GB, Machine
from promptcot.planning.memory import Memory, devices_for, fit_memory
from promptcot.planning.shapes import ModelShape
from promptcot.planning.speeds import Speeds, Worker
from promptcot.planning.work import Kind, Step
from promptcot.recipe import Budget, Limits, Recipe
from promptcot.roles import Role
from promptcot.templates import TEMPLATES

LOGITS = 4 * 3
"""Bytes per entry of the logits that the transformers engine holds while it draws: fp32, its exponential and its sum."""
NODE = 8
"""Accelerators of a node."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something a stage needs and will not get."""

    stage: str
    what: str
    where: str
    remedy: str
    exit_code: int


class Feasibility:
    """Memory of steps on a machine, and what is refused."""

    def __init__(self, recipe: Recipe, machine: Machine, figures: Figures, speeds: Speeds) -> None:
        self.recipe, self.machine, self.figures, self.speeds = recipe, machine, figures, speeds

    # memory

    def memory(self, step: Step, worker: Worker) -> Memory | None:
        """What a step needs on each device; None where nothing is known to be needed (free engines, hosted models)."""
        shape = worker.shape
        if worker.free or shape is None:
            return None
        if step.kind is Kind.FIT:
            return fit_memory(self.recipe.training, self.machine, self.figures, shape, step.longest)
        if worker.engine.kind == "openai":
            return None
        if worker.engine.kind == "vllm" and not self.machine.is_cpu:
            return self._served(step, worker, shape)
        rows = worker.engine.batch_rows if step.kind is Kind.SAMPLE else worker.engine.batch_tokens / max(1.0, step.mean)
        length = max(step.longest, step.mean) if step.kind is Kind.SAMPLE else 0.0
        return Memory(
            (
                ("weights", Range.exact(shape.weight_bytes)),
                ("keys and values", Range.exact(rows * length * shape.kv_bytes)),
                ("logits", Range.exact(rows * shape.vocabulary * LOGITS if step.kind is Kind.SAMPLE else 0.0)),
                ("working memory", self.figures["working_gb"] * (0.2 * GB if self.machine.is_cpu else GB)),
            ),
            int(rows),
        )

    def _served(self, step: Step, worker: Worker, shape: ModelShape) -> Memory:
        share = worker.engine.tensor_parallel
        sequences = int(self.speeds.sequences(step, worker, shape))
        flight = min(sequences, -(-worker.engine.concurrency // self.speeds.copies(worker)))
        return Memory(
            (
                ("weights", Range.exact(shape.weight_bytes / share)),
                ("keys and values", Range.exact(flight * step.mean * shape.kv_bytes / share)),
                ("working memory", self.figures["working_gb"] * GB),
            ),
            sequences,
        )

    # refusals

    def refusals(self, step: Step, worker: Worker) -> Iterator[Refusal]:
        """All that is wrong with a step."""
        if step.kind is Kind.RUN:
            return
        yield from self._abilities(step, worker)
        shape = worker.shape
        if shape is None:
            return
        yield from self._context(step, worker, shape)
        if worker.engine.kind == "vllm" and step.kind is not Kind.FIT and not self.machine.is_cpu:
            yield from self._server(step, worker, shape)
            return
        memory = self.memory(step, worker)
        if memory is not None and memory.need.mid > self.machine.memory:
            what, have = "fitting" if step.kind is Kind.FIT else "running", self.machine.memory / GB
            parts = ", ".join(f"{name} {part.mid / GB:.0f}" for name, part in memory.parts if part.mid >= 0.5 * GB)
            yield Refusal(
                step.stage,
                f"{what} `{shape.name}` needs {memory.need.mid / GB:.0f} GB on one device ({parts}), which has {have:.0f}",
                f"models.{step.role}",
                self._smaller(shape, step.longest)
                if step.kind is Kind.FIT
                else "an engine of kind `vllm` with `tensor_parallel`, or a smaller model",
                MissingHere.exit_code,
            )

    def _smaller(self, shape: ModelShape, longest: int) -> str:
        """What may make a fit possible whose widest example has so many tokens."""
        training, ways = self.recipe.training, []
        if training.method == "full" and training.launch != "fsdp2":
            lora = self.figures["frozen_bytes"].mid * shape.parameters
            ways.append("`training.method: lora`" + ("" if lora < self.machine.memory else f" (still {lora / GB:.0f} GB of weights)"))
        if not training.gradient_checkpointing:
            ways.append("`training.gradient_checkpointing: true`")
        devices = None if self.machine.is_cpu else devices_for(training, self.machine, self.figures, shape, longest)
        if devices is None:
            tokens = "batch_tokens" if longest <= training.batch_tokens else "max_tokens"
            ways.append(f"a smaller model or `training.{tokens}`, or devices with more memory")
        else:
            nodes = f", nodes: {devices // NODE}, on_nodes: [...]" if devices > NODE else ""
            ways.append(f"`training: {{launch: fsdp2, processes: {devices}{nodes}}}` on {devices} of these")
        return ", ".join(ways)

    def _abilities(self, step: Step, worker: Worker) -> Iterator[Refusal]:
        """Servers that cannot score, weights that would never reach their server: what the run itself would refuse at its start."""
        engine = worker.engine
        if step.kind is Kind.SCORE and engine.kind == "openai" and engine.scoring == "none":
            yield Refusal(
                step.stage,
                f"the server of `{step.role}` does not score given text (`scoring: none`), which EM needs",
                f"engines.{self.recipe.model(step.role).engine}.scoring",
                "a server with `prompt_logprobs` (vLLM) or `echo`, or an engine of kind `vllm` or `transformers`",
                MissingHere.exit_code,
            )
        if step.kind is Kind.FIT:
            if not self.machine.is_cpu and self.recipe.training.processes > self.machine.gpus:
                yield Refusal(
                    step.stage,
                    f"a fit wants {self.recipe.training.processes} accelerators, the machine has {self.machine.gpus}",
                    "training.processes",
                    "lower `processes`, or plan with more --gpus",
                    MissingHere.exit_code,
                )
            spec = self.recipe.model(step.role)
            try:
                Role(step.role, Path(spec.path or ""), "", engine, TEMPLATES[spec.template]).require_trainable()
            except UsageError as error:
                yield Refusal(step.stage, error.what, error.where, error.remedy, error.exit_code)

    def _context(self, step: Step, worker: Worker, shape: ModelShape) -> Iterator[Refusal]:
        limit = (
            worker.engine.max_len if worker.engine.kind == "vllm" and worker.engine.max_len and step.kind is not Kind.FIT else shape.context
        )
        if limit is not None and step.kind is not Kind.FIT and step.longest > limit:
            yield Refusal(
                step.stage,
                f"{step.longest} tokens (the longest prefix and `max_tokens`) do not fit the {limit} that `{shape.name}` reads",
                step.name,
                "lower `sample.max_tokens`, drop the longest rows, raise `max_len`, or use a model with a longer context",
                UsageError.exit_code,
            )
        if step.kind is Kind.FIT and step.tokens.fitted.mid and step.mean >= self.recipe.training.max_tokens:
            yield Refusal(
                step.stage,
                f"the mean training text is no shorter than `training.max_tokens` ({self.recipe.training.max_tokens}): most are dropped",
                "training.max_tokens",
                "raise it",
                UsageError.exit_code,
            )

    def _server(self, step: Step, worker: Worker, shape: ModelShape) -> Iterator[Refusal]:
        engine, name = worker.engine, f"engines.{self.recipe.model(step.role).engine}"
        if engine.gpus > self.machine.gpus:
            yield Refusal(
                step.stage, f"its server wants {engine.gpus} accelerators, the machine has {self.machine.gpus}", f"{name}.gpus",
                "lower `gpus`, or plan with more --gpus", MissingHere.exit_code,
            )  # fmt: skip
        if shape.heads % engine.tensor_parallel:
            yield Refusal(
                step.stage, f"{shape.heads} attention heads of `{shape.name}` cannot be shared by {engine.tensor_parallel} accelerators",
                f"{name}.tensor_parallel", "a divisor of the heads", UsageError.exit_code,
            )  # fmt: skip
        length, devices = engine.max_len or shape.context or step.longest or int(step.mean), engine.tensor_parallel
        have = self.speeds.cache(worker, shape).mid
        if have < shape.kv_bytes * length:
            yield Refusal(
                step.stage,
                f"`{shape.name}`: {shape.weight_bytes / GB:.0f} GB of weights on {devices} x {self.machine.memory / GB:.0f} GB leave "
                f"room for {have / shape.kv_bytes:.0f} tokens of keys and values, and a server must hold one sequence of {length}",
                f"{name}.tensor_parallel",
                "raise `tensor_parallel` (and `gpus` with it)" + ("" if engine.max_len else ", or set `max_len` to what the recipe needs"),
                MissingHere.exit_code,
            )


def over_budget(budget: Budget, spent: Mapping[str, Mapping[str, Range]]) -> Iterator[Refusal]:
    """Limits of a budget that the plan's middle estimate exceeds. `spent`: by stage, and of the whole run under `""`."""
    scopes = {"": budget, **{stage: getattr(budget.stages, stage) for stage in type(budget.stages).model_fields}}
    for stage, limits in scopes.items():
        for unit in Limits.model_fields:
            limit, planned = getattr(limits, unit), spent.get(stage, {}).get(unit)
            if limit is not None and planned is not None and planned.mid > limit:
                yield Refusal(
                    stage or "budget",
                    f"{planned.mid:,.0f} {unit} are more than the budget of {limit:,.0f}",
                    f"budget.stages.{stage}.{unit}" if stage else f"budget.{unit}",
                    "fewer rounds, candidates, passes or rows, a smaller model, or a larger budget",
                    Stopped.exit_code,
                )


def exit_code(refusals: Sequence[Refusal]) -> int:
    """0 without refusals, else by what has to be mended first: the recipe (2), the machine (5), the budget (4)."""
    codes = {refusal.exit_code for refusal in refusals}
    return next((code for code in (UsageError.exit_code, MissingHere.exit_code, Stopped.exit_code) if code in codes), 0)
