"""The stage that analyzes: what corpora are like, beside one another."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from promptcot.recipe.section import Sample, Strict


class Ladder(Strict):
    """How hard corpora are, to solvers from weak to strong."""

    solvers: list[str] = Field(["solver"], min_length=1)
    """Roles of `models`, the weakest first."""
    reference: str | None = None
    """The role whose answers count as right for every corpus, as in the paper (GPT-OSS-120B); null: each corpus's own answers and tests."""
    samples: int = Field(1, gt=0)
    """Attempts of each solver at a problem."""
    sample: Sample = Sample(temperature=0.6, top_p=0.95, max_tokens=4096)
    """How solvers and the reference sample."""
    chat: bool = True
    """Use the models' chat templates."""
    fallback: Literal["none", "marked", "last_number"] = "marked"
    """What stands for an answer that is not boxed: nothing, what follows `Final answer:` or the like, or the last number."""
    cpu_s: float = Field(10.0, gt=0)
    """Seconds of CPU for a program on a test; time by the clock may be ten times as much, so that load changes no verdict."""
    memory_mb: int = Field(1024, ge=16)
    """MiB of memory for a program on a test."""
    runner: str | None = None
    """Address of a server that runs programs (SandboxFusion) instead of this machine."""

    @model_validator(mode="after")
    def _distinct(self) -> Ladder:
        if len(set(self.solvers)) < len(self.solvers):
            raise ValueError("a solver is named twice")
        return self


class Analyze(Strict):
    """What corpora are like: difficulty, diversity, and a map. Every corpus is drawn uniformly, in equal numbers where that counts."""

    corpora: list[str] = ["problems", "seeds"]
    """`problems` (those that passed the screens) and `seeds` of this run, run folders, benchmarks by name, JSONL or parquet files."""
    rows: int = Field(1000, gt=3)
    """At most so many texts of each, chosen by hash of seed and id (the paper: 1,000)."""
    difficulty: Ladder | None = None
    """Attempts of solvers at them; null: none are made."""
    strip: bool = True
    """Leave out what the texts of a corpus have in common at their ends, such as a request to box the answer, before texts are compared."""
    halves: int = Field(200, gt=9)
    """Random halves of each corpus, for intervals and for the distance that chance alone makes."""
    novelty: int = Field(8, gt=0)
    """Words of the n-grams that count as new when no seed has them."""
    level: float = Field(0.95, gt=0.5, lt=1)
    """Of the intervals."""

    @model_validator(mode="after")
    def _distinct(self) -> Analyze:
        if len(set(self.corpora)) < len(self.corpora) or not self.corpora:
            raise ValueError("`corpora` names at least one, and none twice")
        return self
