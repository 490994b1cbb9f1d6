"""The stage that evaluates."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from promptcot.recipe.section import Sample, Strict

PAPER = Sample(temperature=0.6, top_p=0.95, max_tokens=4096)


class BenchmarkSpec(Strict):
    """A benchmark; what is left out is as for all of them."""

    name: str
    """One that `promptcot benchmarks` lists, `reasoning-gym:TASK?key=value`, or a JSONL file: `id, problem`, and `answer` or `tests`."""
    rows: int | None = Field(None, gt=0)
    """At most so many questions, chosen by hash of seed and id."""
    window: tuple[str, str] | None = None
    """LiveCodeBench: contest dates from the first (included) to the second (not included)."""
    samples: int | None = Field(None, gt=0)
    """Attempts a question."""
    tries: bool | None = None
    """Stop a question at its first correct attempt."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class Evaluate(Strict):
    """How good models are at benchmarks: attempts, verdicts, scores with their intervals."""

    benchmarks: list[BenchmarkSpec] = Field(min_length=1)
    """Which."""
    models: list[str] = Field(["solver"], min_length=1)
    """Roles of `models`, or `self_played` for the solver that `self_play` made; each makes its attempts at all benchmarks."""
    samples: int = Field(1, gt=0)
    """Attempts a question (the paper: 16 for contests, 1 for programs)."""
    rows: int | None = Field(None, gt=0)
    """At most so many questions of each benchmark, chosen by hash of seed and id."""
    sample: Sample = PAPER
    """How attempts are sampled; the paper's 0.6 and 0.95, but up to 81,920 tokens."""
    chat: bool = True
    """Use the model's chat template."""
    tries: bool = False
    """Draw one attempt after the other, and stop a question at its first correct one: what was solved within so many tries is the same as
    if all had been drawn; `avg` and `maj` are then not known."""
    k: list[int] = []
    """For pass@k and maj@k; empty: 1 and all samples."""
    fallback: Literal["none", "marked", "last_number"] = "marked"
    """What stands for an answer that is not boxed: nothing, what follows `Final answer:` or the like, or the last number."""
    level: float = Field(0.95, gt=0.5, lt=1)
    """Of the intervals."""
    cpu_s: float = Field(10.0, gt=0)
    """Seconds of CPU for a program on a test; time by the clock may be ten times as much, so that load changes no verdict."""
    memory_mb: int = Field(1024, ge=16)
    """MiB of memory for a program on a test."""
    runner: str | None = None
    """Address of a server that runs programs (SandboxFusion) instead of this machine."""
    corpus: list[str] = []
    """Training texts (JSONL) in which questions are looked for; the run's own seeds and problems always are."""
    ngram: int = Field(13, gt=1)
    """Length of a shared word n-gram that counts as overlap."""

    @model_validator(mode="after")
    def _distinct(self) -> Evaluate:
        names = [(b.name, b.window) for b in self.benchmarks]
        if len(set(names)) < len(names):
            raise ValueError("a benchmark is named twice")
        return self
