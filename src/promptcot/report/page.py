"""The report as one HTML file: no network, no unsafe inline code, and model text only ever as text.

Three walls stand between model text and the reader's browser. The template escapes everything, and the script inserts text nodes only.
The content-security policy names the one style and the one script by their hash, forbids everything else, and (trusted types)
makes the browser refuse to parse strings as HTML. And the data block cannot be left: `<`, `>` and `&` are JSON escapes in it.

    write(data, Path("runs/demo/report"), seed=0)   ->   runs/demo/report/index.html

To extend the page: add a field to `data`, a section to the template, and, if it is drawn, a function to `figures`.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import math
import os
import random
import re
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

import promptcot.report.figures as figures
import promptcot.report.wording as wording
from promptcot.report.blocks import Section
from promptcot.report.data import SHARE, Change, Estimate, ProblemRow, ReportData, RoundHealth

SCHEMA = 1
"""Version of the JSON in the page."""
DRAWN = 3
"""How many problems the first screen shows."""

TEMPLATES = ("template.html.j2", "numbers.html.j2", "blocks.html.j2")
"""The page and what it is made of."""

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def write(data: ReportData, folder: Path, *, seed: int, sections: Sequence[Section] = ()) -> Path:
    """Write `folder/index.html`, whole or not at all, and return its path. `seed` draws the problems of the first screen."""
    text = render(data, seed=seed, sections=sections)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "index.html"
    handle, name = tempfile.mkstemp(dir=folder, prefix=".index-", suffix=".html")
    try:
        with open(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, target)
    finally:
        Path(name).unlink(missing_ok=True)  # gone already, unless something above failed
    return target


def render(data: ReportData, *, seed: int, sections: Sequence[Section] = ()) -> str:
    """The page as text; the same data and seed give the same text."""
    style, script = _asset("report.css"), _asset("report.js")
    html = _template().render(
        data=data,
        sections=sections,
        kind=lambda block: type(block).__name__.lower(),
        is_estimate=lambda cell: isinstance(cell, Estimate),
        is_count=lambda cell: isinstance(cell, int),
        seed=seed,
        drawn=drawn(data.problems, seed),
        kept=sum(row.dropped is None for row in data.problems),
        policy=policy(style, script),
        style=Markup(style),
        script=Markup(script),
        payload=Markup(payload(data)),
        curves=_curves(data),
        scales=figures.scales(data.funnel),
        tiles=_tiles(data),
        reasons=sorted({name for stage in data.funnel for name in stage.dropped} & set(wording.REASONS)),
        verdict=data.em.gain.change if data.em and data.em.gain and data.em.rounds else None,
        Change=Change,
        figures=figures,
        say=wording,
    )
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", html)


def drawn(problems: tuple[ProblemRow, ...], seed: int) -> list[ProblemRow]:
    """Up to `DRAWN` kept problems. The draw depends on the seed and the set of problems, not on their order or content."""
    kept = sorted((row for row in problems if row.dropped is None), key=lambda row: row.id)
    return random.Random(seed).sample(kept, min(DRAWN, len(kept)))


def policy(style: str, script: str) -> str:
    """The content-security policy: nothing but this style, this script and images inside the page."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_source_hash(style)}'",
            f"script-src '{_source_hash(script)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def payload(data: ReportData) -> str:
    """All of `data` as JSON that is safe inside a script element: ASCII, and without `<`, `>` and `&`."""
    text = json.dumps({"schema": SCHEMA, **_finite(dataclasses.asdict(data))}, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _finite(value: Any) -> Any:
    """The value with `nan` and infinities as strings, which JSON has no numbers for."""
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case dict():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
        case _:
            return value


def _source_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _asset(name: str) -> str:
    return (resources.files("promptcot.report") / name).read_text(encoding="utf-8").replace("\r\n", "\n")


def _template() -> Any:
    parts = {name: _asset(name) for name in TEMPLATES}
    environment = Environment(loader=DictLoader(parts), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(TEMPLATES[0])


def _curves(data: ReportData) -> list[tuple[wording.Metric, str, Markup]]:
    """A metric, its unit and its figure, for every metric that some round measured."""
    if not data.rounds:
        return []
    best, numbers = data.em.best if data.em else None, [row.round for row in data.rounds]
    rounds = range(min(numbers), max(numbers) + 1)
    measured = [(metric, points) for metric in wording.METRICS if (points := _points(data.rounds, metric))]
    drawn = [(metric, points[0][1].unit, figures.curve(metric, points, rounds, best=best)) for metric, points in measured]
    return [(metric, "" if unit == SHARE else unit, drawing) for metric, unit, drawing in drawn if drawing]


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
