"""Concept sets and what is synthesized from them, and what the screens say of it."""

from __future__ import annotations

from dataclasses import dataclass

from promptcot.records.identity import Record


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
