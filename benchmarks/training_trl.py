"""TRL's SFTTrainer on the texts of `training.py`: prints tokens per second.

Its defaults but for what would change the work: no truncation (it cuts at 1024 tokens), no packing, no gradient checkpointing, rows in the
order of the other loops, nothing logged or saved. Its entropy and token accuracy of every step cannot be turned off.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer

from benchmarks.training import RATE, SEED, texts, tokens_after_first
from promptcot.engines.protocol import Tokens
from promptcot.training.batches import optimizer_steps


class Clock(TrainerCallback):
    """When each step ended."""

    def __init__(self) -> None:
        self.marks: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Note it."""
        self.marks.append(time.perf_counter())


def row(tokens: Tokens) -> dict[str, list[int]]:
    """Ids, and labels that leave the prefix out."""
    scored = [token for segment in tokens.segments for token in segment]
    return {"input_ids": [*tokens.prefix, *scored], "labels": [-100] * len(tokens.prefix) + scored}


def main(folder: str, batch: str, steps: str) -> None:
    """Train and print."""
    examples = texts(int(batch) * int(steps))
    order = [i for step in optimizer_steps(len(examples), 1, int(batch), SEED) for i in step]
    clock = Clock()
    with tempfile.TemporaryDirectory() as out:
        arguments = SFTConfig(
            output_dir=str(Path(out) / "model"),
            num_train_epochs=1,
            per_device_train_batch_size=int(batch),
            learning_rate=RATE,
            lr_scheduler_type="constant",
            weight_decay=0.0,
            max_length=None,
            packing=False,
            gradient_checkpointing=False,
            bf16=True,
            use_cpu=True,
            train_sampling_strategy="sequential",
            dataset_kwargs={"skip_prepare_dataset": True},
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            model_init_kwargs={"dtype": "float32"},
        )
        trainer = SFTTrainer(
            model=folder,
            args=arguments,
            train_dataset=Dataset.from_list([row(examples[i].tokens) for i in order]),
            processing_class=AutoTokenizer.from_pretrained(folder),
            callbacks=[clock],
        )
        trainer.train()
    print(tokens_after_first(examples, int(batch)) / (clock.marks[-1] - clock.marks[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
