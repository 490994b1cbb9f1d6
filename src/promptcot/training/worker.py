"""One fit of a Hugging Face folder: load it, take every planned optimizer step, save a folder.

It may be one of several processes that share every batch (`launch` starts them): then the first alone writes the model, gathering it where
it is sharded.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, TrainingArguments, set_seed
from transformers.integrations.integration_utils import get_reporting_integration_callbacks

from promptcot.engines.host_memory import keep_freed_memory
from promptcot.engines.transformers import free_memory, pick_dtype, quiet_loading
from promptcot.errors import MissingHere, Stopped, UsageError
from promptcot.training import batches, group
from promptcot.training.checkpoints import Checkpoints
from promptcot.training.folders import context_of, copy_beside, require_free
from promptcot.training.job import Job
from promptcot.training.log import METRICS, FitLog, Progress
from promptcot.training.loss import output_layer
from promptcot.training.objectives import objective
from promptcot.training.plan import Plan
from promptcot.training.sharded import load_sharded, local, merged, save_gathered
from promptcot.training.state import trainable
from promptcot.training.trainer import PlannedTrainer, Reporter

if TYPE_CHECKING:
    from peft import PeftModel

MAX_GRAD_NORM = 1.0
"""Gradients are clipped to this norm. NOT STATED in the paper; the usual value of fine-tuning."""


def fit_transformers(job: Job, out: Path, *, checkpoints: Path | None = None, on_step: Callable[[Progress], None] | None = None) -> FitLog:
    """`promptcot.training.fit` and `fit_pairs` for a Hugging Face folder."""
    data = batches.usable(job.examples, job.training, context=context_of(job.model))
    share = (int(os.environ.get("RANK", "0")), job.training.processes)
    _require_processes(share[1])
    plan = Plan(data, objective(data, job.beta), job.settings, job.training.batch_tokens, job.seed, share=share)
    require_free(out)
    _require_reporting(job.training.report_to)
    every = job.training.checkpoint_steps
    kept = Checkpoints(checkpoints, every, job.identity) if checkpoints and every else None
    out.parent.mkdir(parents=True, exist_ok=True)
    with quiet_loading(), tempfile.TemporaryDirectory(prefix=f".{out.name.lstrip('.')}-", dir=out.parent) as scratch:
        reporter = _train(job, plan, Path(scratch), kept, on_step)
        free_memory()
        if share[0] == 0:
            os.replace(Path(scratch) / "model", out)
    return _log(plan, reporter)


def _log(plan: Plan, reporter: Reporter) -> FitLog:
    steps = reporter.trainer.history
    return FitLog(
        steps=len(plan),
        epochs=plan.settings.epochs,
        examples=len(plan.data.examples),
        dropped=plan.data.dropped,
        tokens=plan.count(batches.scored_tokens),
        total_tokens=plan.count(batches.total_tokens),
        seconds=reporter.seconds,
        losses=tuple(step.loss for step in steps),
        margins=tuple(step.margin for step in steps if step.margin is not None),
        accuracies=tuple(step.accuracy for step in steps if step.accuracy is not None),
        gpu_seconds=reporter.gpu_seconds,
        resumed_tokens=plan.count(batches.total_tokens) - reporter.trainer.tokens,
    )


def _train(job: Job, plan: Plan, scratch: Path, checkpoints: Checkpoints | None, on_step: Callable[[Progress], None] | None) -> Reporter:
    """Take all steps; the first process saves `scratch/model`. Returns the reporter, with the steps and the times."""
    began, training = time.monotonic(), job.training
    set_seed(job.seed)
    arguments = _arguments(scratch / "trainer", job)
    autocast = pick_dtype(training.dtype, arguments.device) == torch.bfloat16
    sharded = training.launch == "fsdp2"
    network = load_sharded(job.model, training.processes, bf16=autocast) if sharded else _load(job.model)
    arguments.use_cache = getattr(network.config, "use_cache", True)  # the Trainer writes it into the config that is saved
    if training.gradient_checkpointing:
        network.gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[no-untyped-call]
    adapted = _with_lora(network, training.lora_rank) if training.method == "lora" else None
    if arguments.device.type == "cpu":
        keep_freed_memory()
    kept = checkpoints.latest() if checkpoints else None
    trainer = PlannedTrainer(adapted or network, output_layer(network), plan, arguments, training, autocast=autocast, kept=kept)
    reporter = Reporter(trainer, on_step, scratch / METRICS, checkpoints, began)
    trainer.add_callback(reporter)
    with _enough_memory(training.launch):
        trainer.train()
    _require_finite(network)
    if sharded:
        save_gathered(merged(adapted) if adapted else network, scratch / "model")
    elif plan.share[0] == 0:
        (adapted.merge_and_unload() if adapted else network).save_pretrained(scratch / "model")
    if plan.share[0] == 0:
        copy_beside(job.model, scratch / "model")
        os.replace(scratch / METRICS, scratch / "model" / METRICS)
    return reporter


@contextmanager
def _enough_memory(launch: str) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        sharded = "more `processes`" if launch == "fsdp2" else "`launch: fsdp2`"
        raise MissingHere(
            f"the accelerator has too little memory for this fit: {str(error).splitlines()[0]}",
            where="training",
            remedy=f"lower `batch_tokens`, set `gradient_checkpointing: true`, or spread it over {sharded}; `promptcot plan` counts it",
        ) from None


def _require_finite(network: PreTrainedModel) -> None:
    """Raise `Stopped` where the last step, which no loss comes after, left a weight that is no number."""
    bad = [name for name, weight in trainable(network) if not torch.isfinite(local(weight)).all()]
    if any(group.gathered(bool(bad))):
        raise Stopped(
            f"weights are not finite after the last step{': ' if bad else ''}{', '.join(bad[:3])}",
            where="training",
            remedy="lower the learning rate, or set training.dtype: fp32",
        )


def _load(folder: Path) -> PreTrainedModel:
    """The model in fp32: optimizer steps accumulate in these weights."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True, use_safetensors=True)


