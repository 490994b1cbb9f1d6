"""What a section of the report is made of: paragraphs, grids of numbers, figures, passages of text.

    Section("difficulty", "How hard the problems are", (
        Paragraph("Pass rates of a ladder of solvers, 1,000 problems of each corpus."),
        Grid("Accuracy", ("Corpus", "Accuracy", "Tokens"), (("ours", Estimate(...), Estimate(...)), ...)),
        Figure("Difficulty bands", "Share of problems by pass rate.", figures.forest(...)),
    ))

Blocks are plain values: the page escapes every text and draws them alike everywhere, so a section needs no template, style or script.
"""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from promptcot.reporting.data import Estimate

Cell = str | int | Estimate | None
"""A text, a number of rows, a measured number (shown with its interval and n), or what was not measured."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading below the section's own."""

    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph; `quiet` ones qualify what stands before them."""

    text: str
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Caution:
    """What a reader of the section must not overlook; shown in red."""

    text: str


@dataclass(frozen=True, slots=True)
class Grid:
    """A table. The first cell of a row names the row; `signed` columns hold differences and print their sign."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    signed: frozenset[int] = frozenset()
    """Columns, counted from 0."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture made by `figures`, or by a function like those there: an SVG without inline styles, colored by classes of the page.

    The page lets readers save each as SVG and PNG."""

    title: str
    about: str
    """What it shows and how to read it, in a sentence."""
    svg: Markup
    wide: bool = False
    """Whether it takes the whole width."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A text, with what it is; `marks` are the spans `(start, end)` to point out, in characters, in order and apart."""

    label: str
    text: str
    marks: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Passages:
    """Texts that belong together, side by side, such as a problem and the test question that it repeats."""

    title: str
    parts: tuple[Passage, ...]
    detail: str = ""


Block = Heading | Paragraph | Caution | Grid | Figure | Passages


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the page. `name` is its address (`#name`): lower-case letters and hyphens."""

    name: str
    title: str
    blocks: tuple[Block, ...]
