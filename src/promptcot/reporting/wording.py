"""The words and numbers of the report: how an estimate is printed, what the first sentence says, what a drop reason means.

Worked example: an EM gain of .020 on 40 problems with the interval [.005, .036] prints as `+0.020 [+0.005, +0.036]`, and the headline
ends "EM beat its start by 0.020 nats per token of x (90 % interval 0.005 to 0.036)".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from promptcot.outcomes import Drop
from promptcot.reporting.data import NATS, SHARE, Change, EmSummary, Estimate, Facts, Gate, ReportData

FEW = 30
"""Problems below which a bootstrap interval is called too narrow."""

MINUS = "\N{MINUS SIGN}"
ABSENT = "\N{EN DASH}"

REASONS: dict[str, str] = {
    Drop.BAD_ROW: "a field is missing, empty or of the wrong type",
    Drop.EXACT_DUPLICATE: "the same text as an earlier row",
    Drop.NEAR_DUPLICATE: "nearly the same text as an earlier row",
    Drop.NOT_CHOSEN: "another annotator's reply was taken for the same seed; or a question beyond the wanted share or number",
    Drop.TRUNCATED: "the token limit cut what the model wrote",
    Drop.UNPARSABLE: "a tag is missing, doubled or out of order",
    Drop.EMPTY: "the tags hold nothing",
    Drop.TOO_LONG: "does not fit the model's context",
    Drop.FAILED: "the server gave no usable answer",
    Drop.LEAK: "the rationale repeats the problem",
    Drop.CONTAMINATED: "shares a long run of words with an evaluation set",
    Drop.INCOMPLETE: "breaks off, or its delimiters do not match",
    Drop.NO_TASK: "neither asks a question nor states a task",
    Drop.PROOF: "asks for a proof, which no answer check can verify",
    Drop.CONTRADICTION: "contradicts its own samples",
    Drop.OFF_CONCEPT: "uses none of its concepts",
    Drop.JUDGED: "a judge grades it lower than wanted",
    Drop.NO_ANSWER: "no draw gave an answer that could be read",
    Drop.TOO_FEW: "fewer draws agree than asked for",
    Drop.TOO_CLOSE: "the next answer comes too near",
    Drop.NO_SOLUTIONS: "too few solutions run, finish and repeat themselves to vote on tests",
    Drop.FEW_TESTS: "too few inputs on which a clear majority of the solutions agrees",
    Drop.LOW_AGREEMENT: "the majorities behind its tests are too small",
    Drop.UNSTEADY: "no solution passes all of its tests when run again",
    Drop.CONTROL_PASSES: "a program that prints nothing, or always the same, passes its tests",
    Drop.WEAK_TESTS: "too many wrong variants of a right program pass its tests",
    Drop.NO_LABEL: "nothing is known that a solution could be held against",
    Drop.UNGRADED: "no attempt at it has a verdict that counts",
    Drop.UNSOLVED: "fewer attempts at it are right than training asks for",
    Drop.TOO_EASY: "too large a share of the attempts at it is right",
    Drop.NO_FIRM_FAILURE: "no attempt at it is firmly wrong",
    Drop.MALFORMED: "an attempt that is not built as training wants it",
    Drop.NO_PAIR: "its right or its firmly wrong attempts are all malformed",
    Drop.NO_DESIGN: "its concepts or its rationale are not known",
    Drop.CROWDED: "left out, since the chosen problems were too alike",
    Drop.WRONG: "its label says that the solution is not right",
    Drop.UNVERIFIED: "whether the solution is right could not be decided",
}
"""What each drop reason means, in a few words."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that every round of EM has: `field` of `RoundHealth`, its title and what it means."""

    field: str
    title: str
    meaning: str
    signed: bool = False
    """A difference: printed with its sign and drawn with a zero line."""
    joined: bool = True
    """Whether rounds form a series, so that a line may join them."""


METRICS: tuple[Metric, ...] = (
    Metric("bound_new", "Held-out bound", "How likely unseen problems are to the generator of this round. Higher is better."),
    Metric(
        "bound_delta",
        "Against the best so far",
        "The same problems scored under both generators, so the interval is narrow. This number decides.",
        signed=True,
        joined=False,
    ),
    Metric("ess", "Effective sample size", "How many candidates share the weight. Near 1, a single one decides."),
    Metric("tau", "Tempering τ", "1 leaves the importance weights as they are; less flattens them."),
    Metric("leak_rate", "Leaky rationales", "Candidates that give the problem away. They get weight 0."),
    Metric("rationale_length", "Rationale length", "A steady fall means that short rationales are favored for being short."),
    Metric("distinct", "Distinct candidates", "Of the candidates of one problem. Low means the posterior repeats itself."),
    Metric("valid", "Valid candidates", "They ended by themselves and could be parsed."),
    Metric(
        "own_minus_shuffled_rationale",
        "Own minus shuffled rationale",
        "Above 0, the rationale carries information about its problem.",
        signed=True,
    ),
    Metric(
        "own_minus_shuffled_concepts",
        "Own minus shuffled concepts",
        "Above 0, the concepts carry information about their problem.",
        signed=True,
    ),
)
"""What is drawn and tabulated per round, most important first."""


