"""What the screens saw: evaluation texts that problems touch, side by side; how valid problems are; who is near to whom in meaning."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence

from promptcot.records import Neighbors, Problem, Resemblance, Validity
from promptcot.reporting.blocks import Block, Grid, Heading, Paragraph, Passage, Passages, Section
from promptcot.reporting.data import SHARE, Estimate
from promptcot.reporting.run_tables import RunTables

SHOWN = 10
"""Pairs of texts that are shown; the tables hold all."""
SHOWN_TEXT = 1_500
"""Characters of a text that are shown."""


def section(tables: RunTables) -> Section | None:
    """What stands beside the screens' drops; None for a run without any of it."""
    blocks = (*_contamination(tables), *_validity(tables), *_neighbors(tables))
    return Section("evidence", "What the screens saw", blocks) if blocks else None


def _contamination(tables: RunTables) -> Iterator[Block]:
    found = tables.rows("screen/resemblances", Resemblance)
    if not found:
        return
    yield Heading("Evaluation texts that problems touch")
    yield Paragraph("A problem that repeats an evaluation text goes; one that shares a shorter run of words with it stays, and is shown.")
    counts = Counter((row.benchmark, row.rule, row.decisive) for row in found)
    rows = [(benchmark, rule, n, "yes" if decisive else "no") for (benchmark, rule, decisive), n in sorted(counts.items())]
    yield Grid("Pairs of a problem and an evaluation text", ("Evaluation set", "Rule", "Pairs", "The problem goes"), tuple(rows))
    worst = sorted(found, key=lambda row: (not row.decisive, -sum(map(len, row.runs)), row.id))
    yield from map(_side_by_side, worst[:SHOWN])
    if len(found) > SHOWN:
        yield Paragraph(f"{SHOWN} of {len(found)} pairs; `promptcot rows DIR screen/resemblances` prints all.", quiet=True)


def _side_by_side(row: Resemblance) -> Passages:
    blocks = json.loads(row.blocks)
    ours = Passage("problem", row.ours[:SHOWN_TEXT], _within([(b[0], b[1]) for b in blocks]))
    if row.theirs:
        theirs = Passage(f"{row.benchmark}, text {row.text}", row.theirs[:SHOWN_TEXT], _within([(b[2], b[3]) for b in blocks]))
    else:
        theirs = Passage(f"{row.benchmark}, text {row.text}", "Only hashes of this text are known. Shared: " + " … ".join(row.runs))
    why = f"rule {row.rule}; " + ("the problem goes" if row.decisive else "reported only")
    return Passages(row.problem[:12], (ours, theirs), why)


def _within(spans: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """In order, apart, and cut where the text is."""
    kept: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        first, last = max(start, kept[-1][1] if kept else 0), min(end, SHOWN_TEXT)
        if first < last:
            kept.append((first, last))
    return tuple(kept)


def _validity(tables: RunTables) -> Iterator[Block]:
    found = [row for step in ("screen/validity", "label/validity") for row in tables.rows(step, Validity)]
    if not found:
        return
    yield Heading("Are the problems valid?")
    yield Paragraph("A hard problem and one without a solution both go unsolved, so no difficulty means much without this.")
    rows = [(row.basis, Estimate(row.value, row.low, row.high, row.n, SHARE, "problems", row.level), row.meaning) for row in found]
    yield Grid("Share of valid problems, by what is known", ("Known by", "Share", "Of what"), tuple(rows))


def _neighbors(tables: RunTables) -> Iterator[Block]:
    found = [row for row in tables.rows("screen/neighbors", Neighbors) if row.nearest or row.human]
    if not found:
        return
    texts = {row.id: row.problem for row in tables.rows("screen", Problem)}
    yield Heading("Nearest in meaning")
    yield Paragraph(f"By embedding, of {len(found)} kept problems. Nothing is dropped for it: the same skill may be asked twice.")
    closest = sorted(found, key=lambda row: (-row.cosine, row.id))[:SHOWN]
    pairs = {tuple(sorted((row.problem, row.nearest))): row for row in closest if row.nearest}
    rows = [(_short(texts, row.problem), _short(texts, row.nearest), f"{row.cosine:.2f}") for row in pairs.values()]
    yield Grid("Problems closest to one another", ("Problem", "Its neighbor", "Cosine"), tuple(rows))


def _short(texts: dict[str, str], name: str) -> str:
    text = " ".join(texts.get(name, name).split())
    return text if len(text) <= 160 else f"{text[:159]}…"
