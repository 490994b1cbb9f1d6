"""Hand-over checks: do trainer and server mean the same weights, do sampler and scorer mean the same by log q?

Weights that were fitted here are served from another environment, with other kernels. So a few fixed texts are scored by both engines, and
unless they agree the run stops: a server that runs former weights, another tokenizer or a broken build would spoil all that follows without
a word. Rounding adds up like a random walk along a text, so the widest gap that passes is `NOISE` times the root of its tokens.

Importance weights compare log p, which is scored, with log q, which comes along with a draw. In fp32 the two paths agree to rounding; in
bf16 they drift apart by noise that grows with length. So some draws of each round are scored again under the q that made them: the
root mean square gap is kept, and where it exceeds `LIMIT` nats a draw, log q of every valid draw is taken from the scorer, whose
rounding p shares.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from promptcot.engines.protocol import ScoreRequest
from promptcot.errors import Incomplete, Stopped, UsageError
from promptcot.executors import Rows, Table, Task, Workplace, each
from promptcot.heldout import Asked, Pair, score_texts
from promptcot.metering import Meter
from promptcot.records import Agreement, Draw, Triple, record_id
from promptcot.roles import Role
from promptcot.store import StepSpec
from promptcot.templates import TAGGED
from promptcot.triples import Pool

SCHEMA = 1
NOISE = {"fp32": 0.005, "bf16": 0.25}
"""Nats per root of a token that two engines may differ by. Measured with SmolLM2-135M and vLLM 0.32 on a CPU, texts of 174 tokens: 0.078
between bf16 and bf16, of which transformers' own distance from fp32 is the larger part; 0.0001 between fp32 and fp32."""
LIMIT = 0.3
"""Largest root mean square gap, in nats a draw, that sampled log q are used with."""
SHARD_ROWS = 512

T = TypeVar("T")


@dataclass(frozen=True)
class Checked:
    """Draws with a log q that may be weighed, and the gap that was found (NaN: nothing to compare)."""

    draws: Table[Draw]
    gap: float


def require_shared_tokens(pair: Pair) -> None:
    """Raise `UsageError` unless p and q write a rationale as the same token ids: a draw of q is scored and fitted by p as it is."""
    written = []
    for role in (pair.generator, pair.posterior):
        with role.open() as engine:
            sample = role.template.render_rationale("Seven boats, 3.5 km apart: $x^2$.") if role.template is TAGGED else ""
            written.append((role.template, engine.tokenizer.encode(sample), engine.tokenizer.eos))
    if written[0] != written[1]:
        raise UsageError(
            "generator and posterior do not share tokenizer and template",
            where="models.generator, models.posterior",
            remedy="EM hands token ids from q to p: use models of one family and one template",
        )


def agree(place: Workplace, folder: str, role: Role, pool: Pool, *, rows: int) -> None:
    """Score `rows` annotated texts of the pool under a role's weights by the engine that serves them and by the one that trains, and keep
    the gap. Nothing to do for a role that is not served from its folder, or without rows.

    Raises `Stopped` when they do not agree, `Incomplete` when the server gives no score."""
    if not role.handed_over or not rows:
        return
    texts = tuple(_evenly([t for t in pool.rows if t.rationale] or pool.rows, rows))
    inputs = {"role": role.digest, "triples": pool.digest}
    spec = StepSpec(f"{folder}/handover/{role.name}", Agreement, SCHEMA, {"rows": rows}, inputs)
    place.rows(spec, [texts], partial(each, make=partial(_compared, place.meter, role)), shard_rows=1)


