"""What EM reads and writes: seeds, triples, draws, candidates, selections, and the figures of its rounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

from promptcot.records.identity import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed(Record):
    """A human problem x, with whatever its source knows about it.

    `family` groups near-duplicates and variations: splits never cut through a family. `tests` is JSON
    (`[{"input", "output"}]`). `prompt` is a row's own generator input, passed on verbatim when present."""

    family: str
    content_hash: str
    problem: str
    answer: str | None = None
    solution: str | None = None
    tests: str | None = None
    concepts: tuple[str, ...] = ()
    level: str | None = None
    rationale: str | None = None
    prompt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Triple(Record):
    """An annotated seed (c, z, x). `rationale` is None where only (c, x) is known: EM uses such rows, the cold start cannot.

    `annotator` is the model that wrote concepts or rationale, or `source` where the seed brought them."""

    family: str
    concepts: tuple[str, ...]
    level: str
    rationale: str | None
    problem: str
    annotator: str = "source"
    prompt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw(Record):
    """A rationale sampled from q(z | c, x). Parent: its triple.

    `ids` are the sampled tokens of the rationale segment, end-of-sequence left out: they are scored and trained on as they are, never
    tokenized again. `log_q` is the sum over `ids` and the end of sequence, in nats, under the distribution sampled from;
    `tokens` their number. `invalid` names why a draw cannot be used at all (unterminated, unparsable), else None.
    `group` and `mass` are 0 and 1 except in the exact-expectation mode of the tabular engine, where a group is one
    outcome of the K draws and `mass` its probability."""

    round: int
    draw: int
    rationale: str
    ids: tuple[int, ...]
    log_q: float
    tokens: int
    finish: str
    invalid: str | None = None
    group: int = 0
    mass: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate(Draw):
    """A draw with the generator's two reward terms, in nats: R = log p(x|z,c) + log p(z|c) (PromptCoT 2.0, section 3).

    `leak` is the share of the problem's 8-grams (words) found in the rationale and `overlap` the longest common subsequence over
    the problem's length in words, both in [0, 1]; `rejected` names why the fits give the candidate weight 0, else None."""

    log_p_problem: float
    log_p_rationale: float
    tokens_problem: int
    leak: float
    overlap: float
    rejected: str | None = None

    @property
    def log_weight(self) -> float:
        """log p(z,x|c) - log q(z|c,x): the log importance weight, in nats."""
        return self.log_p_problem + self.log_p_rationale - self.log_q


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection(Record):
    """A rationale that a fit sees for a triple, with its weight. Parents: the triple, then the candidate it came from.

    Weights of one group sum to its mass. `role` is `posterior` or `generator`. `tau` and `ess` are those of the triple's weights."""

    round: int
    role: str
    triple: str
    ids: tuple[int, ...]
    rationale: str
    weight: float
    tau: float
    ess: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundRow(Record):
    """The importance weights of one held-out triple under two generators and one shared proposal m.

    Lists are aligned by valid draw. `log_p_best` and `log_p_new`: log p(z,x|c) of the best round so far and of `round`;
    `log_m`: log of the mixture of both rounds' posteriors, in nats. `tokens_problem` counts |x| with its terminator.
    `draws` is how many were made to get these, over both posteriors."""

    round: int
    best: int
    log_p_best: tuple[float, ...]
    log_p_new: tuple[float, ...]
    log_m: tuple[float, ...]
    tokens_problem: int
    draws: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRow(Record):
    """log p of the segments of one text, in nats, and their token counts. Parent: the triple whose text it is."""

    log_p: tuple[float, ...]
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRow(Record):
    """Does the generator use what it is given? log p(x|z,c) of one held-out triple, in nats: with its own rationale and concepts,
    with another triple's rationale, with another triple's concepts and level. Parents: both triples."""

    round: int
    own: float
    other_rationale: float
    other_concepts: float
    tokens_problem: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Health(Record):
    """The figures of one round of EM. Triples `(value, low, high)` carry a 90 % interval over problems (95 % for shares); NaN where the
    rule has none. Bounds and gaps are in nats per token of x.

    E-step, over `seeds` training triples of which `sat_out` had no usable candidate: `valid_share` and `leak_share` of draws,
    `distinct_share`, means of `ess`, `tau` (median), `rationale_tokens`, `log_p_problem`, `log_p_rationale` and `log_q` (nats a draw).
    Held out, over `dev` triples: `bound_best`, `bound_new`, `gain` at the largest of `ks`; `iwae_best` and `iwae_new` aligned with `ks`;
    `uses_rationale`, `uses_concepts`: log p(x|z,c) minus the same under another triple's z, or c.
    `log_q_gap`: root mean square difference between sampled and scored log q, nats a draw (see `handover`)."""

    round: int
    best_before: int
    is_best: bool
    rule: str
    candidates: int
    seeds: int
    sat_out: int
    valid_share: tuple[float, ...]
    leak_share: tuple[float, ...]
    distinct_share: float
    ess: float
    tau: float
    rationale_tokens: float
    log_p_problem: float
    log_p_rationale: float
    log_q: float
    dev: int
    ks: tuple[int, ...]
    iwae_best: tuple[float, ...]
    iwae_new: tuple[float, ...]
    bound_best: tuple[float, ...]
    bound_new: tuple[float, ...]
    gain: tuple[float, ...]
    uses_rationale: tuple[float, ...]
    uses_concepts: tuple[float, ...]
    log_q_gap: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement(Record):
    """What the engine that serves a `role` and the one in the trainer's environment say of the same texts (`parents`) and weights.

    `served`, `here`: log p of each text, in nats, of which `tokens` are scored; `gap`: root mean square of their differences, nats a text;
    `limit`: the widest gap that passes."""

    role: str
    served: tuple[float, ...]
    here: tuple[float, ...]
    tokens: tuple[int, ...]
    gap: float
    limit: float
