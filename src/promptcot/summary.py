"""From a run to what its report shows: `ReportData` filled from the run's tables, nothing measured anew."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from promptcot.em import EmResult
from promptcot.evaluation import scoring, shown
from promptcot.evaluation.stage import Evaluated
from promptcot.gates import Gate
from promptcot.intervals import Estimate
from promptcot.recipe import Recipe
from promptcot.records import ConceptSet, Dropped, Health, Problem, Record, Score, Seed, Triple
from promptcot.reporting import data as page
from promptcot.reporting.solving import Solving
from promptcot.store import Manifest
from promptcot.usage import Usage

SHOWN = 50_000
"""Problems in the page; the rest stay in the table."""


@dataclass(frozen=True)
class Parts:
    """What a run has made so far; empty or None where a stage is absent."""

    seeds: Sequence[Seed] = ()
    triples: Sequence[Triple] = ()
    concept_sets: Sequence[ConceptSet] = ()
    written: Sequence[Problem] = ()
    unparsed: Sequence[Dropped] = ()
    kept: Sequence[Problem] = ()
    screened_out: Sequence[Dropped] = ()
    em: EmResult | None = None
    gates: Sequence[Gate] = ()
    evaluated: Sequence[Evaluated] = ()
    scores: Sequence[Score] = ()
    manifests: Sequence[Manifest] = ()
    parts: Sequence[page.PartRows] = ()
    solving: Mapping[str, Solving] = field(default_factory=dict)
    work: Sequence[page.WorkRow] = ()
    models: Sequence[page.ModelRow] = ()
    seconds: float | None = None
    usage: Usage = field(default_factory=Usage)


def report_data(recipe: Recipe, parts: Parts, origin: page.Origin, banner: str) -> page.ReportData:
    """The whole page."""
    rows = problem_rows(parts)
    steps = {m.step for m in parts.manifests}
    return page.ReportData(
        run_name=recipe.name,
        origin=origin,
        facts=page.Facts(
            seconds=parts.seconds,
            tokens=parts.usage.tokens or None,
            usd=parts.usage.usd,
            gpu_hours=parts.usage.gpu_seconds / 3600,
            seeds=len(parts.seeds) or None,
            train=sum(t.split == "train" for t in parts.triples) or None,
            triples=sum(t.rationale is not None for t in parts.triples) or None,
            concept_sets=len(parts.concept_sets) or None,
            written=len(parts.written) + len(parts.unparsed) if steps & {"problems", "synthesize/problems"} else None,
            kept=len(parts.kept) if "screen" in steps else None,
        ),
        em=em_summary(recipe, parts),
        funnel=tuple(map(_funnel, parts.manifests)),
        parts=tuple(parts.parts),
        work=tuple(parts.work),
        rounds=rounds(parts),
        problems=tuple(rows[:SHOWN]),
        problems_left_out=max(0, len(rows) - SHOWN),
        evaluations=tuple(_scores(recipe, one, parts.scores) for one in parts.evaluated),
        models=tuple(parts.models),
        sources=tuple(_sources([*parts.seeds] or [*parts.triples])),
        gates=tuple(_gate(gate) for gate in parts.gates),
        warnings=tuple(warnings(parts)),
        banner=banner,
    )


def em_summary(recipe: Recipe, parts: Parts) -> page.EmSummary | None:
    """Did EM beat its start? The comparison of the best round (or the last, if none was better) with round 0."""
    if parts.em is None or recipe.em is None:
        return None
    against_start = [r for r in parts.em.rounds if r.health.best_before == 0]
    told = next((r for r in against_start if r.number == parts.em.best_round), against_start[-1] if against_start else None)
    return page.EmSummary(
        rule=str(recipe.em.rule),
        candidates=recipe.em.candidates,
        rounds=len(parts.em.rounds),
        best=parts.em.best_round,
        gain=_shown(told.gain, page.NATS) if told and told.gain else None,
        compared=told.number if told else 0,
        k=told.health.ks[-1] if told else 1,
        ended="" if parts.em.stopped.startswith("all") else parts.em.stopped,
    )


def rounds(parts: Parts) -> tuple[page.RoundHealth, ...]:
    """Round 0 and every round of EM."""
    if parts.em is None or not parts.em.rounds:
        return ()
    first = parts.em.rounds[0].health
    start = page.RoundHealth(round=0, k=first.ks[-1], bound_new=_of(first.bound_best, first.dev, page.NATS), decision="cold start")
    return (start, *(_round(r.health, parts.em) for r in parts.em.rounds))


def _round(h: Health, result: EmResult) -> page.RoundHealth:
    draws = h.seeds * h.candidates
    return page.RoundHealth(
        round=h.round,
        rule=h.rule,
        against=h.best_before,
        k=h.ks[-1],
        bound_new=_of(h.bound_new, h.dev, page.NATS),
        bound_best=_of(h.bound_best, h.dev, page.NATS),
        bound_delta=_of(h.gain, h.dev, page.NATS),
        ess=_plain(h.ess, h.seeds - h.sat_out, f"of {h.candidates}"),
        tau=_plain(h.tau, h.seeds - h.sat_out, ""),
        leak_rate=_of(h.leak_share, draws, page.SHARE, "candidates", 0.95),
        rationale_length=_plain(h.rationale_tokens, draws, page.TOKENS),
        distinct=_plain(h.distinct_share, draws, page.SHARE),
        valid=_of(h.valid_share, draws, page.SHARE, "candidates", 0.95),
        own_minus_shuffled_rationale=_of(h.uses_rationale, h.dev, page.NATS),
        own_minus_shuffled_concepts=_of(h.uses_concepts, h.dev, page.NATS),
        decision="best so far" if h.is_best else "kept the round before" if h.best_before else "kept the start",
    )


def _of(triplet: Sequence[float], n: int, unit: str, of: str = "problems", coverage: float = 0.9) -> page.Estimate | None:
    value, low, high = triplet
    if n == 0 or math.isnan(value):
        return None
    return page.Estimate(value, _finite(low), _finite(high), n, unit, of, coverage)


def _plain(value: float, n: int, unit: str) -> page.Estimate | None:
    return None if math.isnan(value) else page.Estimate(value, None, None, n, unit)


def _shown(e: Estimate, unit: str) -> page.Estimate:
    return page.Estimate(e.value, _finite(e.low), _finite(e.high), e.n, unit, coverage=e.level)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _scores(recipe: Recipe, one: Evaluated, scores: Sequence[Score]) -> page.BenchmarkScores:
    assert recipe.evaluate is not None
    own = [s for s in scores if (s.model, s.benchmark) == (one.model, one.benchmark.name)]
    units = {s.id: page.SHARE if s.metric in scoring.RATES else page.TOKENS if s.metric == "tokens" else "" for s in own}
    drawn = {scoring.title(s): page.Estimate(s.value, _finite(s.low), _finite(s.high), s.n, units[s.id], "questions", s.level) for s in own}
    return page.BenchmarkScores(
        model=one.path,
        benchmark=one.benchmark.name,
        about=shown.about(one, recipe.evaluate),
        scores=drawn,
        overlap=shown.overlap_text(one, recipe.evaluate.ngram),
        warning=one.benchmark.note,
    )


def _funnel(m: Manifest) -> page.FunnelStage:
    return page.FunnelStage(name=m.step, rows_in=m.rows_in, rows_out=m.rows_out, dropped=dict(m.dropped), seconds=m.seconds)


def _gate(gate: Gate) -> page.Gate:
    side = "at least" if gate.at_least else "at most"
    unit = page.SHARE if gate.name != "length_ratio" else ""
    shown = page.Estimate(gate.value.value, gate.value.low, gate.value.high, gate.value.n, unit, "completions", 0.95)
    return page.Gate(name=gate.name, value=shown, limit=gate.limit, side="at least" if side == "at least" else "at most")


def _sources(rows: Sequence[Record]) -> list[page.SourceRow]:
    counts = Counter((row.source, row.license) for row in rows)
    return [page.SourceRow(source=source, license=license, rows=n) for (source, license), n in sorted(counts.items())]


def warnings(parts: Parts) -> list[str]:
    """What a reader should not overlook."""
    found = [f"gate {g.name}: {g.value} is on the wrong side of {g.limit}" for g in parts.gates if g.failed]
    small = [r for r in (parts.em.rounds if parts.em else ()) if 0 < r.health.dev < 30]
    if small:
        found.append(
            f"the bound was compared on {small[0].health.dev} dev problems only: a bootstrap interval over so few is too narrow, "
            "and a gain over the start credits the rationale only where the controls (rules `shuffled` and `uniform`) stay behind"
        )
    unlicensed = sum(not row.license for row in parts.seeds)
    if unlicensed:
        found.append(f"{unlicensed} seeds bring no license")
    return found


def problem_rows(parts: Parts) -> list[page.ProblemRow]:
    """Kept problems first, then the screened out, then what did not parse."""
    sets = {s.id: s for s in parts.concept_sets}
    by_id = {p.id: p for p in parts.written}
    rows = [_with_solutions(problem_row(p, sets), parts.solving) for p in parts.kept]
    for drop in parts.screened_out:
        if drop.id in by_id:
            rows.append(problem_row(by_id[drop.id], sets, drop.reason, drop.detail))
    for drop in parts.unparsed:
        raw = json.loads(drop.content)
        text = str(raw.get("completion") or raw.get("problem") or "")
        concepts = tuple(raw.get("concepts", ()))
        rows.append(
            page.ProblemRow(
                id=drop.id, problem=text, level=raw.get("level", ""), concepts=concepts, dropped=drop.reason, detail=drop.detail
            )
        )
    return rows


def _with_solutions(row: page.ProblemRow, solving: Mapping[str, Solving]) -> page.ProblemRow:
    known = solving.get(row.id)
    if known is None:
        return row
    attempts = tuple(known.attempts)
    return replace(row, label=known.label, attempts=attempts, attempts_made=known.made, pass_rate=known.pass_rate)


def problem_row(p: Problem, sets: Mapping[str, ConceptSet], dropped: str | None = None, detail: str = "") -> page.ProblemRow:
    """One problem with its scores and ancestors."""
    parents = [page.LineageStep("concept set", key, f"{s.level}: {', '.join(s.concepts)}") for key in p.parents if (s := sets.get(key))]
    return page.ProblemRow(
        id=p.id,
        problem=p.problem,
        level=p.level,
        domain=p.domain,
        concepts=p.concepts,
        rationale=p.rationale,
        scores={
            "log p(z,x|c), nats": round(p.log_p, 2),
            "tokens": float(p.tokens),
            "nats per token": round(-p.log_p / max(1, p.tokens), 3),
        },
        lineage=(*parents, page.LineageStep("generator", p.generator[:16], f"draw {p.draw}")),
        dropped=dropped,
        detail=detail,
    )
