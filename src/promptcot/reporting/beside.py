"""Two runs side by side, as one page: funnels, EM's bounds, the corpora, and their evaluations, paired by question."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from promptcot.evaluation.beside import Beside
from promptcot.intervals import student, wilson
from promptcot.recipe import Recipe
from promptcot.reporting import charts, page, wording
from promptcot.reporting.blocks import Block, Caution, Cell, Figure, Grid, Heading, Paragraph, Section
from promptcot.reporting.data import SHARE, TOKENS, Change, Estimate, ProblemRow, ReportData

MOST_CHANGES = 40


@dataclass(frozen=True)
class Side:
    """A run: what its own report shows, its recipe, its name."""

    name: str
    data: ReportData
    recipe: Recipe


def render(a: Side, b: Side, *, version: str, evaluated: Sequence[Beside] | str) -> str:
    """The page. `evaluated` is their comparison, or why there is none."""
    sides = (a, b)
    made = (_recipes(sides), _funnels(sides), _em(sides), _corpora(sides), _evaluation(evaluated))
    return page.document(
        "beside.html.j2",
        {"rows": 0, "size": 1, "chunks": {}},
        title=f"{a.name} and {b.name}",
        version=version,
        headline=_headline(evaluated, sides),
        names=(a.name, b.name),
        sections=[section for section in made if section is not None],
    )


def _headline(evaluated: Sequence[Beside] | str, sides: tuple[Side, Side]) -> str:
    if isinstance(evaluated, str):
        kept = [side.data.facts.kept for side in sides]
        if None in kept:
            return "Two runs beside each other; no evaluation of both can be paired."
        return f"{wording.counted(kept[0] or 0, 'problems')} in A, {wording.count(kept[1])} in B; no evaluation of both can be paired."
    first = evaluated[0].rows[0]
    size, verdict = wording.full(_share(first.found.difference, "questions"), signed=True), first.found.verdict
    says = {"gain": "B is better than A", "worse": "B is worse than A"}.get(verdict, "There is no evidence that B differs from A")
    rest = sum(len(one.rows) for one in evaluated) - 1
    return f"{says} on {first.benchmark}: {size}" + (f", and {wording.counted(rest, 'further comparisons')} below." if rest else ".")


def _recipes(sides: tuple[Side, Side]) -> Section:
    was, now = (dict(_leaves(side.recipe.model_dump(mode="json", by_alias=True), "")) for side in sides)
    keys = [key for key in sorted({*was, *now}) if was.get(key) != now.get(key)]
    rows = tuple((key, _said(was.get(key)), _said(now.get(key))) for key in keys[:MOST_CHANGES])
    if not rows:
        return Section("recipes", "What differs", (Paragraph("Both runs have the same recipe."),))
    more = [Paragraph(f"{len(keys) - MOST_CHANGES} further keys differ.", quiet=True)] if len(keys) > MOST_CHANGES else []
    return Section("recipes", "What differs", (Grid("Keys of the recipes that differ", ("Key", "A", "B"), rows), *more))


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else key)
    else:
        yield path, value


def _said(value: Any) -> Cell:
    return None if value is None else charts.short(str(value), 200)


def _funnels(sides: tuple[Side, Side]) -> Section | None:
    stages = list(dict.fromkeys(stage.name for side in sides for stage in side.data.funnel))
    if not stages:
        return None
    found = [{stage.name: stage for stage in side.data.funnel} for side in sides]
    rows = list[tuple[Cell, ...]]()
    for name in stages:
        of = [funnel.get(name) for funnel in found]
        rows.append((wording.stage(name), *(cell for stage in of for cell in ((stage.rows_in, stage.rows_out) if stage else (None, None)))))
        for reason in sorted({reason for stage in of if stage for reason in stage.dropped}):
            counts = [stage.dropped.get(reason, 0) if stage else None for stage in of]
            rows.append((f"  {wording.reason(reason)}", None, counts[0], None, counts[1]))
    head = ("Stage, and drops by reason", "A in", "A out", "B in", "B out")
    return Section("funnel", "What happened to the rows", (Grid("Rows in and out", head, tuple(rows)),))


def _em(sides: tuple[Side, Side]) -> Section | None:
    gains = [(f"{letter}: {side.data.em.rule}", side.data.em.gain) for letter, side in _lettered(sides) if side.data.em]
    shown = [(name, gain) for name, gain in gains if gain is not None]
    if not shown:
        return None
    rows = tuple((name, gain, gain.change.value if gain else "not measured") for name, gain in gains)
    return Section(
        "em",
        "EM against its own start",
        (
            Paragraph(
                "Each gain is the run's own: its best round against its cold start, on its own held-out problems and draws. Two bounds of "
                "different runs have different proposals, so the difference between the rows is no comparison of the generators."
            ),
            Figure("Gain over the start", "In nats per token of x, with the interval.", charts.intervals(shown, signed=True)),
            Grid("Gains", ("", "Gain over the start", "Verdict"), rows, frozenset({1})),
        ),
    )


def _lettered(sides: tuple[Side, Side]) -> list[tuple[str, Side]]:
    return list(zip("AB", sides, strict=True))


def _corpora(sides: tuple[Side, Side]) -> Section | None:
    kept = [[row for row in side.data.problems if row.dropped is None] for side in sides]
    written = [side.data.problems for side in sides]
    if not all(written):
        return None
    measures: list[tuple[str, Callable[[Sequence[ProblemRow]], Estimate | None]]] = [
        ("Words of a problem", lambda rows: _mean([float(len(row.problem.split())) for row in rows], "words")),
        ("Words of a rationale", lambda rows: _mean([float(len(row.rationale.split())) for row in rows if row.rationale], "words")),
        ("Tokens of both", lambda rows: _mean(_scores(rows, "tokens"), TOKENS)),
        ("Nats per token under its generator", lambda rows: _mean(_scores(rows, "nats per token"), "nats")),
        ("Labeled, of those tried", _labeled),
        ("Pass rate of the solver", lambda rows: _mean([row.pass_rate.value for row in rows if row.pass_rate], SHARE)),
    ]
    share = [wilson(len(own), len(all_)) for own, all_ in zip(kept, written, strict=True)]
    rows: list[tuple[Cell, ...]] = [("Kept, of all written", *(_share(e, "completions") for e in share))]
    rows += [(name, *found) for name, measure in measures if any(found := [measure(own) for own in kept])]
    blocks: list[Block] = [Grid("Kept problems", ("", "A", "B"), tuple(rows)), *_shared(kept)]
    blocks += [Heading("Levels"), _levels(kept)]
    cut = [side.data.problems_left_out for side in sides]
    if any(cut):
        blocks.append(Caution(f"The pages of these runs hold the first rows only: {cut[0]} and {cut[1]} rows are in no number here."))
    return Section("corpora", "The problems", tuple(blocks))


def _scores(rows: Sequence[ProblemRow], name: str) -> list[float]:
    return [float(value) for row in rows if isinstance(value := row.scores.get(name), float | int)]


def _mean(values: Sequence[float], unit: str) -> Estimate | None:
    if not values:
        return None
    e = student(values)
    return Estimate(
        e.value, e.low if math.isfinite(e.low) else None, e.high if math.isfinite(e.high) else None, e.n, unit, coverage=e.level
    )


def _labeled(rows: Sequence[ProblemRow]) -> Estimate | None:
    tried = [row.label for row in rows if row.label is not None]
    return _share(wilson(sum(bool(label.kind) for label in tried), len(tried)), "problems") if tried else None


def _share(e: Any, of: str) -> Estimate:
    return Estimate(e.value, e.low, e.high, e.n, SHARE, of, e.level)


def _shared(kept: Sequence[Sequence[ProblemRow]]) -> Iterator[Block]:
    texts = [{" ".join(row.problem.lower().split()) for row in own} for own in kept]
    names = [{concept for row in own for concept in row.concepts} for own in kept]
    both = len(names[0] & names[1])
    yield Paragraph(
        f"{wording.counted(len(texts[0] & texts[1]), 'problems')} stand in both, letter case and spacing aside. "
        f"A uses {wording.counted(len(names[0]), 'concepts')}, B {wording.count(len(names[1]))}; {wording.count(both)} are in both."
    )


def _levels(kept: Sequence[Sequence[ProblemRow]]) -> Grid:
    counts = [Counter(row.level or "none" for row in own) for own in kept]
    levels = sorted({*counts[0], *counts[1]}, key=lambda level: (-counts[0][level] - counts[1][level], level))
    return Grid("Kept problems by level", ("Level", "A", "B"), tuple((level, counts[0][level], counts[1][level]) for level in levels))


def _evaluation(evaluated: Sequence[Beside] | str) -> Section:
    if isinstance(evaluated, str):
        return Section("evaluation", "Evaluation", (Paragraph(f"There is nothing to compare: {evaluated}."),))
    return Section("evaluation", "Evaluation", tuple(block for found in evaluated for block in _pair(found)))


def _pair(found: Beside) -> list[Block]:
    rows = tuple(
        (
            f"{row.benchmark}, {row.metric}",
            _share(row.a, "questions"),
            _share(row.b, "questions"),
            _share(row.found.difference, "questions"),
            row.found.verdict,
            f"{row.found.sign.better} better, {row.found.sign.worse} worse, {row.found.sign.ties} equal; p = {row.found.sign.p:.3g}",
            "yes" if row.benchmark in found.survive else "no",
        )
        for row in found.rows
    )
    head = ("Benchmark", "A", "B", "B less A", "Verdict", "Sign test", "After Holm")
    shown = [(row.benchmark, _share(row.found.difference, "questions")) for row in found.rows]
    lead = (
        f"A is {found.models[0]}, B is {found.models[1]}. The difference is paired: on the questions that both were asked. "
        f"Holm's correction is for {wording.counted(len(found.rows), 'benchmarks')}."
    )
    blocks: list[Block] = [Paragraph(lead), Figure("B less A", "Paired, with the interval.", charts.intervals(shown, signed=True))]
    blocks.append(Grid("Scores", head, rows, frozenset({3})))
    for row in found.rows:
        if row.found.only_old or row.found.only_new:
            sides = f"{len(row.found.only_old)} questions only in A, {len(row.found.only_new)} only in B"
            blocks.append(Paragraph(f"{row.benchmark}: {sides}; they are in no difference.", quiet=True))
    if any(row.found.verdict == Change.WORSE for row in found.rows):
        blocks.insert(1, Caution("B is worse than A on at least one benchmark."))
    return blocks
