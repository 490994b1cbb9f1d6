"""A plan for people and for scripts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from promptcot.planning.figures import Range
from promptcot.planning.limits import exit_code
from promptcot.planning.machines import GB
from promptcot.planning.planner import Plan, StagePlan

SCHEMA = 1


def as_json(plan: Plan) -> dict[str, Any]:
    """The `--json` of `promptcot plan`. Bytes, hours and dollars as `{low, mid, high}`."""
    usd = None if plan.usd is None else asdict(plan.usd)
    return {
        "schema": SCHEMA,
        "recipe": plan.recipe,
        "machine": {"gpu": plan.machine.gpu, "gpus": plan.machine.gpus, "memory": plan.machine.memory, "cores": plan.machine.cores},
        "calibrated": plan.measured,
        "exact": plan.corpus.exact,
        "corpus": {key: getattr(plan.corpus, key) for key in ("train", "annotated", "dev", "concept_sets")},
        "stages": [_stage(stage) for stage in plan.stages],
        "total": {
            "tokens": asdict(plan.tokens),
            "hours": asdict(plan.hours),
            "held_gpu_hours": asdict(plan.held_gpu_hours),
            "disk": asdict(plan.disk),
            "usd": usd,
        },
        "figures": [{"name": f.name, **asdict(f.value), "unit": f.unit, "source": f.source} for f in plan.figures],
        "refusals": [asdict(refusal) for refusal in plan.refusals],
        "notes": list(plan.notes),
        "exit_code": exit_code(plan.refusals),
    }


def _stage(stage: StagePlan) -> dict[str, Any]:
    memory = stage.memory
    return {
        "name": stage.name,
        "tokens": asdict(stage.tokens),
        "hours": asdict(stage.hours),
        "gpu_hours": asdict(stage.gpu_hours),
        "memory": asdict(memory.need) | {"parts": {name: asdict(part) for name, part in memory.parts}} if memory else None,
        "sequences": memory.sequences if memory else None,
        "disk": asdict(stage.disk),
        "usd": asdict(stage.usd),
        "refusals": [asdict(refusal) for refusal in stage.refusals],
        "steps": [
            {"name": p.step.name, "kind": str(p.step.kind), "role": p.step.role, "rows": asdict(p.step.rows)}
            | {"tokens": asdict(p.step.tokens), "hours": asdict(p.hours), "gpus": p.gpus}
            for p in stage.steps
        ],
    }


def as_text(plan: Plan) -> str:
    """The plan as a table, its refusals, and the figures it used."""
    return "\n".join(_lines(plan))


def _lines(plan: Plan) -> Iterator[str]:
    how = "calibrated by a probe here" if plan.measured else "from figures; --probe measures 64 rows here"
    yield f"{plan.recipe} on {plan.machine} ({how})"
    yield from (f"  {note}" for note in plan.notes)
    yield ""
    yield (
        f"{'stage':<11}{'read':>8}{'sampled':>9}{'scored':>9}{'trained':>9}{'fitted':>9}  {'hours (low-high)':<24}"
        f"{'GPU-hours':>10}{'GB/device':>11}{'disk GB':>9}"
    )
    for stage in plan.stages:
        yield _row(stage)
    held = "" if plan.machine.is_cpu else f", {count(plan.held_gpu_hours.mid)} GPU-hours held ({spread(plan.held_gpu_hours)})"
    cost = "" if plan.usd is None else f", {plan.usd.mid:,.0f} US dollars ({plan.usd.low:,.0f}-{plan.usd.high:,.0f})"
    yield f"{'total':<11}{hours(plan.hours)}{held}{cost}, {plan.disk.mid / GB:,.1f} GB on disk"
    for refusal in plan.refusals:
        yield f"\nREFUSED {refusal.stage}: {refusal.what}\n  where: {refusal.where}\n  remedy: {refusal.remedy}"
    yield "\nfigures used (low mid high; --figure NAME=VALUE or `plan.figures` in the recipe sets one)"
    for f in plan.figures:
        yield f"  {f.name:<28} {number(f.value.low):>8} {number(f.value.mid):>8} {number(f.value.high):>8}  {f.unit}  [{f.source}]"


def _row(stage: StagePlan) -> str:
    t, memory = stage.tokens, stage.memory
    tokens = "".join(
        f"{count(x.mid) if x.mid else '':>{w}}" for x, w in ((t.read, 8), (t.sampled, 9), (t.scored, 9), (t.trained, 9), (t.fitted, 9))
    )
    if not stage.steps:
        return f"{stage.name:<11}  no model"
    busy = f"{count(stage.gpu_hours.mid) if stage.gpu_hours.mid else '':>10}"
    need = f"{memory.need.mid / GB:.1f}" if memory else ""
    return f"{stage.name:<11}{tokens}  {hours(stage.hours):<24}{busy}{need:>11}{stage.disk.mid / GB:>9,.1f}" + (
        "  REFUSED" if stage.refusals else ""
    )


def count(value: float) -> str:
    """4 digits at most, with k, M, G or T."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= 0.9995 * size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def number(value: float) -> str:
    """A figure's value."""
    return count(value) if value >= 10_000 else f"{value:g}"


def spread(value: Range) -> str:
    """low-high."""
    return f"{count(value.low)}-{count(value.high)}"


def hours(value: Range) -> str:
    """`mid (low-high)`, in the unit that suits."""
    unit, size = ("h", 1.0) if value.mid >= 1.5 else ("min", 1 / 60)
    low, mid, high = (f"{x / size:,.0f}" if x / size >= 9.95 else f"{x / size:.1f}" for x in (value.low, value.mid, value.high))
    return f"{mid} {unit} ({low}-{high})"
