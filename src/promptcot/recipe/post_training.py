"""The stages that train a better model on the problems."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from promptcot.recipe.section import Fit, Sample, Strict


class Band(Strict):
    """Which questions are worth training on, by how many of their attempts are right (the paper: at least one, and less than half)."""

    solved: int = Field(1, ge=1)
    """Least number of right attempts."""
    below: float = Field(0.5, gt=0, le=1)
    """The share of right attempts must be less than this."""


class SelfPlay(Strict):
    """The solver's own attempts at verified problems, and a better solver from them."""

    solver: str = "solver"
    """The role of `models` that attempts, and is trained."""
    rounds: int = Field(1, gt=0)
    """How often; each round draws from the newest solver."""
    attempts: int = Field(8, gt=1)
    """k, attempts a question (the paper: 8). No more are made of a question that can no longer be in the band."""
    wave: int = Field(4, gt=0)
    """How many attempts of each question are graded before more are drawn: a smaller wave saves more draws."""
    sample: Sample = Sample(temperature=1.2, max_tokens=4096)
    """How attempts are sampled (the paper: temperature 1.2 or 1.25, up to 81,920 tokens)."""
    chat: bool = True
    """Use the model's chat template."""
    human: float = Field(0.0, ge=0, le=1)
    """Wanted share of human problems among the questions: the run's training seeds with an answer or tests, chosen by hash. The paper's own
    mix has 0.30 for math and 0.60 for code. Where there are too few, all are taken; 1: human problems alone."""
    tasks: list[str] = []
    """Procedural tasks that give further questions: `reasoning-gym:TASK?size=100&key=value`."""
    rows: int | None = Field(None, gt=0)
    """At most so many questions, chosen by hash of seed and id, human ones in the same share as without a limit."""
    band: Band = Band()
    """Which questions are trained on."""
    form: Literal["think", "answer", "none"] = "none"
    """How an attempt must be built to be trained on. `answer`: it boxes an answer, or has a program in a closed code block. `think` (the
    paper): also exactly one `<think>...</think>`, with text inside and after; a tag that the chat template opens counts."""
    method: Literal["dpo", "sft", "none"] = "dpo"
    """How the solver is trained: on pairs of a right and a firmly wrong attempt; on right attempts alone (rejection sampling); or not at
    all, when only the pairs are wanted."""
    pairs: int = Field(4, gt=0)
    """`dpo`, `none`: at most so many pairs a question, each of two attempts that no other pair has (the paper: as many as there are)."""
    right: int = Field(4, gt=0)
    """`sft`: at most so many right attempts a question."""
    weigh: Literal["none", "learnability"] = "none"
    """The weight of a pair or right attempt: 1, or p (1 - p), where p is the question's share of right attempts."""
    beta: float = Field(0.1, gt=0)
    """`dpo`: how strongly the trained solver is held to the one that drew the attempts. The paper does not state its own; 0.1 is the value
    of the paper that introduced DPO (arXiv 2305.18290) and TRL's default."""
    fit: Fit = Fit(lr=1e-6)
    """How the solver is trained in a round (the paper: learning rate 1e-6, batch 16; for `sft` a larger rate is usual)."""
    fallback: Literal["none", "marked", "last_number"] = "marked"
    """What stands for an answer that is not boxed: nothing, what follows `Final answer:` or the like, or the last number."""
    cpu_s: float = Field(10.0, gt=0)
    """Seconds of CPU for a program on a test; time by the clock may be ten times as much, so that load changes no verdict."""
    memory_mb: int = Field(1024, ge=16)
    """MiB of memory for a program on a test."""
    runner: str | None = None
    """Address of a server that runs programs (SandboxFusion) instead of this machine."""

    @model_validator(mode="after")
    def _possible(self) -> SelfPlay:
        if self.band.solved / self.attempts >= self.band.below:
            raise ValueError("no number of right attempts is in the band: raise `attempts` or `band.below`, or lower `band.solved`")
        if self.method == "none" and self.rounds > 1:
            raise ValueError("`method: none` trains nothing, so a second round would draw from the same solver")
        return self
