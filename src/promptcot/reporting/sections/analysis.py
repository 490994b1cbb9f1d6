"""What corpora are like: how hard, how diverse, and the map of them; the numbers are those of the stage `analyze`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from promptcot.analysis.difficulty import BANDS
from promptcot.analysis.shown import APART, PERCENT, title
from promptcot.records import CorpusFigure, MapPoint
from promptcot.reporting import charts
from promptcot.reporting.blocks import Block, Cell, Figure, Grid, Heading, Paragraph, Section
from promptcot.reporting.data import SHARE, TOKENS, Estimate
from promptcot.reporting.run_tables import RunTables

DIVERSE = ("distinct", "spread", "novelty", "concepts", "new_pairs")
WELL = ("well_posed", "valid")
NAMES = {
    "well_posed": "Well-posed",
    "valid": "Valid, by the strongest evidence",
    "accuracy": "Accuracy",
    "tokens": "Tokens",
    "disagreement": "Disagreement",
}


def section(tables: RunTables) -> Section | None:
    """Difficulty, diversity and the map; None for a run without an analysis."""
    figures = tables.rows("analyze/figures", CorpusFigure)
    apart = tables.rows("analyze/distances", CorpusFigure)
    blocks = (*_difficulty(figures), *_diversity(figures), *_map(tables.rows("analyze/map", MapPoint), apart))
    return Section("corpora", "The corpora", blocks) if blocks else None


def _difficulty(figures: Sequence[CorpusFigure]) -> Iterator[Block]:
    well = [f for f in figures if f.metric in WELL]
    hard = [f for f in figures if f.model or f.metric == "first"]
    if not well:
        return
    yield Heading("Difficulty")
    yield Paragraph(
        "No number about difficulty tells hard from ill-posed, so the share of well-posed problems stands beside it. That share is by rules"
        " over the wording, which see neither contradictions nor missing facts: read it as an upper bound."
    )
    solvers = list(dict.fromkeys(f.model for f in hard if f.metric in ("accuracy", "tokens")))
    columns = [("well_posed", ""), ("valid", ""), *((metric, s) for s in solvers for metric in ("accuracy", "tokens", "disagreement"))]
    heads = [NAMES[metric] + (f", {solver}" if solver else "") for metric, solver in columns]
    yield _grid("Corpora and solvers", figures, columns, heads)
    for solver in solvers:
        bands = [(name, solver) for name in BANDS]
        if any(f.metric in BANDS and f.model == solver for f in figures):
            yield _grid(f"Problems by the share of attempts that {solver} gets right", figures, bands, list(BANDS))
    firsts = [("first", solver) for solver in [*solvers, ""]]
    if any(f.metric == "first" for f in figures) and len(solvers) > 1:
        yield _grid("Who solves a problem first", figures, firsts, [*solvers, "none of them"])
    rates = [(f"{f.corpus}, {f.model}", _estimate(f)) for f in figures if f.metric == "accuracy"]
    if rates:
        yield Figure("Accuracy", "Each corpus and solver, with its interval over problems.", charts.intervals(rates))


def _diversity(figures: Sequence[CorpusFigure]) -> Iterator[Block]:
    found = [f for f in figures if f.metric in DIVERSE]
    if not found:
        return
    columns = list(dict.fromkeys((f.metric, f.k) for f in sorted(found, key=lambda f: (DIVERSE.index(f.metric), f.k))))
    heads = [title(next(f for f in found if (f.metric, f.k) == column)).capitalize() for column in columns]
    own = {(f.corpus, f.metric, f.k): f for f in found}
    rows = [(corpus, *(_cell(own.get((corpus, *column))) for column in columns)) for corpus in dict.fromkeys(f.corpus for f in found)]
    yield Heading("Diversity")
    yield Paragraph(
        "Distinct n-grams and the spread of embeddings are of equally many texts of each corpus, drawn at random; templates at the ends of"
        " texts are left out first."
    )
    yield Grid("Diversity of the corpora", ("", *heads), tuple(rows))


def _map(points: Sequence[MapPoint], apart: Sequence[CorpusFigure]) -> Iterator[Block]:
    if not apart:
        return
    yield Heading("The map")
    yield Paragraph(
        "A corpus is the mean of its texts' embeddings; two are as far apart as 1 less the cosine. Two random halves of one corpus are"
        " apart as well, as the column By chance says; the corrected distance does not depend on how many texts were drawn."
    )
    pairs = list(dict.fromkeys((f.corpus, f.against) for f in apart))
    own = {(f.corpus, f.against, f.metric): f for f in apart}
    rows = [(f"{a} and {b}", *(_cell(own.get((a, b, metric))) for metric in APART)) for a, b in pairs]
    yield Grid("Distances", ("", "Distance", "By chance", "Corrected"), tuple(rows))
    groups = [charts.Group(name, tuple((p.x, p.y) for p in points if p.corpus == name)) for name in dict.fromkeys(p.corpus for p in points)]
    about = "Classical MDS of the distances. A corpus is the cloud of where random halves of it would stand."
    yield Figure("Map of the corpora", about, charts.plane(groups, joined=False, x_name="", y_name="", square=True))


def _grid(caption: str, figures: Sequence[CorpusFigure], columns: Sequence[tuple[str, str]], heads: Sequence[str]) -> Grid:
    """A row for each corpus, a column for each (metric, model) that any corpus has."""
    own = {(f.corpus, f.metric, f.model): f for f in figures}
    corpora = list(dict.fromkeys(f.corpus for f in figures))
    kept = [(column, head) for column, head in zip(columns, heads, strict=True) if any((corpus, *column) in own for corpus in corpora)]
    rows = tuple((corpus, *(_cell(own.get((corpus, *column))) for column, _ in kept)) for corpus in corpora)
    return Grid(caption, ("", *(head for _, head in kept)), rows)


def _cell(f: CorpusFigure | None) -> Cell:
    return None if f is None or not math.isfinite(f.value) else _estimate(f)


def _estimate(f: CorpusFigure) -> Estimate:
    low, high = (end if math.isfinite(end) else None for end in (f.low, f.high))
    unit = SHARE if f.metric in PERCENT else TOKENS if f.metric == "tokens" else ""
    return Estimate(f.value, low, high, f.n, unit, "texts", f.level)
