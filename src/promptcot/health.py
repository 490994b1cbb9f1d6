"""The figures of one round of EM, from its tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from promptcot import bounds
from promptcot.intervals import Estimate, ratio_of_sums, wilson
from promptcot.outcomes import Drop
from promptcot.recipe import Em
from promptcot.records import BoundRow, Candidate, Draw, Health, ProbeRow, Selection, record_id

Triplet = tuple[float, float, float]


@dataclass(frozen=True)
class Evidence:
    """The rows a health record is computed from; empty where the rule has no such step. `held_out`: the dev triples there were, of which
    `bound` holds those that could be compared."""

    seeds: int
    draws: Sequence[Draw]
    candidates: Sequence[Candidate]
    selections: Sequence[Selection]
    bound: Sequence[BoundRow]
    probe: Sequence[ProbeRow]
    held_out: int = 0
    log_q_gap: float = math.nan


def summarize(round: int, best_before: int, em: Em, evidence: Evidence) -> Health:
    """One round's health. Draws and scores that a server failed to give say nothing about the models and are left out."""
    e, ks = _answered(evidence), tuple(sorted(em.bound.k))
    if e.bound:
        available = min(len(row.log_m) for row in e.bound)
        ks = tuple(k for k in ks if k <= available) or (available,)
    gain = bounds.difference(e.bound, ks[-1]) if e.bound else None
    scored = {c.id for c in e.candidates}
    used = {s.triple: s for s in e.selections if s.parents[1] in scored}  # not the greedy rationales of the rule `paper`
    return Health(
        id=record_id("health", (), round),
        round=round,
        best_before=best_before,
        is_best=gain.value > 0 if gain else e.held_out == 0,
        rule=em.rule,
        candidates=em.candidates,
        seeds=e.seeds,
        sat_out=e.seeds - len(used) if e.draws else 0,
        valid_share=_share(sum(d.invalid is None for d in e.draws), len(e.draws)),
        leak_share=_share(sum(c.rejected is not None for c in e.candidates), len(e.candidates)),
        distinct_share=_distinct(e.draws),
        ess=_mean([s.ess for s in used.values()]),
        tau=float(np.median([s.tau for s in used.values()])) if used else math.nan,
        rationale_tokens=_mean([len(d.ids) for d in e.draws]),
        log_p_problem=_mean([c.log_p_problem for c in e.candidates]),
        log_p_rationale=_mean([c.log_p_rationale for c in e.candidates]),
        log_q=_mean([d.log_q for d in e.draws if not math.isnan(d.log_q)]),
        dev=len(e.bound),
        ks=ks,
        iwae_best=tuple(bounds.per_token(e.bound, "best", k).value for k in ks),
        iwae_new=tuple(bounds.per_token(e.bound, "new", k).value for k in ks),
        bound_best=_triplet(bounds.per_token(e.bound, "best", ks[-1])),
        bound_new=_triplet(bounds.per_token(e.bound, "new", ks[-1])),
        gain=_triplet(gain) if gain else (math.nan,) * 3,
        uses_rationale=_gap(e.probe, [row.other_rationale for row in e.probe]),
        uses_concepts=_gap(e.probe, [row.other_concepts for row in e.probe]),
        log_q_gap=e.log_q_gap,
    )


def _answered(e: Evidence) -> Evidence:
    draws = [d for d in e.draws if d.invalid != Drop.FAILED]
    return replace(e, draws=draws, candidates=[c for c in e.candidates if c.rejected != Drop.FAILED])


def gain_of(health: Health) -> Estimate | None:
    """The round's gain over the best before it, None when nothing was held out."""
    value, low, high = health.gain
    return Estimate(value, low, high, health.dev, 0.90) if health.dev else None


def _triplet(estimate: Estimate) -> Triplet:
    return (estimate.value, estimate.low, estimate.high)


def _share(hits: int, n: int) -> Triplet:
    return _triplet(wilson(hits, n))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def _distinct(draws: Sequence[Draw]) -> float:
    """Distinct rationales over draws, by triple."""
    return len({(d.parents[0], d.rationale) for d in draws}) / len(draws) if draws else math.nan


def _gap(rows: Sequence[ProbeRow], others: Sequence[float]) -> Triplet:
    gaps = [row.own - other for row, other in zip(rows, others, strict=True)]
    return _triplet(ratio_of_sums(gaps, [row.tokens_problem for row in rows]))
