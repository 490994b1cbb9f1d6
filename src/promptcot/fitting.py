"""Fitting a role to texts, as a step of a run: what the cold start and the M-step share."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from promptcot.durable import canonical
from promptcot.engines.protocol import FitExample
from promptcot.engines.vllm.fleet import FLEET
from promptcot.errors import Stopped
from promptcot.executors import Progress, Workplace
from promptcot.models import fingerprint
from promptcot.recipe import Fit, Training
from promptcot.records import Triple
from promptcot.roles import Role
from promptcot.segments import Segmenter
from promptcot.store import StepSpec
from promptcot.training import Progress as StepDone
from promptcot.training import fit
from promptcot.usage import Usage

SCHEMA = 1


def annotated_examples(role: str, triples: Sequence[Triple], segmenter: Segmenter, *, with_rationale: bool = True) -> list[FitExample]:
    """The texts of annotated triples, weight 1; without rationales, p(x|c) alone."""
    if not with_rationale:
        return [FitExample(t.id, segmenter.generator(t, None)) for t in triples]
    render = segmenter.generator if role == "generator" else segmenter.posterior
    return [FitExample(t.id, render(t, segmenter.rationale(t.rationale))) for t in triples if t.rationale]


def fit_role(
    place: Workplace,
    name: str,
    start: Role,
    examples: Sequence[FitExample],
    settings: Fit,
    training: Training,
    *,
    seed: int,
) -> Role:
    """Fit a role from its weights to the examples, as a step of its own; the role with its new weights."""
    start.require_trainable()
    if not examples:
        raise Stopped(f"nothing to fit `{start.name}` on", where=name, remedy="EM needs usable candidates, a cold start annotated triples")
    facts = {"fit": settings.model_dump(exclude={"replay"}), "training": training.model_dump(), "seed": seed}
    spec = StepSpec(name, None, SCHEMA, facts, {"start": start.fingerprint, "examples": _digest(examples)})

    def make(folder: Path) -> tuple[str, Mapping[str, Any]]:
        started, used = time.monotonic(), Usage()

        def tell(done: StepDone) -> None:
            nonlocal used
            used = Usage(tokens_trained=done.tokens, gpu_seconds=done.gpu_seconds)
            note = f"loss {done.loss:.3f}, {done.tokens_per_second:.0f} tokens/s"
            place.watch(Progress(name, done.step, done.steps, time.monotonic() - started, note))

        FLEET.release()  # the fit needs the memory of servers that nobody uses
        with place.meter.reading(lambda: used):
            log = fit(start.path, examples, settings, training, folder, seed=seed, kind=start.trained_as, on_step=tell)
            used = Usage(tokens_trained=log.total_tokens, gpu_seconds=log.gpu_seconds)
        return fingerprint(folder), asdict(log)

    return start.fitted(place.artifact(spec, make))


def _digest(examples: Sequence[FitExample]) -> str:
    digest = hashlib.sha256()
    for example in examples:
        digest.update(canonical([example.tokens.prefix, example.tokens.segments, example.weight]).encode())
    return digest.hexdigest()[:32]
