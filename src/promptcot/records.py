"""The rows that travel, in the order they travel: seed, triple, draw, candidate, selection, bound, concept set, problem.

Every record is frozen and flat, so that its table is readable without this package: a `str` column is a string, a
`tuple` a list. Worked example: a `Seed` read from a file becomes a `Triple` when concepts and a rationale are known; the
posterior writes `Draw`s for it, the generator's scores turn each into a `Candidate`, and `Selection`s say what is fitted.

Ids are 128 bits of sha256 over kind, sorted parent ids, draw and content, so the same work has the same id on any machine.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


def record_id(kind: str, parents: Iterable[str] = (), draw: int = 0, content: str = "") -> str:
    """The id of a record: 32 hex digits (128 bits) that depend on nothing but its arguments."""
    digest = hashlib.sha256()
    for part in (kind, *sorted(parents), str(draw), content):
        raw = part.encode()
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()[:32]


def content_hash(text: str) -> str:
    """A hash of the text without case and spacing, to find exact duplicates; 32 hex digits."""
    return hashlib.sha256(" ".join(text.lower().split()).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What every row carries: identity, lineage, licence and split.

    `split` is `train`, `dev` or `test` for rows that descend from a seed and empty for synthesized ones."""

    id: str
    parents: tuple[str, ...] = ()
    domain: str = "math"
    source: str = ""
    license: str = ""
    split: str = ""


