"""The sections of the report that a stage brings with it: one module each, shown only where a run has its data.

To add one: a module here with a function `section(tables: RunTables) -> Section | None`, which turns a run's tables into blocks and returns
None where they are absent, and its line in `SECTIONS`, which is the order of the page. `post_training` is an example.
"""

from __future__ import annotations

from collections.abc import Callable

from promptcot.reporting.blocks import Section
from promptcot.reporting.run_tables import RunTables
from promptcot.reporting.sections import analysis, post_training, screening, trial

SECTIONS: tuple[Callable[[RunTables], Section | None], ...] = (
    screening.section,
    analysis.section,
    post_training.section,
    trial.section,
)
"""In the order of the page. They stand between the problems and the evaluation."""


def made(tables: RunTables) -> tuple[Section, ...]:
    """The sections whose data the run has."""
    return tuple(section for make in SECTIONS if (section := make(tables)) is not None)
