"""Two evaluations beside each other, benchmark by benchmark: B less A, paired by question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptcot.errors import UsageError
from promptcot.evaluation import comparison, metrics
from promptcot.evaluation.comparison import Comparison
from promptcot.evaluation.scores import accuracy, solves
from promptcot.evaluation.stored import Stored
from promptcot.intervals import Estimate

SCHEMA = 1
_SHOWN = 5


@dataclass(frozen=True)
class Row:
    """One benchmark in both. `metric` says what is compared; both figures are over the questions of their own run."""

    benchmark: str
    metric: str
    a: Estimate
    b: Estimate
    found: Comparison


@dataclass(frozen=True)
class Beside:
    """All benchmarks that two evaluations share; `survive` names those whose difference is left after Holm's correction."""

    models: tuple[str, str]
    rows: tuple[Row, ...]
    survive: tuple[str, ...]


def compare(a: Sequence[Stored], b: Sequence[Stored], *, level: float) -> Beside:
    """B less A. Raises `UsageError` where they share no benchmark."""
    first, second = ({one.benchmark: one for one in found} for found in (a, b))
    shared = [name for name in first if name in second]
    if not shared:
        raise UsageError(
            f"no benchmark in both: A has {', '.join(first)}, B has {', '.join(second)}", remedy="evaluate both on the same one"
        )
    rows = tuple(_row(first[name], second[name], level) for name in shared)
    survive = comparison.survivors({row.benchmark: row.found for row in rows}, 1 - level)
    return Beside((a[0].model, b[0].model), rows, survive)


def _row(a: Stored, b: Stored, level: float) -> Row:
    if a.tries or b.tries:
        k = max(len(m.verdicts) for one in (a, b) if one.tries for m in one.marks)
        metric, score = f"solved within {k}", solves(k)
    else:
        metric, score = "avg", accuracy
    found = comparison.compare(b.marks, a.marks, score, level=level)
    own = [metrics.over_questions(one.marks, score, level) for one in (a, b)]
    return Row(a.benchmark, metric, own[0], own[1], found)


def as_text(found: Beside) -> str:
    """For people."""
    lines = [f"A: {found.models[0]}   B: {found.models[1]}"]
    for row in found.rows:
        sign, d = row.found.sign, row.found.difference
        lines += [
            f"{row.benchmark}, {row.metric}: {_percent(row.a)} -> {_percent(row.b)}",
            f"  B less A {_percent(d, signed=True)} ({d.n} questions in both, {d.level:.0%}): {row.found.verdict}",
            f"  better on {sign.better}, worse on {sign.worse}, equal on {sign.ties}; sign test p = {sign.p:.3g}",
        ]
        for side, names in (("A", row.found.only_old), ("B", row.found.only_new)):
            if names:
                lines.append(f"  only in {side}, and in no difference: {len(names)} questions ({', '.join(names[:_SHOWN])}, ...)")
    if len(found.rows) > 1:
        lines.append(f"after Holm's correction for {len(found.rows)} benchmarks: {', '.join(found.survive) or 'none'}")
    return "\n".join(lines)


def _percent(e: Estimate, *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    return f"{100 * e.value:{sign}.1f} [{100 * e.low:{sign}.1f}, {100 * e.high:{sign}.1f}]"


def as_json(found: Beside) -> dict[str, Any]:
    """For programs."""
    return {
        "schema": SCHEMA,
        "models": list(found.models),
        "survive": list(found.survive),
        "benchmarks": [_json(row) for row in found.rows],
    }


def _json(row: Row) -> Mapping[str, Any]:
    sign = row.found.sign
    return {
        "benchmark": row.benchmark,
        "metric": row.metric,
        "a": _estimate(row.a),
        "b": _estimate(row.b),
        "difference": _estimate(row.found.difference),
        "verdict": row.found.verdict,
        "p": row.found.p,
        "sign": {"better": sign.better, "worse": sign.worse, "ties": sign.ties, "p": sign.p},
        "only_a": list(row.found.only_old),
        "only_b": list(row.found.only_new),
    }


def _estimate(e: Estimate) -> dict[str, float]:
    return {"value": e.value, "low": e.low, "high": e.high, "n": e.n, "level": e.level}
