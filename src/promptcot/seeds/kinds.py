"""The readers, one per kind of row that may come from outside. Ids depend on what a row says, never on where it stood."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from promptcot.engines.chat_reply import TAGS
from promptcot.outcomes import LabelKind, Split, Verdict
from promptcot.recipe import Input
from promptcot.records import Attempt, ConceptSet, Label, Pair, Problem, Record, Seed, Trace, Triple, content_hash, record_id
from promptcot.seeds.families import blank_rationales, by_hash, place, spread
from promptcot.seeds.reading import Collected, Kind, Origin, Reading, collect
from promptcot.seeds.rows import Row

DOMAINS = ("math", "code")
UNRATED = "unrated"
"""The level of a problem whose source gives none."""

R = TypeVar("R", bound=Record)
P = TypeVar("P", Seed, Triple)


def read_seeds(inputs: Sequence[Input], *, domain: str, seed: int) -> Reading[Seed]:
    """Human problems, placed in families and splits. Two rows with the same problem (case and spacing aside) are one."""
    return _placed(collect(inputs, Kind("seeds", _seed, _problem_key), domain, seed), inputs, seed)


def read_triples(inputs: Sequence[Input], *, domain: str, seed: int) -> Reading[Triple]:
    """Annotated seeds of one's own, placed like seeds. Several rationales for one problem are several triples of one family."""
    return _placed(collect(inputs, Kind("triples", _triple, _id), domain, seed), inputs, seed)


def read_concept_sets(inputs: Sequence[Input], *, domain: str, seed: int) -> Reading[ConceptSet]:
    """Concepts and levels, or whole generator prompts, to synthesize from."""
    return _plain(inputs, Kind("concept_sets", _concept_set, _id), domain, seed)


def read_problems(inputs: Sequence[Input], *, domain: str, seed: int) -> Reading[Problem]:
    """Problems of one's own, to be screened and what follows."""
    return _plain(inputs, Kind("problems", _problem, _problem_key), domain, seed)


def read_labels(inputs: Sequence[Input], *, domain: str, seed: int) -> Reading[Label]:
    """Labels of one's own; `problem` is a problem's id."""
    return _plain(inputs, Kind("labels", _label, _id), domain, seed)


def read_attempts(inputs: Sequence[Input], *, domain: str, seed: int) -> Reading[Attempt]:
    """Attempts of one's own; `problem` is a problem's id."""
    return _plain(inputs, Kind("attempts", _attempt, _id), domain, seed)


def read_pairs(inputs: Sequence[Input], *, domain: str, seed: int) -> Reading[Pair]:
    """Pairs of one's own. Their token ids are not read: those of another tokenizer would be trained on unseen."""
    return _plain(inputs, Kind("pairs", _pair, _id), domain, seed)


def read_traces(inputs: Sequence[Input], *, domain: str, seed: int) -> Reading[Trace]:
    """Solutions of somebody else's teacher, to learn from."""
    return _plain(inputs, Kind("traces", _trace, _id), domain, seed)


def _placed(collected: Collected[P], inputs: Sequence[Input], seed: int) -> Reading[P]:
    rows = iter(place([row for kept in collected.kept for row in kept], seed))
    chosen: list[P] = []
    left_out = 0
    for given, kept in zip(inputs, collected.kept, strict=True):
        mine = [next(rows) for _ in kept]
        some = mine if given.rows is None else spread(mine, given.rows, seed)
        left_out += len(mine) - len(some)
        chosen += blank_rationales(some, given.rationales, seed)
    return _reading(chosen, collected, left_out)


def _plain(inputs: Sequence[Input], kind: Kind[R], domain: str, seed: int) -> Reading[R]:
    collected = collect(inputs, kind, domain, seed)
    chosen: list[R] = []
    for given, kept in zip(inputs, collected.kept, strict=True):
        wanted = by_hash((row.id for row in kept), len(kept) if given.rows is None else given.rows, seed)
        chosen += [row for row in kept if row.id in wanted]
    return _reading(chosen, collected, sum(map(len, collected.kept)) - len(chosen))


def _reading(chosen: Sequence[R], collected: Collected[R], left_out: int) -> Reading[R]:
    return Reading(tuple(chosen), tuple(collected.dropped), len(chosen) + len(collected.dropped), left_out)


def _problem_key(row: Seed | Problem) -> str:
    return f"{row.domain} {row.content_hash}"


def _id(row: Record) -> str:
    return row.id


def _common(row: Row, origin: Origin) -> dict[str, Any]:
    return {
        "domain": row.choice("domain", DOMAINS, origin.domain),
        "source": row.maybe("source") or origin.source,
        "license": row.maybe("license") or origin.license,
        "split": origin.split or row.choice("split", tuple(Split), ""),
    }


def _conditions(row: Row) -> dict[str, Any]:
    """Concepts, level and prompt; concepts may only be missing where the row brings a prompt."""
    prompt = row.verbatim("prompt") if row.values.get("prompt") is not None else None
    concepts, level = row.texts("concepts"), row.scalar("level")
    if prompt is None and not concepts:
        raise row.bad("concepts", "empty" if "concepts" in row.values else "missing")
    if prompt is None and level is None:
        raise row.bad("level", "missing")
    return {"concepts": concepts, "level": level or UNRATED, "prompt": prompt}


def _seed(row: Row, origin: Origin) -> Seed:
    common, problem = _common(row, origin), row.text("problem")
    hashed = content_hash(problem)
    return Seed(
        id=record_id("seed", (), 0, f"{common['domain']} {hashed}"),
        family=row.maybe("family") or "",
        content_hash=hashed,
        problem=problem,
        answer=row.scalar("answer"),
        solution=row.maybe("solution"),
        tests=row.tests("tests"),
        concepts=row.texts("concepts"),
        level=row.scalar("level"),
        rationale=row.maybe("rationale"),
        prompt=None if row.values.get("prompt") is None else row.verbatim("prompt"),
        **common,
    )


