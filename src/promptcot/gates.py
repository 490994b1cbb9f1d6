"""Gates: does p0 write what EM needs? A handful of completions is looked at before any round is paid for.

Format rate, copy rate, concept use and length against the seeds, each with its interval. A gate fails only when the whole interval is on
the wrong side of its limit, so a small probe stops a run for gross faults alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from promptcot.concept_use import ConceptUse
from promptcot.errors import Stopped
from promptcot.intervals import Estimate, wilson
from promptcot.outcomes import Drop
from promptcot.recipe import Gates
from promptcot.records import Dropped, Problem, Triple
from promptcot.words import words

RUN = 13  # words in a row that count as copied


@dataclass(frozen=True, slots=True)
class Gate:
    """One measured gate: `at_least` says on which side of `limit` the value has to be."""

    name: str
    value: Estimate
    limit: float
    at_least: bool

    @property
    def failed(self) -> bool:
        """Whether the interval lies wholly on the wrong side."""
        return self.value.high < self.limit if self.at_least else self.value.low > self.limit


def measure(
    written: Sequence[Problem], dropped: Sequence[Dropped], train: Sequence[Triple], use: ConceptUse | None, limits: Gates
) -> list[Gate]:
    """The gates of a probe of p0. Rates are over the completions that parse, but for the format rate itself."""
    n = len(written)
    unparsed = sum(row.reason != Drop.FAILED for row in dropped)  # a server's failures say nothing about p0
    grams = {tuple(w[i : i + RUN]) for t in train for w in [words(t.problem)] for i in range(len(w) - RUN + 1)}
    copies = sum(_copies(words(p.problem), grams) for p in written)
    gates = [
        Gate("format_rate", wilson(n, n + unparsed), limits.format_rate, True),
        Gate("copy_rate", wilson(copies, n), limits.copy_rate, False),
    ]
    if use is not None and written:
        gates.append(Gate("concept_coverage", wilson(sum(use.uses(written)), n), limits.concept_coverage, True))
    if written and train:
        ratio = median(len(words(p.problem)) for p in written) / median(len(words(t.problem)) for t in train)
        share = min(ratio, 1 / ratio) if ratio > 0 else 0.0
        gates.append(Gate("length_ratio", Estimate(share, share, share, n, math.nan), limits.length_ratio, True))
    return gates


def _copies(tokens: Sequence[str], grams: set[tuple[str, ...]]) -> bool:
    return any(tuple(tokens[i : i + RUN]) in grams for i in range(len(tokens) - RUN + 1))


def check(gates: Sequence[Gate], written: Sequence[Problem], dropped: Sequence[Dropped]) -> None:
    """Raise `Stopped` with examples when a gate failed."""
    failed = [gate for gate in gates if gate.failed]
    if not failed:
        return
    facts = "; ".join(f"{g.name} {g.value} is {'below' if g.at_least else 'above'} {g.limit}" for g in failed)
    samples = [json.loads(row.content).get("completion", "") for row in dropped[:2]] + [p.problem for p in written[:3]]
    shown = "\n".join(f"    | {' '.join(text.split())[:300]}" for text in samples)
    raise Stopped(
        f"the cold-started generator is not ready for EM: {facts}\n  it writes:\n{shown}",
        where="gates",
        remedy="more annotated triples, epochs or a stronger base model; or lower the gate in the recipe if this is what you want",
    )
