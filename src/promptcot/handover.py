"""Hand-over check: do sampler and scorer mean the same by log q?

Importance weights compare log p, which is scored, with log q, which comes along with a draw. In fp32 the two paths agree to rounding; in
bf16 they drift apart by noise that grows with length. So some draws of each round are scored again under the q that made them: the
root mean square gap is kept, and where it exceeds `LIMIT` nats a draw, log q of every valid draw is taken from the scorer, whose
rounding p shares.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from promptcot.errors import UsageError
from promptcot.executors import Rows, Table, Task, Workplace
from promptcot.heldout import Asked, Pair, score_texts
from promptcot.records import Draw, Triple
from promptcot.roles import Role
from promptcot.store import StepSpec
from promptcot.templates import TAGGED
from promptcot.triples import Pool

SCHEMA = 1
LIMIT = 0.3
"""Largest root mean square gap, in nats a draw, that sampled log q are used with."""
SHARD_ROWS = 512


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


def check(place: Workplace, folder: str, posterior: Role, draws: Table[Draw], pool: Pool, *, rows: int) -> Checked:
    """Score `rows` valid draws again; all of them where the gap is too wide, or where the sampler did not know log q (NaN)."""
    triples = {t.id: t for t in pool.rows}
    valid = [d for d in draws.rows if d.invalid is None]
    probe = _spread(valid, rows)
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


def _spread(draws: Sequence[Draw], rows: int) -> list[Draw]:
    """`rows` of the draws, evenly spread over their order."""
    places = np.linspace(0, len(draws) - 1, min(rows, len(draws))).round().astype(int)
    return [draws[i] for i in np.unique(places)]


def _score(place: Workplace, name: str, role: Role, draws: Sequence[Draw], triples: dict[str, Triple], source: str) -> dict[str, float]:
    asked = [Asked(d.id, triples[d.parents[0]], d.ids) for d in draws]
    return {key: row.log_p[0] for key, row in score_texts(place, name, role, asked, as_posterior=True, source=source).items()}
