"""Finished runs beside one another: EM's figure by round, and an ablation table.

    rounds(run)      round -> held-out bound of that round's generator, nats per token of x, with its interval (the paper's EM curve is an
                     NLL given a rationale that has seen x, which flatters p; this one is IWAE-K, see `bounds`)
    ablation(runs)   what was switched on, what EM gained, how much was parsed and kept, the scores, and each score less the first run's

Bounds of different runs share problems but not proposals: compare arms by their scores, or by a study that scores all under one mixture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from promptcot.errors import UsageError
from promptcot.evaluation import comparison, metrics, stored
from promptcot.intervals import Estimate, wilson
from promptcot.outcomes import Drop
from promptcot.records import Health
from promptcot.store import Run
from promptcot.tables import from_table, read_parquet

SCHEMA = 1
BOUND_LEVEL = 0.9
"""Coverage of the intervals that a round's health holds."""


@dataclass(frozen=True, slots=True)
class RoundPoint:
    """A round of a run: IWAE-`k` of its generator on the dev problems, and whether that was the best so far."""

    run: str
    rule: str
    round: int
    k: int
    bound: Estimate
    best: bool


@dataclass(frozen=True, slots=True)
class RunScore:
    """A model of a run at a benchmark, and (but for the first run) its difference from the first run's, paired by question."""

    model: str
    benchmark: str
    accuracy: Estimate
    difference: Estimate | None


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run in the ablation table; None where it has no such stage."""

    run: str
    cold_start: bool
    rule: str
    rounds: int
    best: int
    gain: Estimate | None
    parsed: Estimate | None
    kept: Estimate | None
    scores: tuple[RunScore, ...]


def rounds(run: Run) -> list[RoundPoint]:
    """The rounds of EM that a run has finished, round 0 (the start) first. Empty for a run without EM."""
    found = _health(run)
    points = [_point(run, h, h.round, h.bound_new, h.is_best) for h in found if h.bound_new and not math.isnan(h.bound_new[0])]
    start = next((h for h in found if h.best_before == 0 and h.bound_best and not math.isnan(h.bound_best[0])), None)
    return [*([_point(run, start, 0, start.bound_best, True)] if start else []), *points]


def _point(run: Run, health: Health, number: int, bound: Sequence[float], best: bool) -> RoundPoint:
    estimate = Estimate(bound[0], bound[1], bound[2], health.dev, BOUND_LEVEL)
    return RoundPoint(run.path.name, health.rule, number, health.ks[-1] if health.ks else 0, estimate, best)


def _health(run: Run) -> list[Health]:
    steps = [step for step in run.steps() if step.startswith("em/") and step.endswith("/health") and run.manifest(step) is not None]
    folders = [run.path / step / (run.current(step) or "-") for step in steps]
    rows = [row for at in folders for row in from_table(read_parquet(sorted(at.glob("part-*.parquet")), Health), Health)]
    return sorted(rows, key=lambda health: health.round)


def ablation(runs: Sequence[Run], level: float = 0.95) -> list[RunRow]:
    """A row for each run, in order; differences are from the first."""
    if not runs:
        raise UsageError("no run to compare", where="curves")
    first = {(one.model, one.benchmark): one for one in _evaluated(runs[0])}
    return [_row(run, {} if run is runs[0] else first, level) for run in runs]


def _row(run: Run, first: dict[tuple[str, str], stored.Stored], level: float) -> RunRow:
    health = _health(run)
    best = [h for h in health if h.is_best]
    gained = best[-1].gain if best and best[-1].gain and not math.isnan(best[-1].gain[0]) else None
    recipe = run.recipe
    return RunRow(
        run=run.path.name,
        cold_start=bool(recipe.get("cold_start")),
        rule=str(recipe["em"].get("rule", "")) if recipe.get("em") else "",
        rounds=len(health),
        best=best[-1].round if best else 0,
        gain=Estimate(gained[0], gained[1], gained[2], best[-1].dev, BOUND_LEVEL) if gained else None,
        parsed=_share(run, "synthesize/problems", level),
        kept=_share(run, "screen", level),
        scores=tuple(_scores(run, first, level)),
    )


def _share(run: Run, step: str, level: float) -> Estimate | None:
    manifest = run.manifest(step)
    if manifest is None:
        return None
    asked = manifest.rows_out + sum(n for reason, n in manifest.dropped.items() if reason != Drop.FAILED)
    return wilson(manifest.rows_out, asked, level)


def _evaluated(run: Run) -> list[stored.Stored]:
    names = sorted(
        {step.split("/")[2] for step in run.steps() if step.startswith("evaluate/") and step.split("/")[-1].startswith("grades")}
    )
    return [one for name in names for one in stored.read(run, name)]


def _scores(run: Run, first: dict[tuple[str, str], stored.Stored], level: float) -> Iterator[RunScore]:
    for one in _evaluated(run):
        other = first.get((one.model, one.benchmark))
        shared = other is not None and {m.question for m in one.marks} & {m.question for m in other.marks}
        found = comparison.compare(one.marks, other.marks, level=level).difference if other is not None and shared else None
        yield RunScore(one.model, one.benchmark, metrics.avg_at_k(one.marks, level), found)


def as_text(runs: Sequence[Run]) -> str:
    """For people."""
    lines = ["EM by round: held-out IWAE-K, nats per token of x (90 %)"]
    for point in (point for run in runs for point in rounds(run)):
        lines.append(f"  {point.run:<24} {point.rule:<12} round {point.round} (K={point.k}): {point.bound}{' *' if point.best else ''}")
    lines.append("ablation (* above: the best round so far)")
    for row in ablation(runs):
        what = f"{'cold start' if row.cold_start else 'no cold start'}, {f'EM {row.rule}, {row.rounds} rounds' if row.rule else 'no EM'}"
        lines.append(f"  {row.run}: {what}, best round {row.best}")
        lines += [
            f"    {name}: {value}"
            for name, value in (("gain of that round", row.gain), ("parsed", row.parsed), ("kept", row.kept))
            if value
        ]
        for s in row.scores:
            less = f"; less the first run's {s.difference}: {s.difference.verdict}" if s.difference else ""
            lines.append(f"    {s.model} on {s.benchmark}: {s.accuracy}{less}")
    return "\n".join(lines)


def as_json(runs: Sequence[Run]) -> dict[str, Any]:
    """For programs."""
    points = [{**_plain(point), "bound": _number(point.bound)} for run in runs for point in rounds(run)]
    return {"schema": SCHEMA, "rounds": points, "runs": [_of_row(row) for row in ablation(runs)]}


def _of_row(row: RunRow) -> dict[str, Any]:
    numbers = {name: _number(getattr(row, name)) for name in ("gain", "parsed", "kept")}
    scores = [{**_plain(s), "accuracy": _number(s.accuracy), "difference": _number(s.difference)} for s in row.scores]
    return {**_plain(row), **numbers, "scores": scores}


def _plain(row: Any) -> dict[str, Any]:
    return {name: value for name in type(row).__dataclass_fields__ if isinstance(value := getattr(row, name), str | int | bool)}


def _number(e: Estimate | None) -> dict[str, float | None] | None:
    if e is None:
        return None
    found = {"value": e.value, "low": e.low, "high": e.high, "n": e.n, "level": e.level}
    return {name: value if math.isfinite(value) else None for name, value in found.items()}
