"""The report: a page, and beside it the data that it loads when it is wanted. No network, and model text only ever as text.

Four walls stand between model text and the reader's browser. The template escapes everything, and the script inserts text nodes only. The
content-security policy names the one style and the one script by their hash; further scripts run only where that script asks for them, and
it asks for those of `chunks` alone. Trusted types make the browser refuse to parse strings as HTML. And no data block can be left: `<`, `>`
and `&` are escapes in all of them.

    write(data, Path("runs/demo/report"), seed=0)   ->   runs/demo/report/index.html, runs/demo/report/data/

To extend the page: a section (`sections`), or a field of `data`, its place in the template, and, if it is drawn, a function of `figures`.
"""

from __future__ import annotations

import base64
import hashlib
import random
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

import promptcot.reporting.charts as charts
import promptcot.reporting.chunks as chunks
import promptcot.reporting.figures as figures
import promptcot.reporting.flow as flow
import promptcot.reporting.wording as wording
from promptcot.reporting.blocks import Section
from promptcot.reporting.data import SHARE, Change, Estimate, ProblemRow, ReportData, RoundHealth

SCHEMA = 2
"""Version of the JSON in the page and beside it."""
SCRIPTS = ("elements", "theme", "chunks", "typeset", "figures", "reader", "explorer", "flow")
STYLES = ("page", "sections", "explorer", "paper")
KATEX = "katex"
DRAWN = 3
"""How many problems the first screen shows."""

TEMPLATES = ("shell.html.j2", "template.html.j2", "beside.html.j2", "numbers.html.j2", "blocks.html.j2")
"""The pages and what they are made of."""

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def write(data: ReportData, folder: Path, *, seed: int, sections: Sequence[Section] = ()) -> Path:
    """Write `folder/index.html` and its data, each file whole or not at all, and return the page's path.

    `seed` draws the problems of the first screen. Data comes first, what former reports left goes last: a page never lacks its own."""
    writer = chunks.Writer(folder)
    if data.problems:
        for name, rows in chunks.rows(data.problems):
            writer.add(name, rows)
        writer.add("columns", chunks.columns(data.problems))
        writer.put("katex", asset("katex/katex.min.js"))
        writer.add("katex-style", formula_style())
    for number, part in enumerate(chunks.parts(data.parts, data.problems)):
        writer.add(f"part-{number}", part)
    page = folder / "index.html"
    chunks.write_whole(page, render(data, seed=seed, sections=sections, names=writer.names).encode())
    writer.sweep()
    return page


def render(data: ReportData, *, seed: int, sections: Sequence[Section] = (), names: Mapping[str, str] | None = None) -> str:
    """The page as text; the same data and seed give the same text. `names`: the chunks beside it, by name."""
    places = {(part.stage, part.reason): number for number, part in enumerate(data.parts)}
    return document(
        "template.html.j2",
        {"rows": len(data.problems), "size": chunks.ROWS, "chunks": dict(names or {})},
        data=data,
        sections=sections,
        seed=seed,
        drawn=drawn(data.problems, seed),
        kept=sum(row.dropped is None for row in data.problems),
        curves=_curves(data),
        score_chart=_score_chart(data),
        pictures=[flow.flow(data.funnel, places, form) for form in (flow.WIDE, flow.NARROW)],
        tiles=_tiles(data),
        reasons=sorted({name for stage in data.funnel for name in stage.dropped} & set(wording.REASONS)),
        verdict=data.em.gain.change if data.em and data.em.gain and data.em.rounds else None,
        Change=Change,
    )


def document(template: str, facts: Mapping[str, Any], **values: Any) -> str:
    """A template of the report as a page, with its style, script, policy and `facts`, which its script reads."""
    style = "\n".join(asset(f"style/{name}.css") for name in STYLES)
    script = '"use strict";\n(() => {\n' + "\n".join(asset(f"script/{name}.js") for name in SCRIPTS) + "})();\n"
    html = _template(template).render(
        policy=policy(style, script),
        style=Markup(style),
        script=Markup(script),
        payload=Markup(payload(facts)),
        kind=lambda block: type(block).__name__.lower(),
        is_estimate=lambda cell: isinstance(cell, Estimate),
        is_count=lambda cell: isinstance(cell, int),
        figures=figures,
        say=wording,
        **values,
    )
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", html)


