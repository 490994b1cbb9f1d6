"""Invented report data: a run that looks like one, the empty ones, and rows that try to break out of the page."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from promptcot.outcomes import Drop
from promptcot.records import record_id
from promptcot.reporting.data import (
    NATS,
    SHARE,
    TOKENS,
    AttemptRow,
    EmSummary,
    Estimate,
    Facts,
    FunnelStage,
    Gate,
    LabelRow,
    LineageStep,
    ModelRow,
    Origin,
    PartRow,
    PartRows,
    ProblemRow,
    ReportData,
    RoundHealth,
    SourceRow,
    WorkRow,
)

LEVELS = ("elementary", "AMC10", "AMC12", "AIME")
CONCEPTS = (
    "modular arithmetic",
    "counting with symmetry",
    "geometric series",
    "similar triangles",
    "conditional probability",
    "the pigeonhole principle",
    "recurrence relations",
    "linear Diophantine equations",
    "area by decomposition",
)
PLACES = ("a lighthouse", "a tram depot", "an orchard", "a printing shop", "a chess club", "a harbor", "a seed bank")
THINGS = ("lanterns", "tickets", "crates of pears", "metal letters", "pawns", "ropes", "envelopes")
HOSTILE = (
    "</script><script>window.pwned=1</script>",
    r"Compute \href{javascript:window.pwned=1}{this} and <a href='javascript:window.pwned=1'>that</a>.",
    "<img src=x onerror=window.pwned=1><svg onload=window.pwned=1><iframe srcdoc='<script>parent.pwned=1</script>'>",
    "<!--<script>{{ 7*7 }} ${window.pwned=1} {% raw %} &lt;b&gt; \u2028\u2029 ]]> -->",
    r"$\href{javascript:window.pwned=1}{x} \includegraphics{//example.invalid/x.png} \htmlStyle{position:fixed}{y} \def\a{\a\a}\a$",
    r"$$\rule{99999em}{99999em} \class{skip}{z} \url{//example.invalid}$$ and $\frac{1}{$ and $" + "{" * 3000 + "$",
    "a lone \ud800 surrogate, a NUL \x00, an escape \x1b[31m, U+FFFF \uffff",
    "W" + "o" * 3000 + "rd",
    "\u202eright to left override: \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 3 + 4 = ?",
    "Z" + "\u0310\u0311\u0312" * 200 + "algo" + "\n" * 400 + "and a tail",
)

FORMULAS = (
    r"\href{javascript:window.pwned=1}{x}",
    r"\url{//example.invalid}",
    r"\includegraphics[height=9em]{//example.invalid/x.png}",
    r"\htmlClass{hostile}{y}",
    r"\htmlId{hostile}{y}",
    r"\htmlStyle{position:fixed;top:0}{y}",
    r"\htmlData{pwned=1}{y}",
    r"\def\a{\a\a}\a",
    r"\rule{9999em}{9999em}",
    r"\kern-9999em\raisebox{9999em}{z}",
    r"\fcolorbox{red}{blue}{\pmb{z}}\textcolor{url(//example.invalid)}{w}",
    r"\frac{1}{",
    "{" * 3000,
    r"\sqrt{" * 500 + "x" + "}" * 500,
    r"</script><script>window.pwned=1</script>",
)
"""What TeX can try."""


def _problem(rng: random.Random, index: int) -> ProblemRow:
    place, thing = rng.choice(PLACES), rng.choice(THINGS)
    a, b, c = rng.randint(12, 99), rng.randint(3, 11), rng.randint(2, 9)
    concepts = tuple(rng.sample(CONCEPTS, 3))
    text = rng.choice(
        (
            f"At {place} there are {a} {thing}. Every evening {b} of them are moved, "
            f"and after {c} evenings a third of the rest is lost. How many {thing} remain after {b + c} evenings?",
            f"In how many ways can {a} {thing} be arranged in {b} rows at {place}, "
            f"if rows that differ by a rotation count as one and no row holds fewer than {c}?",
            f"A keeper at {place} labels {thing} $1, 2, \\dots, {a}$. Two are drawn at random. "
            f"What is the probability that their labels differ by a multiple of ${b}$?",
            f"The triangle $ABC$ drawn on the floor of {place} has $AB = {a}$, $BC = {a + b}$. "
            f"A point $D$ on $AC$ satisfies $AD : DC = {b} : {c}$. Find the ratio of the areas of $ABD$ and $BCD$.",
        )
    )
    reason = rng.choice((None, None, None, Drop.NEAR_DUPLICATE, Drop.LEAK, Drop.NO_TASK, Drop.INCOMPLETE))
    set_id = record_id("concept_set", draw=index)
    return ProblemRow(
        id=record_id("problem", (set_id,), index, text),
        problem=text,
        level=rng.choice(LEVELS),
        concepts=concepts,
        rationale=f"Start from {concepts[0]}: a count of {thing} that shrinks by a fixed rule. "
        f"{concepts[1].capitalize()} enters through the {b} that move together; "
        f"choosing {c} keeps the numbers small enough to check by hand. The question must need {concepts[2]}, so the last step hides it.",
        scores={
            "log_p": round(rng.uniform(-260, -90), 2),
            "tokens": float(len(text.split()) * 2),
            "leak": round(rng.uniform(0, 0.2), 3),
            "overlap": round(rng.uniform(0.1, 0.7), 3),
        },
        lineage=(
            LineageStep("generator", record_id("model", draw=1)[:12], "SmolLM2-135M after round 1 of EM"),
            LineageStep("concept_set", set_id, f"{'; '.join(concepts)}"),
        ),
        dropped=reason,
        detail="5-gram Jaccard .81 with an earlier problem" if reason == Drop.NEAR_DUPLICATE else "",
        **(_solved(random.Random(index), a) if reason is None else {}),
    )


def _solved(rng: random.Random, answer: int) -> dict[str, Any]:
    """A label and attempts, of a kept problem."""
    solved = rng.randint(0, 8)
    attempts = tuple(
        AttemptRow(
            step="self_play/1/attempts-1",
            draw=draw,
            text=f"First, ${answer} - 1 = {answer - 1}$.\n```python\ndef rest(n):  # what is left\n    return n - 1\n```\n"
            f"So the answer is $\\boxed{{{answer + (draw >= solved)}}}$.",
            cut=rng.choice((0, 0, 1200)),
            verdict="correct" if draw < solved else rng.choice(("wrong", "truncated", "no_answer")),
            tokens=rng.randint(40, 900),
        )
        for draw in range(4)
    )
    return {
        "label": LabelRow(status="agreed", kind="vote", answer=str(answer))
        if solved
        else LabelRow(status=Drop.TOO_FEW, detail="2 of 8 agree"),
        "attempts": attempts,
        "attempts_made": 8,
        "pass_rate": Estimate(solved / 8, max(0.0, solved / 8 - 0.3), min(1.0, solved / 8 + 0.3), 8, SHARE, "attempts", 0.95),
    }


def problems(n: int = 60, seed: int = 0) -> tuple[ProblemRow, ...]:
    """`n` varied problems."""
    rng = random.Random(seed)
    return tuple(_problem(rng, index) for index in range(n))


def estimate(value: float, half: float, n: int = 40, unit: str = NATS, of: str = "problems") -> Estimate:
    """A symmetric interval."""
    return Estimate(value, value - half, value + half, n, unit, of)


def gain(value: float = 0.020, half: float = 0.0152, n: int = 40) -> EmSummary:
    """EM whose gain has this interval."""
    return EmSummary(
        rule="snis",
        candidates=8,
        rounds=3,
        best=2,
        gain=estimate(value, half, n),
        compared=2,
        k=8,
        ended="EM ended after round 3: it was worse than round 2.",
    )


def rounds() -> tuple[RoundHealth, ...]:
    """A start and three rounds."""
    start = RoundHealth(
        round=0,
        bound_new=estimate(-1.622, 0.071),
        k=8,
        own_minus_shuffled_rationale=estimate(0.231, 0.04),
        own_minus_shuffled_concepts=estimate(0.052, 0.06),
        valid=estimate(0.81, 0.04, 480, SHARE, "candidates"),
        decision="cold start",
    )
    later = [
        RoundHealth(
            round=r,
            rule="snis",
            against=best,
            k=8,
            bound_new=estimate(bound, 0.07),
            bound_best=estimate(bound - delta, 0.071),
            bound_delta=estimate(delta, 0.012),
            ess=estimate(1.2 + 0.4 * r, 0.2, 174, "of 8"),
            tau=estimate(0.17 + 0.05 * r, 0.03, 174, ""),
            leak_rate=estimate(0.04 + 0.01 * r, 0.015, 1392, SHARE, "candidates"),
            rationale_length=estimate(37.0 - 3 * r, 1.4, 1392, TOKENS, "candidates"),
            distinct=estimate(0.97 - 0.02 * r, 0.01, 174, SHARE),
            valid=estimate(0.84 + 0.02 * r, 0.02, 1392, SHARE, "candidates"),
            own_minus_shuffled_rationale=estimate(0.24 + 0.01 * r, 0.04),
            own_minus_shuffled_concepts=estimate(0.06, 0.05),
            decision=decision,
        )
        for r, best, bound, delta, decision in (
            (1, 0, -1.611, 0.011, "no evidence"),
            (2, 1, -1.602, 0.016, "new best"),
            (3, 2, -1.631, -0.029, "worse, EM ends"),
        )
    ]
    return (start, *later)


def funnel(rows: tuple[ProblemRow, ...]) -> tuple[FunnelStage, ...]:
    """The stages of a run that wrote `rows` and some that could not be parsed."""
    lost: dict[str, int] = {}
    for row in rows:
        if row.dropped is not None:
            lost[row.dropped] = lost.get(row.dropped, 0) + 1
    kept = len(rows) - sum(lost.values())
    return (
        FunnelStage(
            name="seeds",
            rows_in=300,
            rows_out=288,
            dropped={Drop.EXACT_DUPLICATE: 4, Drop.NEAR_DUPLICATE: 7, Drop.BAD_ROW: 1},
            seconds=0.4,
            makes="seeds",
        ),
        FunnelStage(name="annotate", rows_in=288, rows_out=261, dropped={Drop.UNPARSABLE: 21, Drop.LEAK: 6}, seconds=312, makes="triples"),
        FunnelStage(name="cold_start", rows_in=157, rows_out=157, seconds=184.2, makes="triples fitted"),
        FunnelStage(
            name="em",
            rows_in=157,
            rows_out=1003,
            dropped={Drop.TRUNCATED: 148, Drop.LEAK: 61, Drop.UNPARSABLE: 44},
            seconds=4012,
            makes="candidates",
        ),
        FunnelStage(name="concept_sets", rows_in=157, rows_out=len(rows) + 14, seconds=1.2, makes="concept sets"),
        FunnelStage(
            name="synthesize",
            rows_in=len(rows) + 14,
            rows_out=len(rows),
            dropped={Drop.TRUNCATED: 9, Drop.UNPARSABLE: 5},
            seconds=96,
            makes="problems",
        ),
        FunnelStage(name="screen", rows_in=len(rows), rows_out=kept, dropped=lost, seconds=2.2, makes="problems kept"),
    )


def parts(stages: tuple[FunnelStage, ...], rows: tuple[ProblemRow, ...]) -> tuple[PartRows, ...]:
    """The rows of the screens' parts, and one row of every other."""
    found = []
    for stage in stages:
        for reason, n in {"": stage.rows_out, **stage.dropped}.items():
            own = [PartRow(row.id, row.problem, row.detail) for row in rows if stage.name == "screen" and (row.dropped or "") == reason]
            own = own or [PartRow(record_id("row", (stage.name,), 0, reason), f"A row of {stage.name}.", reason)]
            command = f"promptcot rows demo {stage.name}"
            found.append(PartRows(stage=stage.name, reason=reason, rows=tuple(own), left_out=max(0, n - len(own)), command=command))
    return tuple(found)


