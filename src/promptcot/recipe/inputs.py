"""Rows from outside."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from promptcot.recipe.section import Strict


class Input(Strict):
    """Rows from outside."""

    path: str
    """`builtin:starter`, `champ`, `reasoning-gym:TASK`, a .jsonl or .parquet file, a folder, or a hub data set `hf:NAME`."""
    format: Literal[
        "auto", "native", "numina", "codeforces", "champ", "promptcot", "promptcot_self_play", "promptcot_pairs", "promptcot_sft"
    ] = "auto"
    """Which fields to expect; `auto` decides by the first row."""
    fields: dict[str, str] = {}
    """Our field name -> theirs, over the format's own map."""
    rows: int | None = Field(None, gt=0)
    """At most so many rows, drawn by family and spread over it."""
    split: str | None = None
    """Put all rows in this split instead of 60/20/20 by family; or, for a hub data set, see `hub_split`."""
    hub_split: str = "train"
    """The split of a hub data set to read."""
    license: str | None = None
    """For rows that bring none."""
    source: str | None = None
    """For rows that bring none; default: the path."""
    domain: Literal["math", "code"] | None = None
    """For rows that bring none; default: the recipe's."""
    rationales: float = Field(1.0, ge=0, le=1)
    """Keep the rationale of this share of the training rows; the rest enter EM as (c, x)."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value


class Inputs(Strict):
    """Where the run starts: rows given here take the place of the stage that would make them."""

    seeds: list[Input] = []
    """Human problems."""
    triples: list[Input] = []
    """Annotated seeds of your own."""
    concept_sets: list[Input] = []
    """Concepts and levels (or whole generator prompts) to synthesize from, instead of the sampler."""
    problems: list[Input] = []
    """Problems of your own, to be screened and what follows, instead of `synthesize`."""
    labels: list[Input] = []
    """Labels of your own."""
    attempts: list[Input] = []
    """Attempts of your own."""
    pairs: list[Input] = []
    """Right and wrong completions of one prompt: `self_play` then draws nothing and fits its solver on these (`method: dpo`)."""
    traces: list[Input] = []
    """Solutions to learn from: `distill` then asks no teacher and fits its student on these."""