def drawn(problems: tuple[ProblemRow, ...], seed: int) -> list[ProblemRow]:
    """Up to `DRAWN` kept problems. The draw depends on the seed and the set of problems, not on their order or content."""
    kept = sorted((row for row in problems if row.dropped is None), key=lambda row: row.id)
    return random.Random(seed).sample(kept, min(DRAWN, len(kept)))


def policy(style: str, script: str) -> str:
    """The content-security policy: nothing but this style, this script and what it loads, images and fonts inside the page."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_source_hash(style)}'",
            f"script-src '{_source_hash(script)}' 'strict-dynamic'",
            "img-src data:",
            "font-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types promptcot",
        )
    )


def payload(facts: Mapping[str, Any]) -> str:
    """JSON that is safe inside a script element: ASCII, and without `<`, `>` and `&`."""
    text = chunks.as_json({"schema": SCHEMA, **facts})
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def formula_style() -> str:
    """KaTeX's style with its fonts inside, since fonts of other files are refused to a page that is opened from a folder."""
    fonts = resources.files("promptcot.reporting") / KATEX / "fonts"

    def inside(found: re.Match[str]) -> str:
        raw = base64.b64encode((fonts / f"{found[1]}.woff2").read_bytes()).decode()
        return f'src:url(data:font/woff2;base64,{raw}) format("woff2")'

    return re.sub(r"src:url\(fonts/([\w-]+)\.woff2\)[^}]*", inside, asset("katex/katex.min.css"))


def _source_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def asset(name: str) -> str:
    """A text file of this package."""
    return (resources.files("promptcot.reporting") / name).read_text(encoding="utf-8").replace("\r\n", "\n")


def _template(name: str) -> Any:
    parts = {name: asset(name) for name in TEMPLATES}
    environment = Environment(loader=DictLoader(parts), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(name)


def _curves(data: ReportData) -> list[tuple[wording.Metric, str, Markup]]:
    """A metric, its unit and its figure, for every metric that some round measured."""
    if not data.rounds:
        return []
    best, numbers = data.em.best if data.em else None, [row.round for row in data.rounds]
    rounds = range(min(numbers), max(numbers) + 1)
    measured = [(metric, points) for metric in wording.METRICS if (points := _points(data.rounds, metric))]
    drawn = [(metric, points[0][1].unit, figures.curve(metric, points, rounds, best=best)) for metric, points in measured]
    return [(metric, "" if unit == SHARE else unit, drawing) for metric, unit, drawing in drawn if drawing]


def _score_chart(data: ReportData) -> Markup:
    """The first score of every evaluation beside one another; empty for fewer than two, which need no picture."""
    first = [(one, next(iter(one.scores.values()))) for one in data.evaluations if one.scores]
    models, benchmarks = {one.model for one, _ in first}, {one.benchmark for one, _ in first}
    shares = [
        (", ".join(name for name, told in ((one.benchmark, len(benchmarks) > 1), (one.model, len(models) > 1)) if told) or one.model, e)
        for one, e in first
        if e.unit == SHARE
    ]
    return charts.intervals(shares) if len(shares) > 1 else Markup("")


def _points(rounds: tuple[RoundHealth, ...], metric: wording.Metric) -> list[figures.Point]:
    measured = ((row.round, getattr(row, metric.field)) for row in rounds)
    return [(number, estimate) for number, estimate in measured if estimate is not None]


def _tiles(data: ReportData) -> list[tuple[str, str, str]]:
    """Label, number and remark of every tile whose number is known."""
    facts = data.facts
    counts = (
        ("Human problems", facts.seeds, f"{wording.count(facts.train)} to train on" if facts.train is not None else ""),
        ("Annotated", facts.triples, "with concepts and rationale"),
        ("Concept sets", facts.concept_sets, "to design problems from"),
        ("Written", facts.written, "completions of the generator"),
        ("Kept", facts.kept, f"of {wording.count(facts.written)} written" if facts.written is not None else "passed every screen"),
    )
    tiles = [(label, wording.count(n), remark) for label, n, remark in counts if n is not None]
    seconds = facts.seconds
    return tiles if seconds is None else [*tiles, ("Work", wording.duration(seconds), wording.cost(facts))]
