"""Fitting a role to texts or to pairs of them, as a step of a run: what the cold start, the M-step and post-training share."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from promptcot.durable import canonical
from promptcot.engines.protocol import FitExample, PairExample, Scored, ScoreRequest, Tokens
from promptcot.engines.vllm.fleet import FLEET
from promptcot.errors import Stopped
from promptcot.executors import Artifact, Progress, Rows, Table, Task, Workplace, ask, checkpoints_beside
from promptcot.models import fingerprint
from promptcot.recipe import Fit, Training
from promptcot.records import ScoreRow, Triple, record_id
from promptcot.roles import Role
from promptcot.segments import Segmenter
from promptcot.store import StepSpec
from promptcot.training import FitLog, fit, fit_pairs, longest_text
from promptcot.training import Progress as StepDone
from promptcot.usage import Usage

SCHEMA = 1
SHARD_TEXTS = 64
UNKNOWN = (math.nan, math.nan)
"""The reference of a pair that is too long to be fitted, and so is not scored."""

Tell = Callable[[StepDone], None]


@dataclass(frozen=True, slots=True)
class PairTokens:
    """A chosen and a rejected continuation of one prompt, with the weight of the pair in the loss."""

    id: str
    chosen: Tokens
    rejected: Tokens
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Text:
    """One text of a pair: its `side` is `chosen` or `rejected`."""

    pair: str
    side: str
    tokens: Tokens

    @property
    def id(self) -> str:
        """The id of its score."""
        return _text_id(self.pair, self.side)


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
    facts = {"fit": settings.model_dump(exclude={"replay"}), "training": training.facts(), "seed": seed}
    spec = StepSpec(name, None, SCHEMA, facts, {"start": start.fingerprint, "examples": _digest(examples)})

    def make(folder: Path, tell: Tell) -> FitLog:
        kept = checkpoints_beside(folder)
        return fit(start.path, examples, settings, training, folder, seed=seed, kind=start.trained_as, checkpoints=kept, on_step=tell)

    return start.fitted(_fitted(place, spec, make))


def fit_on_pairs(
    place: Workplace,
    name: str,
    start: Role,
    pairs: Sequence[PairTokens],
    settings: Fit,
    beta: float,
    training: Training,
    *,
    seed: int,
) -> Role:
    """Fit a role from its weights to prefer what was chosen, with these weights as the reference; the role with its new weights.

    Two steps: `NAME/reference` scores both texts of every pair once, by the engine of the environment that trains, and `NAME` fits."""
    start.require_trainable()
    if not pairs:
        raise Stopped(f"nothing to fit `{start.name}` on", where=name, remedy="pairs need questions with a right and a wrong attempt")
    limit = longest_text(start.path, training)
    short = [pair for pair in pairs if max(len(pair.chosen), len(pair.rejected)) <= limit]
    reference = _reference(place, f"{name}/reference", start.here, short) if short else {}
    examples = [PairExample(p.id, p.chosen, p.rejected, reference.get(p.id, UNKNOWN), p.weight) for p in pairs]
    facts = {"fit": settings.model_dump(exclude={"replay"}), "beta": beta, "training": training.facts(), "seed": seed}
    spec = StepSpec(name, None, SCHEMA, facts, {"start": start.fingerprint, "pairs": _pairs_digest(examples)})

    def make(folder: Path, tell: Tell) -> FitLog:
        kept, kind = checkpoints_beside(folder), start.trained_as
        return fit_pairs(start.path, examples, settings, beta, training, folder, seed=seed, kind=kind, checkpoints=kept, on_step=tell)

    return start.fitted(_fitted(place, spec, make))


def _reference(place: Workplace, name: str, role: Role, pairs: Sequence[PairTokens]) -> dict[str, tuple[float, float]]:
    """log p of the chosen and the rejected text of each pair under `role`, in nats, by the pair's id."""
    texts = [Text(pair.id, side, tokens) for pair in pairs for side, tokens in (("chosen", pair.chosen), ("rejected", pair.rejected))]
    digest = hashlib.sha256(canonical([[text.pair, text.side, text.tokens.prefix, text.tokens.segments] for text in texts]).encode())
    spec = StepSpec(name, ScoreRow, SCHEMA, {}, {"role": role.digest, "texts": digest.hexdigest()[:32]})

    def work(tasks: Iterator[Task[Text]]) -> Iterator[tuple[int, Rows]]:
        with role.open(place.meter) as engine:
            yield from ask(tasks, lambda task: ScoreRequest(task.item.id, task.item.tokens, task.group), engine.score, _score_row)

    table: Table[ScoreRow] = place.rows(spec, texts, work, shard_rows=SHARD_TEXTS)
    sums = {row.id: math.fsum(row.log_p) for row in table.rows}
    return {pair.id: (sums[_text_id(pair.id, "chosen")], sums[_text_id(pair.id, "rejected")]) for pair in pairs}


def _score_row(text: Text, reply: Scored) -> Rows:
    return [ScoreRow(id=text.id, parents=(text.pair,), log_p=reply.log_p, tokens=tuple(map(len, text.tokens.segments)))]


def _text_id(pair: str, side: str) -> str:
    return record_id("reference", (pair,), content=side)


def _fitted(place: Workplace, spec: StepSpec, run: Callable[[Path, Tell], FitLog]) -> Artifact:
    """A fit as a step: watched, metered, its folder the artifact and its log what is said of it."""

    def make(folder: Path) -> tuple[str, Mapping[str, Any]]:
        started, used = time.monotonic(), Usage()

        def tell(done: StepDone) -> None:
            nonlocal used
            used = Usage(tokens_trained=done.tokens, gpu_seconds=done.gpu_seconds)
            margin = "" if done.margin is None else f", margin {done.margin:.3f}"
            note = f"loss {done.loss:.3f}{margin}, {done.tokens_per_second:.0f} tokens/s"
            place.watch(Progress(spec.name, done.step, done.steps, time.monotonic() - started, note))

        FLEET.release()  # the fit needs the memory of servers that nobody uses
        with place.meter.reading(lambda: used):
            log = run(folder, tell)
            used = Usage(tokens_trained=log.total_tokens - log.resumed_tokens, gpu_seconds=log.gpu_seconds)
        return fingerprint(folder), asdict(log)

    return place.artifact(spec, make)


def _digest(examples: Sequence[FitExample]) -> str:
    digest = hashlib.sha256()
    for example in examples:
        digest.update(canonical([example.tokens.prefix, example.tokens.segments, example.weight]).encode())
    return digest.hexdigest()[:32]


def _pairs_digest(pairs: Sequence[PairExample]) -> str:
    """Without the reference: it follows from the texts and the weights that the fit starts from."""
    digest = hashlib.sha256()
    for pair in pairs:
        texts = [[text.prefix, text.segments] for text in (pair.chosen, pair.rejected)]
        digest.update(canonical([*texts, pair.weight]).encode())
    return digest.hexdigest()[:32]
