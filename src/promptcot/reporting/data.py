"""What the report shows, as plain values: nothing here knows where they came from, and nothing on the page comes from elsewhere.

`ReportData` is the whole page. A number measured on a sample is an `Estimate` and carries n and its interval; a number of rows
is an `int`. What a run did not measure is None (or empty) and shows as such: absent is never zero.

Every text may be hostile: the page treats all of it as text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

SHARE = "share"
"""Unit of a ratio in [0, 1]; printed in percent."""
NATS = "nats per token of x"
"""Unit of the bound and of its differences."""
TOKENS = "tokens"
"""Unit of lengths."""


class Change(StrEnum):
    """What an interval says about a paired difference."""

    GAIN = "gain"  # wholly above 0
    WORSE = "worse"  # wholly below 0
    NO_EVIDENCE = "no evidence"  # contains 0, or there is no interval


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number measured on `n` units, with its interval."""

    value: float
    """In `unit`."""
    low: float | None
    """Lower end; None where no interval can be formed (one unit, or an exhaustive count)."""
    high: float | None
    """Upper end."""
    n: int
    """How many units it was measured on."""
    unit: str = ""
    """`SHARE`, `NATS`, `TOKENS` or words of your own."""
    of: str = "problems"
    """What the n units are."""
    coverage: float = 0.9
    """Nominal coverage of the interval."""

    @property
    def change(self) -> Change:
        """What it says if it is a difference."""
        if self.low is not None and self.low > 0:
            return Change.GAIN
        if self.high is not None and self.high < 0:
            return Change.WORSE
        return Change.NO_EVIDENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Row counts of the headline. None: the run has no such stage."""

    seeds: int | None = None
    """Human problems read."""
    train: int | None = None
    """Seeds in the training split."""
    triples: int | None = None
    """Annotated seeds (c, z, x)."""
    concept_sets: int | None = None
    """Concept sets to write for."""
    written: int | None = None
    """Completions of p for them."""
    kept: int | None = None
    """Problems that passed every screen."""
    seconds: float | None = None
    """Work of all steps, the fits included."""
    tokens: int | None = None
    """Tokens read, written and trained on for the run; None or 0: none were counted."""
    usd: float = 0.0
    """US dollars spent, by the recipe's prices."""
    gpu_hours: float = 0.0
    """Hours times accelerators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmSummary:
    """EM in one comparison: the bound after EM minus the bound before, paired on held-out problems."""

    rule: str
    """How candidates were weighed."""
    candidates: int
    """Rationales drawn per training problem and round."""
    rounds: int
    """Rounds that were run; 0 means the generator is its start."""
    best: int
    """The round whose generator goes on; 0 is the start."""
    gain: Estimate | None
    """IWAE-`k` of `compared` minus that of round 0, in `NATS`; None where nothing was compared."""
    compared: int
    """The round `gain` speaks of."""
    k: int
    """Draws per problem in the bound."""
    split: str = "dev"
    """Whose problems: `dev` also chose the round, `test` was read once."""
    ended: str = ""
    """Why EM ended, as a sentence; empty: all rounds were run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundHealth:
    """One round of EM. Round 0 is the cold start: it has a bound and shares of its own, and no difference."""

    round: int
    rule: str = ""
    against: int = 0
    """The best round so far, which `bound_delta` compares with."""
    k: int = 1
    """Draws per problem in the bound."""
    bound_new: Estimate | None = None
    """IWAE-k of this round's generator, `NATS`."""
    bound_best: Estimate | None = None
    """IWAE-k of round `against` under the same proposal, `NATS`."""
    bound_delta: Estimate | None = None
    """`bound_new` minus `bound_best`, paired, `NATS`."""
    ess: Estimate | None = None
    """Effective sample size of the weights, out of the K candidates."""
    tau: Estimate | None = None
    """Tempering exponent of the weights, in (0, 1]."""
    leak_rate: Estimate | None = None
    """Share of candidates that repeat the problem."""
    rationale_length: Estimate | None = None
    """Tokens per candidate."""
    distinct: Estimate | None = None
    """Share of distinct candidates of a problem."""
    valid: Estimate | None = None
    """Share of candidates that ended and parse."""
    own_minus_shuffled_rationale: Estimate | None = None
    """log p(x|z,c) minus log p(x|z',c), z' of another problem, `NATS`."""
    own_minus_shuffled_concepts: Estimate | None = None
    """The same with another problem's concepts, `NATS`."""
    decision: str = ""
    """What followed from the round, as a short phrase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelStage:
    """One stage: rows in, rows out, and every row lost with its reason."""

    name: str
    rows_in: int
    rows_out: int
    dropped: dict[str, int] = field(default_factory=dict)
    """Reason (a `Drop`) to rows."""
    seconds: float | None = None
    """Work, summed over workers."""
    makes: str = "rows"
    """What comes out, in the plural."""


@dataclass(frozen=True, slots=True)
class PartRow:
    """A row that a part of the flow picture lists."""

    id: str
    text: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRows:
    """What went one way at one stage: on (`reason` is empty), or out for a reason."""

    stage: str
    reason: str = ""
    rows: tuple[PartRow, ...] = ()
    """The first ones."""
    left_out: int = 0
    command: str = ""
    """Prints them all."""


@dataclass(frozen=True, slots=True)
class LineageStep:
    """One ancestor of a problem, oldest first in a list of them."""

    kind: str
    id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRow:
    """What a solution of a problem must reach, or why that is not known."""

    status: str
    """What the label is worth (`agreed`, `given`, ...); the reason (a `Drop`) where there is none."""
    kind: str = ""
    """Where its authority comes from (a `LabelKind`); empty: there is no label."""
    answer: str = ""
    tests: int = 0
    """Unit tests in it."""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """A solution that a model wrote."""

    step: str
    """The step that drew it."""
    draw: int
    text: str
    cut: int = 0
    """Characters of it that are left out, at its beginning."""
    verdict: str = ""
    """A `Verdict`; empty: nobody judged it on its own."""
    tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemRow:
    """A synthesized problem with all that is known of it."""

    id: str
    problem: str
    level: str = ""
    domain: str = "math"
    concepts: tuple[str, ...] = ()
    rationale: str = ""
    scores: dict[str, float | str] = field(default_factory=dict)
    """Name to value, as measured on this row alone."""
    lineage: tuple[LineageStep, ...] = ()
    dropped: str | None = None
    """The reason it was dropped (a `Drop`); None: kept."""
    detail: str = ""
    """Where and what, for a dropped row."""
    label: LabelRow | None = None
    """None: nobody tried to label it."""
    attempts: tuple[AttemptRow, ...] = ()
    """Some of the solutions drawn for it."""
    attempts_made: int = 0
    """How many were drawn in all."""
    pass_rate: Estimate | None = None
    """The share of right ones among the solver's attempts, the newest round's; None: not attempted, or no verdict counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """A model that took part."""

    role: str
    name: str
    revision: str = ""
    """Hub revision or fingerprint of the weights."""
    license: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """Where outside rows came from."""

    source: str
    license: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A limit that would have stopped the run."""

    name: str
    value: Estimate
    limit: float
    side: Literal["at least", "at most"] = "at least"

    @property
    def passed(self) -> bool:
        """Whether the value is on the right side of the limit."""
        return self.value.value >= self.limit if self.side == "at least" else self.value.value <= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkScores:
    """A model at a benchmark."""

    model: str
    benchmark: str
    about: str
    """Where the questions are from and how attempts were sampled."""
    scores: dict[str, Estimate]
    """By name (`avg@4`), the main one first; over questions. Empty: it cannot be graded."""
    overlap: str
    """How many questions stand in the training texts, or that none were looked through."""
    warning: str = ""
    """What a reader of the scores must know."""


@dataclass(frozen=True, slots=True)
class WorkRow:
    """What a stage was estimated to take, beside what it took; texts, since each quantity has a unit and a spread of its own."""

    stage: str
    quantity: str
    estimated: str
    used: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """How the run was made and how to make it again."""

    version: str
    """Of this package."""
    command: str
    """Repeats the run."""
    recipe: str
    """The recipe with every key spelled out, as YAML."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """The whole page."""

    run_name: str
    origin: Origin
    facts: Facts
    em: EmSummary | None = None
    """None: the recipe has no EM."""
    funnel: tuple[FunnelStage, ...] = ()
    rounds: tuple[RoundHealth, ...] = ()
    """Round 0 first."""
    problems: tuple[ProblemRow, ...] = ()
    """Kept and dropped ones."""
    problems_left_out: int = 0
    """Rows that exist but are not in `problems`; the page says so."""
    parts: tuple[PartRows, ...] = ()
    """The rows behind the parts of the funnel."""
    evaluations: tuple[BenchmarkScores, ...] = ()
    work: tuple[WorkRow, ...] = ()
    """Estimate against actual."""
    models: tuple[ModelRow, ...] = ()
    sources: tuple[SourceRow, ...] = ()
    gates: tuple[Gate, ...] = ()
    warnings: tuple[str, ...] = ()
    banner: str = ""
    """A note above everything, for instance what the demo's model cannot do."""