ORIGIN = Origin(
    version="0.1.0",
    command="promptcot run demo --run runs/demo --set seed=7",
    recipe="schema: 1\nname: demo\nseed: 7\nem:\n  rounds: 3\n  rule: snis\n  candidates: 8\n",
)


def sample(n: int = 60, seed: int = 0) -> ReportData:
    """A complete run with `n` problems written."""
    rows = problems(n, seed)
    kept = sum(row.dropped is None for row in rows)
    return ReportData(
        run_name="demo",
        origin=ORIGIN,
        facts=Facts(seeds=288, train=157, triples=261, concept_sets=n + 14, written=n + 14, kept=kept),
        em=gain(),
        funnel=funnel(rows),
        parts=parts(funnel(rows), rows),
        rounds=rounds(),
        problems=rows,
        work=(
            WorkRow("em", "tokens sampled", "44 thousand (37 to 60 thousand)", "41 thousand"),
            WorkRow("em", "time", "8 min (5 to 20 min)", "9 min"),
        ),
        models=(
            ModelRow(role="generator", name="smollm2-135m-instruct", revision=record_id("weights"), license="Apache-2.0"),
            ModelRow(role="posterior", name="smollm2-135m-instruct", revision=record_id("weights"), license="Apache-2.0"),
            ModelRow(role="embedder", name="all-MiniLM-L6-v2"),
        ),
        sources=(SourceRow(source="builtin:starter", license="Apache-2.0", rows=60), SourceRow(source="champ", license="MIT", rows=240)),
        gates=(
            Gate(name="format_rate", value=Estimate(0.875, 0.66, 0.97, 16, SHARE, "completions"), limit=0.3),
            Gate(name="copy_rate", value=Estimate(0.5625, 0.36, 0.75, 16, SHARE, "completions"), limit=0.5, side="at most"),
        ),
        warnings=("148 of 1256 candidates hit the token limit; raise `em.sample.max_tokens`.",),
        banner="This run used a 135M-parameter model so that it fits a laptop. "
        "It shows that every step works; the problems it writes are mostly unusable.",
    )