def number(value: float, digits: int, *, signed: bool = False) -> str:
    """A decimal with a true minus sign, thousands apart, and words for what is not finite."""
    if not math.isfinite(value):
        return "undefined" if math.isnan(value) else ("+" if value > 0 else MINUS) + "∞"
    text = f"{abs(value):,.{digits}f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    sign = MINUS if value < 0 else "+" if signed and value > 0 else ""
    return sign + text if text.strip("0.") else text


def count(n: int | None) -> str:
    """A number of rows."""
    return ABSENT if n is None else number(n, 0)


def counted(n: int, noun: str) -> str:
    """`1 problem`, `2 problems`; the noun is given in the plural."""
    return f"{count(n)} {noun[:-1] if n == 1 and noun.endswith('s') else noun}"


def _scale(estimate: Estimate) -> float:
    return 100.0 if estimate.unit == SHARE else 1.0


def _digits(estimate: Estimate) -> int:
    """As many decimals as show two figures of the interval's width."""
    ends = [end for end in (estimate.low, estimate.high) if end is not None]
    width = (max(ends) - min(ends) if len(ends) == 2 else 0.0) or abs(estimate.value)
    width *= _scale(estimate)
    if not math.isfinite(width) or width == 0:
        return 0
    return max(0, min(4, 1 - math.floor(math.log10(width))))


def value(estimate: Estimate, *, signed: bool = False) -> str:
    """The number alone."""
    text = number(estimate.value * _scale(estimate), _digits(estimate), signed=signed)
    return f"{text}\N{NO-BREAK SPACE}%" if estimate.unit == SHARE else text


def interval(estimate: Estimate, *, signed: bool = False) -> str:
    """`[low, high]`, or empty where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    low, high = (number(end * _scale(estimate), _digits(estimate), signed=signed) for end in (estimate.low, estimate.high))
    return f"[{low}, {high}]"


def basis(estimate: Estimate) -> str:
    """How many units it was measured on: `40 problems`."""
    return counted(estimate.n, estimate.of)


def full(estimate: Estimate | None, *, signed: bool = False) -> str:
    """Value, interval, unit and n in one line."""
    if estimate is None:
        return "not measured"
    named = "" if estimate.unit == SHARE else estimate.unit
    return (
        " ".join(part for part in (value(estimate, signed=signed), interval(estimate, signed=signed) or "(no interval)", named) if part)
        + f", {basis(estimate)}"
    )


def limit(gate: Gate) -> str:
    """The limit of a gate, in the unit of its value."""
    if gate.value.unit == SHARE:
        return percent(gate.limit)
    return f"{gate.limit:g}".replace("-", MINUS) + (f" {gate.value.unit}" if gate.value.unit else "")


def percent(share: float) -> str:
    """`90 %`, `2.5 %`."""
    return f"{share * 100:.4g}\N{NO-BREAK SPACE}%"


def cost(facts: Facts) -> str:
    """What the work used, in a few words."""
    dollars = f"${number(facts.usd, 2 if facts.usd >= 0.1 else 4)}" if facts.usd else ""
    hours = f"{number(facts.gpu_hours, 2)} GPU-hours" if facts.gpu_hours else ""
    used = [text for text in (counted(facts.tokens, "tokens") if facts.tokens else "", dollars, hours) if text]
    return ", ".join(used) or "all steps, the fits included"


def duration(seconds: float | None) -> str:
    """`0.4 s`, `12 s`, `3 min 5 s`, `14 min`, `2 h 10 min`; empty where unknown."""
    if seconds is None or not math.isfinite(seconds):
        return ""
    if seconds < 59.5:
        return f"{number(seconds, 1 if seconds < 9.95 else 0)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min" + (f" {rest} s" if rest and minutes < 10 else "")
    hours, minutes = divmod(minutes, 60)
    return f"{count(hours)} h" + (f" {minutes} min" if minutes else "")


def reason(name: str) -> str:
    """A drop reason as words."""
    return name.replace("_", " ")


def stage(name: str) -> str:
    """A stage's name as words."""
    return "EM" if name == "em" else (text := reason(name.replace("/", ": ")))[:1].upper() + text[1:]