def _triple(row: Row, origin: Origin) -> Triple:
    common, given, problem, rationale = _common(row, origin), _conditions(row), row.text("problem"), row.maybe("rationale")
    content = [common["domain"], content_hash(problem), given["concepts"], given["level"], given["prompt"], rationale]
    return Triple(
        id=record_id("triple", (), 0, json.dumps(content)),
        family=row.maybe("family") or "",
        rationale=rationale,
        problem=problem,
        annotator=row.maybe("annotator") or "source",
        **given,
        **common,
    )


def _concept_set(row: Row, origin: Origin) -> ConceptSet:
    common, given = _common(row, origin), _conditions(row)
    content = [common["domain"], given["concepts"], given["level"], given["prompt"]]
    return ConceptSet(id=record_id("concept_set", (), 0, json.dumps(content)), **given, **common)


def _problem(row: Row, origin: Origin) -> Problem:
    """A problem of one's own; where the row does not say, it has no tokens and so log p = 0."""
    common, problem = _common(row, origin), row.text("problem")
    hashed = content_hash(problem)
    return Problem(
        id=record_id("problem", (), 0, f"{common['domain']} {hashed}"),
        concepts=row.texts("concepts"),
        level=row.scalar("level") or UNRATED,
        rationale=row.maybe("rationale") or "",
        problem=problem,
        draw=row.count("draw"),
        tokens=row.count("tokens"),
        log_p=row.number("log_p"),
        content_hash=hashed,
        generator=row.maybe("generator") or "",
        **common,
    )


def _label(row: Row, origin: Origin) -> Label:
    common, problem = _common(row, origin), _reference(row)
    kind = row.choice("kind", tuple(LabelKind), LabelKind.GOLD)
    answer, tests = row.scalar("answer"), row.tests("tests")
    if kind == LabelKind.TESTS and tests is None:
        raise row.bad("tests", "missing")
    if kind != LabelKind.TESTS and answer is None:
        raise row.bad("answer", "missing")
    content = json.dumps([kind, answer, tests])
    evidence, status = row.maybe("evidence") or "", row.maybe("status") or "given"
    return Label(
        id=record_id("label", (problem,), 0, content),
        parents=(problem,),
        problem=problem,
        kind=kind,
        answer=answer,
        tests=tests,
        evidence=evidence,
        status=status,
        **common,
    )


def _attempt(row: Row, origin: Origin) -> Attempt:
    common, problem, draw, text = _common(row, origin), _reference(row), row.count("draw"), row.verbatim("text")
    verdict = row.choice("verdict", tuple(Verdict), "") or None
    id_, reasoning = record_id("attempt", (problem,), draw, text), row.maybe("reasoning") or ""
    return Attempt(id=id_, parents=(problem,), problem=problem, draw=draw, text=text, verdict=verdict, reasoning=reasoning, **common)


def _pair(row: Row, origin: Origin) -> Pair:
    common, prompt, chosen, rejected = _common(row, origin), *(row.verbatim(name) for name in ("prompt", "chosen", "rejected"))
    if chosen.strip() == rejected.strip():
        raise row.bad("rejected", "the same as the chosen one")
    weight = row.number("weight") if "weight" in row.values else 1.0
    if not weight > 0:
        raise row.bad("weight", "a number > 0 is wanted")
    question, content = _asked(row, common["domain"], prompt), json.dumps([prompt, chosen, rejected])
    return Pair(
        id=record_id("pair", (question,), 0, content),
        parents=(question,),
        question=question,
        round=0,
        prompt=prompt,
        chosen=chosen,
        rejected=rejected,
        weight=weight,
        **common,
    )


def _trace(row: Row, origin: Origin) -> Trace:
    common, prompt, reasoning, answer = _common(row, origin), row.verbatim("prompt"), row.maybe("reasoning") or "", row.text("answer")
    if any(tag in part for tag in TAGS for part in (reasoning, answer)):
        raise row.bad("reasoning", f"{' or '.join(TAGS)} inside: reasoning and answer stand apart here")
    question, draw = _asked(row, common["domain"], prompt), row.count("draw")
    return Trace(
        id=record_id("trace", (question,), draw, json.dumps([prompt, reasoning, answer])),
        parents=(question,),
        question=question,
        draw=draw,
        prompt=prompt,
        reasoning=reasoning,
        answer=answer,
        tokens=row.count("tokens"),
        **common,
    )


def _asked(row: Row, domain: str, prompt: str) -> str:
    """The id of what a prompt asks: as the row names it, else of the prompt as a problem."""
    given = row.maybe("question")
    return _hex(row, "question", given) if given else record_id("problem", (), 0, f"{domain} {content_hash(prompt)}")


def _reference(row: Row) -> str:
    return _hex(row, "problem", row.text("problem"))


def _hex(row: Row, name: str, value: str) -> str:
    if len(value) != 32 or set(value) - set("0123456789abcdef"):
        raise row.bad(name, "a problem's id is wanted: 32 hex digits")
    return value


Reader = Callable[..., Reading[Any]]
READERS: dict[str, Reader] = {
    "seeds": read_seeds,
    "triples": read_triples,
    "concept_sets": read_concept_sets,
    "problems": read_problems,
    "labels": read_labels,
    "attempts": read_attempts,
    "pairs": read_pairs,
    "traces": read_traces,
}
"""By the section of `inputs` that they read."""
