"""Reading a run: its stages' state, a step's rows and drops, and the lineage of one row. Nothing here writes."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from promptcot.budgets import readings
from promptcot.durable import read_json
from promptcot.errors import UsageError
from promptcot.metering import by_stage, spent
from promptcot.planning.corpus import Rows
from promptcot.recipe import Recipe
from promptcot.recipes import validate
from promptcot.records import ConceptSet, Dropped, Pair, Problem, Question, Record, Seed, Trace, Triple
from promptcot.stages import STAGES, active, kept_step
from promptcot.store import Run, entries_in
from promptcot.tables import from_table, schema_of
from promptcot.usage import Usage, total

SCHEMA = 1


@dataclass(frozen=True)
class StepStatus:
    """One step: `done`, `partial` or `absent`, with its counts so far."""

    name: str
    state: str
    rows_in: int = 0
    rows_out: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    kept: bool = False


def recipe_of(run: Run) -> Recipe:
    """The recipe stored in a run."""
    return validate(run.recipe, str(run.path / "run.json"))


def steps(run: Run) -> list[StepStatus]:
    """Every step begun, in the order of the data."""
    order = {name: place for place, name in enumerate(STAGES)}
    names = sorted(run.steps(), key=lambda name: order.get(name.split("/")[0], len(order)))
    return [_step(run, name) for name in names]


def _step(run: Run, name: str) -> StepStatus:
    manifest, kept = run.manifest(name), run.kept(name) is not None
    if manifest is not None:
        return StepStatus(name, "done", manifest.rows_in, manifest.rows_out, dict(manifest.dropped), manifest.seconds, kept)
    folder = run.path / name / (run.current(name) or "-")
    entries = list(entries_in(folder).values())
    reasons: Counter[str] = Counter()
    for entry in entries:
        reasons.update(entry.dropped)
    counts = (sum(e.rows_in for e in entries), sum(e.rows_out for e in entries))
    return StepStatus(name, "partial", *counts, dict(reasons), sum(e.seconds for e in entries), kept)


def status(run: Run) -> dict[str, Any]:
    """The run's state for people and scripts: stages with the counts of the table that bears their name (else of their last one), and the
    steps below them; what each has used, for former results too, and how much of the budget that is."""
    found, used, recipe = steps(run), spent(run), recipe_of(run)
    of_stages, stages = by_stage(used), []
    for stage in active(recipe):
        below = [s for s in found if s.name.split("/")[0] == stage]
        tables = [s for s in below if s.rows_in]
        own = next((s for s in tables if s.name == stage), None)
        last = own or tables[-1] if tables else StepStatus(stage, "absent")
        finished = _complete(run, stage) and all(s.state == "done" for s in below)
        state = "done" if finished else "partial" if below else "absent"
        stages.append(
            {
                "name": stage,
                "state": state,
                "rows_in": last.rows_in,
                "rows_out": last.rows_out,
                "dropped": last.dropped,
                "seconds": round(sum(s.seconds for s in below), 1),
                "usage": of_stages.get(stage, Usage()).to_json(),
                "steps": [{**s.__dict__, "usage": used[s.name].to_json()} for s in below],
            }
        )
    budget = [{"limit": r.key, "used": r.used, "allowed": r.allowed} for r in readings(recipe.budget, of_stages)]
    return {"schema": SCHEMA, "stages": stages, "usage": total(used.values()).to_json(), "budget": budget}


def _complete(run: Run, stage: str) -> bool:
    """Whether a stage's end is marked: the pipeline notes it when the stage returns."""
    return stage in read_json(run.path / "stages.json").get("done", []) if (run.path / "stages.json").is_file() else False


def table(run: Run, name: str, *, dropped: bool = False) -> pa.Table:
    """The rows (or drops) of a step; a stage's name stands for its last table. Raises `UsageError` naming what there is."""
    names = [s.name for s in steps(run)]
    match = name if name in names else next((n for n in reversed(names) if n.split("/")[0] == name and _parts(run, n, "part")), None)
    if match is None:
        raise UsageError(f"no step `{name}` in this run", where=str(run.path), remedy=f"steps here: {', '.join(names)}")
    files = _parts(run, match, "dropped" if dropped else "part")
    if dropped and not files:
        return schema_of(Dropped).empty_table()
    return pa.concat_tables([pq.read_table(path) for path in files]) if files else pa.table({})


LATER: dict[str, tuple[str, type[Record]]] = {
    "questions": ("self_play/questions", Question),
    "pairs": ("pairs", Pair),
    "traces": ("traces", Trace),
}
"""The rows that post-training works on: step and class by their field in `Rows`."""


def rows_of(run: Run) -> Rows | None:
    """The triples (or, before annotation, the seeds), given concept sets, kept problems and rows of post-training that a
    run has so far; None without any."""

    def rows(name: str, record: type[Record]) -> list[Any]:
        files = _parts(run, name, "part") if run.manifest(name) is not None else []
        return [row for path in files for row in from_table(pq.read_table(path), record)]

    recipe, triples = recipe_of(run), rows("annotate", Triple)
    sets = rows("synthesize/concept_sets", ConceptSet) if recipe.inputs.concept_sets else []
    last = kept_step(recipe)
    kept = rows(last, Problem) if run.manifest(last) is not None else None
    made = {key: rows(step, record) if run.manifest(step) is not None else None for key, (step, record) in LATER.items()}
    found = Rows(() if triples or recipe.annotate is None else rows("seeds", Seed), triples, sets, kept, **made)
    known = [kept, *made.values()]
    return found if triples or found.seeds or sets or any(one is not None for one in known) else None


def _parts(run: Run, name: str, kind: str) -> list[Path]:
    folder = run.path / name / (run.current(name) or "-")
    return [path for path in sorted(folder.glob(f"{kind}-*.parquet")) if (folder / f"shard-{path.stem.split('-')[1]}.json").is_file()]


@dataclass(frozen=True)
class Found:
    """A row, the step it lies in, and whether it was dropped there."""

    step: str
    dropped: bool
    row: dict[str, Any]


def explain(run: Run, prefix: str) -> list[Found]:
    """The lineage of the row whose id starts with `prefix`, the row first, then its ancestors. Raises `UsageError`."""
    files = [
        (step.name, kind == "dropped", path) for step in steps(run) for kind in ("part", "dropped") for path in _parts(run, step.name, kind)
    ]
    hits = {row["id"] for *_, path in files for row in _where(path, pc.starts_with(pc.field("id"), prefix), ["id"])}
    if len(hits) != 1:
        some = ", ".join(sorted(hits)[:5])
        raise UsageError(f"{len(hits)} rows have an id that starts with `{prefix}`" + (f": {some}" if hits else ""), where=str(run.path))
    lineage, generation, seen = list[Found](), hits, set[str]()
    while generation:
        seen |= generation
        wanted = pc.field("id").isin(sorted(generation))
        born = [Found(step, dropped, row) for step, dropped, path in files for row in _where(path, wanted)]
        lineage += born
        generation = {parent for found in born for parent in found.row["parents"]} - seen
    return lineage


def _where(path: Path, condition: pc.Expression, columns: list[str] | None = None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path, columns=columns, filters=condition).to_pylist()
    return rows


def shown(row: dict[str, Any]) -> str:
    """A row as readable JSON, long lists of numbers left out."""
    short = {k: f"[{len(v)} numbers]" if isinstance(v, list) and len(v) > 8 and not isinstance(v[0], str) else v for k, v in row.items()}
    return json.dumps(short, ensure_ascii=False, indent=1)
