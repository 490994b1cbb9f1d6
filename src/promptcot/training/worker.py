"""One fit of a Hugging Face folder: load it, take every planned optimizer step, save a folder.

What this does not cover: several devices (one process trains on one device).
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, TrainingArguments, set_seed
from transformers.integrations.integration_utils import get_reporting_integration_callbacks

from promptcot.engines.host_memory import keep_freed_memory
from promptcot.engines.transformers import free_memory, pick_dtype, quiet_loading
from promptcot.errors import MissingHere, UsageError
from promptcot.training import batches
from promptcot.training.checkpoints import Checkpoints
from promptcot.training.job import Job
from promptcot.training.log import METRICS, FitLog, Progress
from promptcot.training.loss import output_layer
from promptcot.training.objectives import objective
from promptcot.training.trainer import Plan, PlannedTrainer, Reporter

if TYPE_CHECKING:
    from peft import PeftModel

MAX_GRAD_NORM = 1.0
"""Gradients are clipped to this norm. NOT STATED in the paper; the usual value of fine-tuning."""

BESIDE_WEIGHTS = (
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.jinja",
    "*.model",
    "LICENSE*",
    "NOTICE*",
)
"""Files of the source folder that `save_pretrained` does not write and every consumer needs."""


def fit_transformers(job: Job, out: Path, *, checkpoints: Path | None = None, on_step: Callable[[Progress], None] | None = None) -> FitLog:
    """`promptcot.training.fit` and `fit_pairs` for a Hugging Face folder."""
    data = batches.usable(job.examples, job.training, context=_context(job.model))
    plan = Plan(data, objective(data, job.beta), job.settings, job.training.batch_tokens, job.seed)
    _require_free(out)
    _require_reporting(job.training.report_to)
    every = job.training.checkpoint_steps
    kept = Checkpoints(checkpoints, every, job.identity) if checkpoints and every else None
    out.parent.mkdir(parents=True, exist_ok=True)
    with quiet_loading(), tempfile.TemporaryDirectory(prefix=f".{out.name.lstrip('.')}-", dir=out.parent) as scratch:
        reporter = _train(job, plan, Path(scratch), kept, on_step)
        free_memory()
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
    """Take all steps and save `scratch/model`. Returns the reporter, with the steps and the times."""
    began, training = time.monotonic(), job.training
    set_seed(job.seed)
    network = _load(job.model)
    if training.gradient_checkpointing:
        network.gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[no-untyped-call]
    adapted = _with_lora(network, training.lora_rank) if training.method == "lora" else None
    arguments = _arguments(scratch / "trainer", job, use_cache=getattr(network.config, "use_cache", True))
    autocast = pick_dtype(training.dtype, arguments.device) == torch.bfloat16
    if arguments.device.type == "cpu":
        keep_freed_memory()
    state = checkpoints.latest() if checkpoints else None
    trainer = PlannedTrainer(adapted or network, output_layer(network), plan, arguments, autocast=autocast, state=state)
    reporter = Reporter(trainer, on_step, scratch / METRICS, checkpoints, began)
    trainer.add_callback(reporter)
    trainer.train()
    _save(adapted.merge_and_unload() if adapted else network, job.model, scratch / "model")
    os.replace(scratch / METRICS, scratch / "model" / METRICS)
    return reporter


def _require_free(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError("there is something where the fitted model should go", where=str(out), remedy="name a folder that does not exist")


def _context(folder: Path) -> int | None:
    """The most tokens the model can read, if it says."""
    if not (folder / "config.json").is_file():
        raise UsageError("no Hugging Face model here (config.json is missing)", where=str(folder), remedy="name a folder with a model")
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    context: int | None = getattr(config.get_text_config(), "max_position_embeddings", None)
    return context


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


def _arguments(folder: Path, job: Job, *, use_cache: bool) -> TrainingArguments:
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1,  # the plan is one pass over all steps
        learning_rate=job.settings.lr,
        weight_decay=job.settings.weight_decay,
        max_grad_norm=MAX_GRAD_NORM,
        optim="adamw_torch_fused",
        seed=job.seed,
        use_cache=use_cache,  # the Trainer writes it into the config that is saved; the forward pass goes without
        save_strategy="no",
        logging_strategy="no",
        report_to=job.training.report_to or "none",
        disable_tqdm=True,
    )
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1  # several visible devices would be trained on by DataParallel, which splits a batch its own way
    return arguments


def _require_reporting(names: Sequence[str]) -> None:
    """Raise for a name that the Trainer does not know, and for one whose library is not here."""
    try:
        for callback in get_reporting_integration_callbacks(list(names)):  # type: ignore[no-untyped-call]
            callback()
    except ValueError as error:
        raise UsageError(str(error), where="training.report_to") from None
    except (ImportError, RuntimeError) as error:
        raise MissingHere(str(error), where="training.report_to", remedy="install it, or leave the name out") from None


def _save(network: PreTrainedModel, source: Path, out: Path) -> None:
    network.save_pretrained(out)
    for pattern in BESIDE_WEIGHTS:
        for path in source.glob(pattern):
            shutil.copyfile(path, out / path.name)
