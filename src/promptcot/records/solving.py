"""Labels, attempts and verdicts, and what solvers and students are trained on."""

from __future__ import annotations

from dataclasses import dataclass

from promptcot.records.identity import Record


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