def _with_lora(network: PreTrainedModel, rank: int) -> PeftModel:
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise MissingHere(
            f"LoRA needs `{error.name}`", where="training.method", remedy="python -m pip install 'promptcot[train]'"
        ) from None
    return get_peft_model(network, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM"))


def _arguments(folder: Path, job: Job) -> TrainingArguments:
    """Those of the Trainer; making them sets up the group of processes."""
    processes, devices = job.training.processes, torch.accelerator.device_count() if torch.accelerator.is_available() else 0
    if 0 < devices < job.training.processes_here:
        raise MissingHere(
            f"{job.training.processes_here} processes need as many accelerators, here are {devices}",
            where="training.processes",
            remedy="lower `processes`, or hide the accelerators (CUDA_VISIBLE_DEVICES=) to fit on the CPU",
        )
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1,  # the plan is one pass over all steps
        learning_rate=job.settings.lr,
        weight_decay=job.settings.weight_decay,
        max_grad_norm=MAX_GRAD_NORM,
        optim="adamw_torch_fused",
        seed=job.seed,
        save_strategy="no",
        logging_strategy="no",
        report_to=job.training.report_to or "none",
        disable_tqdm=True,
        use_cpu=processes > 1 and not devices,
        ddp_backend="gloo" if processes > 1 and not devices else None,
        ddp_find_unused_parameters=False,
    )
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1  # several visible devices would be trained on by DataParallel, which splits a batch its own way
    return arguments


def _require_processes(wanted: int) -> None:
    found = int(os.environ.get("WORLD_SIZE", "1"))
    if found != wanted:
        raise UsageError(
            f"{wanted} process(es) are to share the fit, but {found} were started",
            where="training.processes",
            remedy="let `training.launch` start them: it is not to be run under a launcher of its own",
        )


def _require_reporting(names: Sequence[str]) -> None:
    """Raise for a name that the Trainer does not know, and for one whose library is not here."""
    try:
        for callback in get_reporting_integration_callbacks(list(names)):  # type: ignore[no-untyped-call]
            callback()
    except ValueError as error:
        raise UsageError(str(error), where="training.report_to") from None
    except (ImportError, RuntimeError) as error:
        raise MissingHere(str(error), where="training.report_to", remedy="install it, or leave the name out") from None