def hostile() -> ReportData:
    """Hostile text in every field that takes text."""
    everywhere = " ".join(HOSTILE[:5])
    rows = tuple(
        ProblemRow(
            id=f"{index:02d}{text[:10]}",
            problem=text,
            level=text[:60],
            domain=text,
            concepts=(text, text[::-1]),
            rationale=text,
            scores={text: text, "leak": float("nan")},
            lineage=(LineageStep(text, text, text),),
            dropped=None if index % 2 else text[:40],
            detail=text,
            label=LabelRow(status=text, kind=text, answer=text, detail=text),
            attempts=(AttemptRow(step=text, draw=0, text=text, verdict=text),),
            attempts_made=2,
            pass_rate=Estimate(0.5, 0.1, 0.9, 8, SHARE, "attempts"),
        )
        for index, text in enumerate(HOSTILE)
    )
    data = sample()
    return replace(
        data,
        run_name=everywhere,
        origin=Origin(version=everywhere, command=everywhere, recipe=everywhere),
        em=replace(gain(), rule=everywhere, ended=everywhere, split=everywhere),
        funnel=(FunnelStage(name=everywhere, rows_in=3, rows_out=1, dropped={everywhere: 2}, makes=everywhere),),
        rounds=tuple(replace(row, rule=everywhere, decision=everywhere) for row in rounds()),
        parts=(PartRows(stage=everywhere, reason=everywhere, rows=tuple(PartRow(t, t, t) for t in HOSTILE), command=everywhere),),
        problems=rows + problems(5),
        work=(WorkRow(everywhere, everywhere, everywhere, everywhere),),
        models=(ModelRow(role=everywhere, name=everywhere, revision=everywhere, license=everywhere),),
        sources=(SourceRow(source=everywhere, license=everywhere, rows=1),),
        gates=(Gate(name=everywhere, value=Estimate(0.5, None, None, 1, everywhere, everywhere), limit=0.5),),
        warnings=HOSTILE,
        banner=everywhere,
    )


def without_em() -> ReportData:
    """A run that only synthesized."""
    return replace(sample(), em=None, rounds=(), facts=Facts(concept_sets=74, written=74, kept=38))


def no_rounds() -> ReportData:
    """EM of 0 rounds: a start that was not measured."""
    em = EmSummary(rule="snis", candidates=8, rounds=0, best=0, gain=None, compared=0, k=8)
    return replace(sample(), em=em, rounds=(RoundHealth(round=0),))


def nothing() -> ReportData:
    """A run that did nothing yet."""
    return ReportData(run_name="fresh", origin=ORIGIN, facts=Facts())


def all_dropped() -> ReportData:
    """Problems, none of them kept."""
    return replace(sample(), problems=tuple(replace(row, dropped=Drop.OFF_CONCEPT) for row in problems(4)))