def headline(data: ReportData, about: Sequence[str] = ()) -> str:
    """The first sentence: what went in, what came out, whether EM beat its start. `about`: titles of the sections that stages brought."""
    parts = [*_flow(data.facts), _em_clause(data.em)]
    if len(parts) == 1 and data.em is None and data.evaluations:
        return _scored(data)
    if len(parts) == 1 and data.em is None:
        return f"{'. '.join(about)}." if about else "Nothing has come out of this run yet."
    sentence = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])}, and {parts[-1]}"
    return sentence[0].upper() + sentence[1:] + "."


def _scored(data: ReportData) -> str:
    """Of a run that only evaluates: the first score."""
    found = data.evaluations[0]
    if not found.scores:
        return f"{found.model} made attempts at {found.benchmark}, which cannot be graded."
    name, first = next(iter(found.scores.items()))
    rest = len(data.evaluations) - 1
    more = f", and {counted(rest, 'further evaluations')} below" if rest else ""
    return f"{found.model} reached {name} {full(first)} on {found.benchmark}{more}."


def _flow(facts: Facts) -> Iterable[str]:
    came_in = [(facts.seeds, "human problems"), (facts.triples, "annotated problems"), (facts.concept_sets, "concept sets")]
    entry = next((counted(n, noun) for n, noun in came_in if n is not None), None)
    if entry:
        yield f"{entry} went in"
    if facts.kept is not None:
        yield f"{counted(facts.kept, 'new problems')} came out"


def _em_clause(em: EmSummary | None) -> str:
    if em is None:
        return "EM was not part of this run"
    if em.rounds == 0:
        return "EM ran no round, so the generator is its cold start"
    if em.gain is None:
        return "whether EM beat its start was not measured"
    size = number(abs(em.gain.value), _digits(em.gain))
    span = _spoken_interval(em.gain)
    match em.gain.change:
        case Change.GAIN:
            return f"EM beat its start by {size} {em.gain.unit} ({span})"
        case Change.WORSE:
            return f"EM ended {size} {em.gain.unit} below its start ({span})"
        case Change.NO_EVIDENCE:
            return f"there is no evidence that EM beat its start: {value(em.gain, signed=True)} {em.gain.unit} ({span})"


def _spoken_interval(gain: Estimate) -> str:
    if gain.low is None or gain.high is None:
        return "no interval"
    digits, mixed = _digits(gain), gain.change is Change.NO_EVIDENCE
    low, high = (number(end if mixed else abs(end), digits, signed=mixed) for end in (gain.low, gain.high))
    if gain.change is Change.WORSE:
        low, high = high, low
    return f"{percent(gain.coverage)} interval {low} to {high}"


def meaning(em: EmSummary | None) -> str:
    """One sentence on what the verdict means, for readers who never saw a bound."""
    if em is None:
        return "No rationales were sampled to improve the generator, so there is nothing to compare with its start."
    if em.rounds == 0 or em.gain is None:
        return "There is no comparison with the start, so nothing can be said about the effect of EM."
    match em.gain.change:
        case Change.GAIN:
            return f"After EM the generator finds human problems it never saw more likely{_factor(em.gain)}; " + (
                f"the whole interval lies above zero, but over {em.gain.n} problems it is too narrow to rule out chance."
                if em.gain.n < FEW
                else "the whole interval lies above zero, so chance is an unlikely explanation."
            )
        case Change.WORSE:
            return (
                f"After EM the generator finds human problems it never saw less likely{_factor(em.gain)}; "
                "the whole interval lies below zero. Prefer the start."
            )
        case Change.NO_EVIDENCE:
            return (
                f"The interval does not exclude zero: on {basis(em.gain)} the difference may be chance. "
                "This is neither a success nor a failure; more held-out problems would tell."
            )


def _factor(gain: Estimate) -> str:
    if gain.unit != NATS or not abs(gain.value) < 1:
        return ""
    share = (math.exp(abs(gain.value)) - 1) * 100 if gain.value > 0 else (1 - math.exp(gain.value)) * 100
    return f", on average by about {number(share, 1 if share < 10 else 0)}\N{NO-BREAK SPACE}% per token"


def caution(em: EmSummary) -> str:
    """What qualifies the comparison; empty if nothing does."""
    if em.gain is None or em.split != "dev":
        return ""
    return "The held-out problems of this comparison also stop EM and choose the round, which flatters EM a little."
