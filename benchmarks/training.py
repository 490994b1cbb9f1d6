"""Speed of a fit: tokens per second of `promptcot.training.fit` against a plain PyTorch loop on the same texts, in one run.

    python benchmarks/training.py [--model smollm2-135m-instruct] [--batch 8] [--steps 4] [--repeats 3]

The plain loop is what one would write first: pad the batch, let the model compute its loss, AdamW. Both take the same examples in the same
order in bf16 autocast; repeats alternate, and the ratio's spread is the smallest and largest of the paired ratios.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from promptcot import models
from promptcot.engines.protocol import FitExample, Tokens
from promptcot.recipe import Fit, Training
from promptcot.training import fit
from promptcot.training.batches import optimizer_steps

RATE = 1e-5


def texts(count: int) -> list[FitExample]:
    """Random texts of about 205 tokens with the shape of (prefix, rationale, problem)."""
    rng = random.Random(0)

    def ids(low: int, high: int) -> tuple[int, ...]:
        return tuple(rng.randrange(10, 40_000) for _ in range(rng.randint(low, high)))

    return [FitExample(str(i), Tokens(ids(50, 80), (ids(60, 100), ids(40, 80)))) for i in range(count)]


def plain(folder: Path, examples: list[FitExample], batch: int) -> float:
    """Tokens per second of the plain loop, loading left out."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)
    started = time.perf_counter()
    for step in optimizer_steps(len(examples), 1, batch, 0):
        ids, mask, labels = padded([examples[i].tokens for i in step])
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(input_ids=ids, attention_mask=mask, labels=labels, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return sum(len(e.tokens) for e in examples) / (time.perf_counter() - started)


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
    """Tokens per second of `fit`, loading and saving left out."""
    settings = Fit(epochs=1, lr=RATE, batch=batch, warmup=0, schedule="constant")
    with tempfile.TemporaryDirectory() as out:
        log = fit(folder, examples, settings, Training(), Path(out) / "model", seed=0)
    return log.total_tokens / log.seconds


def main() -> None:
    """Measure in pairs and print ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    folder, examples = models.resolve(given.model), texts(given.batch * given.steps)
    ratios = []
    for repeat in range(given.repeats):
        order = (plain, ours) if repeat % 2 == 0 else (ours, plain)
        speed = {measure: measure(folder, examples, given.batch) for measure in order}
        ratios.append(speed[ours] / speed[plain])
        print(f"plain {speed[plain]:7.1f}  ours {speed[ours]:7.1f} tokens/s  ratio {ratios[-1]:.2f}", flush=True)
    middle = sorted(ratios)[len(ratios) // 2]
    print(f"ratio {middle:.2f} [{min(ratios):.2f}, {max(ratios):.2f}] of {len(ratios)} pairs, batch {given.batch}")


if __name__ == "__main__":
    main()