def _compared(meter: Meter, role: Role, texts: Sequence[Triple]) -> Rows:
    """The agreement on the texts; here first, so that the server may go on with what follows."""
    with role.here.open(meter) as engine:
        here, tokens = _sums(role, engine, texts), _lengths(role, engine, texts)
    with role.open(meter) as engine:
        served = _sums(role, engine, texts)
    if not all(map(math.isfinite, served)):
        raise Incomplete(f"the server of `{role.name}` gave no score", where=str(role.path), remedy="run the same command again to resume")
    gap = float(np.sqrt(np.mean(np.square(np.subtract(served, here)))))
    limit = NOISE["fp32" if role.engine.dtype == "fp32" else "bf16"] * math.sqrt(np.mean(tokens))
    if gap > limit:
        raise Stopped(
            f"`{role.name}` is not served as it was trained: over {len(texts)} texts of {np.mean(tokens):.0f} tokens the two engines "
            f"differ by {gap:.2f} nats a text (root mean square), where rounding explains {limit:.2f}; mean log p {np.mean(served):.2f} "
            f"served, {np.mean(here):.2f} here",
            where=str(role.path),
            remedy="see whether the server runs these weights, in this `dtype`; `em.check: 0` goes on without looking",
        )
    ids = tuple(t.id for t in texts)
    row = Agreement(
        id=record_id("agreement", ids, 0, role.fingerprint),
        parents=ids,
        role=role.name,
        served=served,
        here=here,
        tokens=tokens,
        gap=gap,
        limit=limit,
    )
    return [row]


def _requests(role: Role, engine: Any, texts: Sequence[Triple]) -> list[ScoreRequest]:
    segmenter = role.segmenter(engine)
    render = segmenter.posterior if role.name == "posterior" else segmenter.generator
    return [ScoreRequest(t.id, render(t, segmenter.rationale(t.rationale or t.problem))) for t in texts]


def _sums(role: Role, engine: Any, texts: Sequence[Triple]) -> tuple[float, ...]:
    found = {scored.id: math.fsum(scored.log_p) for scored in engine.score(_requests(role, engine, texts))}
    return tuple(found[t.id] for t in texts)


def _lengths(role: Role, engine: Any, texts: Sequence[Triple]) -> tuple[int, ...]:
    return tuple(sum(map(len, request.tokens.segments)) for request in _requests(role, engine, texts))


def check(place: Workplace, folder: str, posterior: Role, draws: Table[Draw], pool: Pool, *, rows: int) -> Checked:
    """Score `rows` valid draws again; all of them where the gap is too wide, or where the sampler did not know log q (NaN)."""
    triples = {t.id: t for t in pool.rows}
    valid = [d for d in draws.rows if d.invalid is None]
    probe = _evenly(valid, rows)
    found = _score(place, f"{folder}/log_q_check", posterior, probe, triples, draws.digest)
    gaps = [gap for d in probe if not math.isnan(gap := found[d.id] - d.log_q)]
    gap = float(np.sqrt(np.mean(np.square(gaps)))) if gaps else math.nan
    if not gap > LIMIT and not any(math.isnan(d.log_q) for d in valid):
        return Checked(draws, gap)
    scored = _score(place, f"{folder}/log_q_scores", posterior, valid, triples, draws.digest)
    corrected = [replace(d, log_q=scored[d.id]) if d.id in scored else d for d in draws.rows]
    spec = StepSpec(f"{folder}/draws_rescored", Draw, SCHEMA, {"limit": LIMIT}, {"draws": draws.digest, "posterior": posterior.digest})
    return Checked(place.rows(spec, corrected, _unchanged, shard_rows=SHARD_ROWS), gap)


def _unchanged(tasks: Iterator[Task[Draw]]) -> Iterator[tuple[int, Rows]]:
    for task in tasks:
        yield task.index, [task.item]


def _evenly(items: Sequence[T], count: int) -> list[T]:
    """`count` of the items, evenly spread over their order."""
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[i] for i in np.unique(places)]


def _score(place: Workplace, name: str, role: Role, draws: Sequence[Draw], triples: dict[str, Triple], source: str) -> dict[str, float]:
    asked = [Asked(d.id, triples[d.parents[0]], d.ids) for d in draws]
    return {key: row.log_p[0] for key, row in score_texts(place, name, role, asked, as_posterior=True, source=source).items()}