def inherited(row: Record) -> dict[str, Any]:
    """The fields a row hands on to what is made of it: domain, source, license, split."""
    return {"domain": row.domain, "source": row.source, "license": row.license, "split": row.split}


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ConceptSet(Record):
    """Concepts and a level to design a problem from. `prompt` is a given generator input, used verbatim when present."""

    concepts: tuple[str, ...]
    level: str
    prompt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConceptRate(Record):
    """How often a solver solved the questions that name a concept: `solved` of `counted` attempts at `questions`, their raw `share`.

    `rate` is shrunk towards the mean of all concepts, in [low, high] at 95 % (see `weakness`); `weight` is what the sampler multiplies the
    concept's probability by."""

    concept: str
    questions: int
    solved: int
    counted: int
    share: float
    rate: float
    low: float
    high: float
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem(Record):
    """A synthesized problem x with its rationale z. Parent: its concept set."""

    concepts: tuple[str, ...]
    level: str
    rationale: str
    problem: str
    draw: int
    tokens: int
    log_p: float
    content_hash: str
    generator: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resemblance(Record):
    """A problem beside an evaluation text that it touches: the evidence of contamination. `problem` is its id, and the only parent.

    `rule` is one of `contamination`, `decisive` says whether a problem goes for it; `text` is the number of the evaluation text in
    `benchmark`, from 0. `runs` are the stretches of words shared, `similarity` the Jaccard similarity for the rule `near`, NaN elsewhere.
    `ours` and `theirs` are both texts and `blocks` what they share, as JSON `[[ours_from, ours_to, theirs_from, theirs_to], ...]` in
    characters. Where only hashes of the evaluation text are known, `theirs` is empty and `blocks` is `[]`."""

    problem: str
    rule: str
    decisive: bool
    benchmark: str
    text: int
    runs: tuple[str, ...]
    similarity: float
    ours: str
    theirs: str
    blocks: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbors(Record):
    """A kept problem and the texts nearest to it by embedding, for people to look at. `problem` is its id, and the only parent.

    `nearest` is the id of another kept problem and `human` that of a human one, empty where there is none; the cosines are NaN then."""

    problem: str
    nearest: str
    cosine: float
    human: str
    human_cosine: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgment(Record):
    """What a judge says of a problem, by the rubric of PromptCoT 1.0: `perfect`, `acceptable` or `bad` on each of five criteria.

    `problem` is the problem's id, and the only parent; `judge` the judge's fingerprint."""

    problem: str
    format: str
    factual_accuracy: str
    difficulty: str
    concept_coverage: str
    solvability: str
    judge: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity(Record):
    """The share of problems that are valid by one `basis` (see `validity`): `value` in [low, high] at `level`, over `n` problems.

    `meaning` says in words what the share is of."""

    basis: str
    value: float
    low: float
    high: float
    level: float
    n: int
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped(Record):
    """A row that left the flow. `reason` is a `Drop`; `detail` says where and what; `content` is the row, as JSON."""

    reason: str
    detail: str
    content: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenTests(Record):
    """What a writer gave in one reply for a problem's tests. `problem` is the problem's id, and the only parent.

    `kind` is an `InputKind`. `tests` is JSON (`[{"input", "output"}]`, output null where none was named) and empty for a generator, whose
    program is in `program`; `malformed` counts entries of the reply that are no test."""

    problem: str
    draw: int
    kind: str
    tests: str = ""
    program: str = ""
    malformed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Label(Record):
    """What a correct solution of a problem must reach. `problem` is the problem's id, and the label's only parent.

    `kind` is a `LabelKind`. `answer` holds a gold or voted answer; `tests` is JSON (`[{"input", "output"}]`) where `kind` is `tests`.
    `evidence` is JSON about how the label came to be (votes, validation), empty where nothing is known; `status` says what the label
    is worth: `given` for one that was brought from outside and not examined."""

    problem: str
    kind: str
    answer: str | None = None
    tests: str | None = None
    evidence: str = ""
    status: str = "given"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt(Record):
    """One solution text. `problem` is the problem's id, and the attempt's only parent; `draw` tells attempts at it apart.

    `verdict` is a `Verdict`, None until the attempt is verified. `tokens` counts what was written, the end of sequence included; None where
    that is not known. `ids` are the sampled tokens, the end left out: what is trained on is not tokenized again; empty where unknown.
    `reasoning` is what was thought before `text` where a server keeps that apart; elsewhere it is part of `text`."""

    problem: str
    draw: int
    text: str
    verdict: str | None = None
    tokens: int | None = None
    ids: tuple[int, ...] = ()
    reasoning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Record):
    """One problem of a benchmark, and what a solution must reach. `name` is its id there.

    `grading` is a `Grading` and says what `reference` holds. `starter` is code that a solution has to go on from, `function` the name
    that the tests call (empty: stdin and stdout). `date` is ISO (`2024-08-03`), `rating` the known difficulty in Elo points; empty and
    None where the source has none."""

    benchmark: str
    name: str
    problem: str
    grading: str
    reference: str = ""
    function: str = ""
    starter: str = ""
    date: str = ""
    contest: str = ""
    rating: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade(Record):
    """The verdict on one attempt at a question. Parents: the question and the attempt.

    `verdict` is a `Verdict`. `answer` is what the attempt was read as, empty for none; equal answers of a question share a `pile`, -1
    stands for none. `tokens` is the attempt's, `cpu_s` what its program used over all tests, `detail` says what failed."""

    question: str
    draw: int
    verdict: str
    answer: str = ""
    pile: int = -1
    tokens: int | None = None
    cpu_s: float = 0.0
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score(Record):
    """A model's figure on a benchmark: `value` with the interval `[low, high]` at `level`, over `n` questions and `attempts` at them.

    `metric` is one of `evaluation.scores`; `k` what stands behind its @, 0 where nothing does. `error` is the standard error, clustered by
    question, NaN where none is known."""

    model: str
    benchmark: str
    metric: str
    k: int
    value: float
    low: float
    high: float
    level: float
    n: int
    attempts: int
    error: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap(Record):
    """A question of a benchmark that shares a run of words with a training text. Parent: the question."""

    benchmark: str
    question: str
    ngram: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PassRate(Record):
    """How often a solver solved a question. Parent: the question. `solved` of `counted` attempts were right, of `planned` in all.

    `rate` is their share, in [low, high] at 95 %; where drawing ended early (`censored`) it is of what was drawn, and the interval allows
    for the rest. `kept` says whether it is in the band that training wants, `why` (a `Drop`) why it is not."""

    question: str
    round: int
    solved: int
    counted: int
    planned: int
    rate: float
    low: float
    high: float
    censored: bool
    kept: bool
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceDiversity(Record):
    """How diverse the problems are that the generator is refined on: those `in the band`, of which `left_out` were then left out, or those
    `chosen`. `repeated`, `distinct`, `pairs`: see `diversity`."""

    of: str
    problems: int
    left_out: int
    repeated: float
    distinct: float
    pairs: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair(Record):
    """A right and a wrong attempt at one question, for preference training. Parents: the question and both attempts.

    `ids` are sampled tokens as in `Attempt`, empty where unknown. `weight` is the pair's in the loss."""

    question: str
    round: int
    prompt: str
    chosen: str
    rejected: str
    chosen_ids: tuple[int, ...] = ()
    rejected_ids: tuple[int, ...] = ()
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace(Record):
    """A teacher's solution to train a student on. Parent: the question. `reasoning` is what came before the answer, kept apart where the
    teacher keeps it apart; `verdict` is empty where nothing was checked; `teacher` is its fingerprint."""

    question: str
    draw: int
    prompt: str
    reasoning: str
    answer: str
    tokens: int
    verdict: str = ""
    teacher: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusFigure(Record):
    """A number about a corpus: `value` in [low, high] at `level`, over `n` texts (or those of them that have one).

    `metric` is one of `analysis`; `against` the other corpus, or what it was held against; `model` the solver; `k` the n of n-grams. NaN
    where an interval cannot be formed."""

    corpus: str
    metric: str
    value: float
    low: float
    high: float
    level: float
    n: int
    against: str = ""
    model: str = ""
    k: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemDifficulty(Record):
    """How a solver fared with a problem of a corpus. Parent: the question. `solved` of `counted` attempts were right, a share of `rate`.

    `tokens` is the mean of an attempt, NaN where unknown; `disagreement` the chance that two attempts answer differently, NaN below two;
    `band` is one of `analysis.difficulty.BANDS`."""

    question: str
    corpus: str
    solver: str
    solved: int
    counted: int
    rate: float
    tokens: float
    disagreement: float
    band: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding(Record):
    """The unit vector of a text. Parent: the question whose text it is, its template left out."""

    vector: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPoint(Record):
    """A corpus on the map, or (`half` from 1 on) where a random half of it would stand."""

    corpus: str
    half: int
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStudent(Record):
    """A student of a trial: fitted on `texts` texts of a corpus with `tokens` tokens of solutions, in `steps` optimizer steps.

    `share` is the part of the budget that it saw, `same` what it has in common with those of other parts (`epochs` or `steps`)."""

    student: str
    corpus: str
    share: float
    same: str
    seed: int
    texts: int
    tokens: int
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceFigures(Record):
    """How long the kept traces of a `teacher` are, in its tokens: `traces` for `problems` of `asked`, out of `drawn` attempts.

    `mean` has the interval [low, high] at 95 % over problems, NaN for fewer than two; `reasoning` is the share of the traces that bring
    reasoning apart from the answer."""

    teacher: str
    asked: int
    drawn: int
    traces: int
    problems: int
    mean: float
    low: float
    high: float
    median: float
    p95: float
    longest: int
    total: int
    reasoning: float
