"""Speed of a fit: tokens per second of `promptcot.training.fit`, of a plain PyTorch loop and of TRL on the same texts, in one run.

    python -m benchmarks.training [--model smollm2-135m-instruct] [--batch 8] [--steps 4] [--repeats 3]

The plain loop is what one would write first: pad the batch, let the model compute its loss, AdamW. All take the same examples in the same
order in bf16 autocast; loading, saving and the first step are left out. Repeats alternate, and a ratio's spread is the smallest and
largest of the paired ratios. TRL is measured where `make trl` has put it: its releases pin other versions than ours.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from benchmarks.ratios import alternate, paired, spread
from promptcot import models
from promptcot.engines.protocol import FitExample, Tokens
from promptcot.engines.transformers import quiet_loading
from promptcot.recipe import Fit, Training
from promptcot.training import fit
from promptcot.training.batches import optimizer_steps

RATE = 1e-5
SEED = 0
TRL = Path(__file__).parent.parent / ".trl"
"""Where `make trl` installs TRL, outside the environment of the package."""


def texts(count: int) -> list[FitExample]:
    """Random texts of about 205 tokens with the shape of (prefix, rationale, problem)."""
    rng = random.Random(0)

    def ids(low: int, high: int) -> tuple[int, ...]:
        return tuple(rng.randrange(10, 40_000) for _ in range(rng.randint(low, high)))

    return [FitExample(str(i), Tokens(ids(50, 80), (ids(60, 100), ids(40, 80)))) for i in range(count)]


def tokens_after_first(examples: list[FitExample], batch: int) -> int:
    """Tokens of all steps but the first, which warms up and is not timed."""
    return sum(len(examples[i].tokens) for step in optimizer_steps(len(examples), 1, batch, SEED)[1:] for i in step)


def plain(folder: Path, examples: list[FitExample], batch: int) -> float:
    """Tokens per second of the plain loop."""
    with quiet_loading():
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)
    marks = []
    for step in optimizer_steps(len(examples), 1, batch, SEED):
        ids, mask, labels = padded([examples[i].tokens for i in step])
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(input_ids=ids, attention_mask=mask, labels=labels, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        marks.append(time.perf_counter())
    return tokens_after_first(examples, batch) / (marks[-1] - marks[0])


def padded(rows: list[Tokens]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids, attention mask and labels [rows, longest], prefix and padding unlabeled."""
    ids, mask = (torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long) for _ in range(2))
    labels = torch.full_like(ids, -100)
    for n, row in enumerate(rows):
        scored = [token for segment in row.segments for token in segment]
        ids[n, : len(row)] = torch.tensor([*row.prefix, *scored])
        mask[n, : len(row)] = 1
        labels[n, len(row.prefix) : len(row)] = torch.tensor(scored)
    return ids, mask, labels


def ours(folder: Path, examples: list[FitExample], batch: int) -> float:
    """Tokens per second of `fit`."""
    settings = Fit(epochs=1, lr=RATE, batch=batch, warmup=0, schedule="constant")
    marks: list[float] = []
    with tempfile.TemporaryDirectory() as out:
        fit(folder, examples, settings, Training(), Path(out) / "m", seed=SEED, on_step=lambda _: marks.append(time.perf_counter()))
    return tokens_after_first(examples, batch) / (marks[-1] - marks[0])


def with_trl(folder: Path, batch: int, steps: int) -> float:
    """Tokens per second of TRL's SFTTrainer, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.training_trl", str(folder), str(batch), str(steps)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), str(TRL)])}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment, cwd=Path(__file__).parent.parent)
    return float(done.stdout.splitlines()[-1])


def compare(folder: Path, *, batch: int, steps: int, repeats: int) -> None:
    """Measure in turns and print tokens a second and ratios."""
    examples = texts(batch * steps)
    measures: dict[str, Callable[[int], float]] = {
        "plain loop": lambda _: plain(folder, examples, batch),
        "ours": lambda _: ours(folder, examples, batch),
    }
    if TRL.is_dir():
        measures["TRL SFTTrainer"] = lambda _: with_trl(folder, batch, steps)
    found = alternate(measures, repeats)
    print(f"\ntraining, {steps - 1} steps of {batch} texts, {tokens_after_first(examples, batch)} tokens, n = {repeats}")
    print("| | tokens/s | ours, times as fast |\n|---|---|---|")
    for name, rates in found.items():
        print(f"| {name} | {spread(rates, 0)} | {spread(paired(found['ours'], rates)) if name != 'ours' else '1'} |", flush=True)
    if not TRL.is_dir():
        print(f"TRL was not measured: it is not in {TRL.name}/ (`make trl` puts it there)")


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    compare(models.resolve(given.model), batch=given.batch, steps=given.steps, repeats=given.repeats)


if __name__ == "__main__":
    main()
