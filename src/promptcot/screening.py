"""Which synthesized problems are kept: x without copies, leaks and evaluation text, that one can set to work on.

PromptCoT 2.0 removes exact and near duplicates and 13-gram overlaps with the evaluation sets. Unlike the paper, near duplicates are
found by word 5-grams at Jaccard 0.7, the seeds count as already there, and problems that leak from their rationale or are not
well posed go too. The sieves run in the order of `Drop`'s reasons below, each on what the ones before it left:

    empty · exact duplicate · near duplicate · leak · contaminated · incomplete, no task, proof, contradiction · off concept · judged

Of duplicates among the problems the smallest id stays, so the outcome does not depend on their order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from promptcot import wellposed
from promptcot.alignment import shared
from promptcot.concept_use import ConceptUse
from promptcot.contamination import Contact, NgramIndex
from promptcot.duplicates import clusters, neighbors_of
from promptcot.durable import canonical
from promptcot.evaluation_texts import evaluation_texts, hash_file, hashed_sets
from promptcot.leak import containment
from promptcot.outcomes import Drop
from promptcot.recipe import Screen
from promptcot.records import Dropped, Judgment, Problem, Resemblance, inherited, record_id
from promptcot.statement_samples import contradiction, samples
from promptcot.tables import to_json
from promptcot.templates_judging import faults
from promptcot.words import text_hash


class Text(Protocol):
    """A problem that is already there: a seed, a triple."""

    @property
    def id(self) -> str:
        """Names it in the details."""
        ...

    @property
    def problem(self) -> str:
        """x."""
        ...


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a problem goes: the reason, and what exactly (the other's id, the n-gram, the rule)."""

    reason: Drop
    detail: str


@dataclass(frozen=True, slots=True)
class Screened:
    """The problems that stay, in their order, and those that go; together they are all that came in.

    `resemblances` are the evidence of contamination, and what is reported without being dropped."""

    kept: list[Problem]
    dropped: list[Dropped]
    resemblances: Sequence[Resemblance] = ()


Sieve = Callable[[Sequence[Problem]], list[Objection | None]]


def screen(
    problems: Sequence[Problem],
    seeds: Sequence[Text],
    settings: Screen,
    resemblances: Sequence[Resemblance] = (),
    concept_use: ConceptUse | None = None,
) -> Screened:
    """Sieve the problems. `resemblances`: what touches evaluation texts, `concept_use`: the fitted rule (none: no check).

    The number of problems is that of `kept` and `dropped` together; ids need not differ. Pure: reads nothing, keeps nothing."""
    kept, dropped = list(problems), list[Dropped]()
    for sieve in _sieves(seeds, settings, resemblances, concept_use):
        objections = sieve(kept)
        dropped += [_drop(p, o) for p, o in zip(kept, objections, strict=True) if o is not None]
        kept = [p for p, o in zip(kept, objections, strict=True) if o is None]
    return Screened(kept, dropped, resemblances)


def touching_evaluations(problems: Sequence[Problem], index: NgramIndex, texts: Mapping[str, Sequence[str]]) -> list[Resemblance]:
    """What problems share with evaluation sets, with both texts side by side. `texts`: those of the sets that are more than hashes here."""
    found = index.contacts([p.problem for p in problems])
    return [_resemblance(p, c, texts.get(c.name, ())) for p, contacts in zip(problems, found, strict=True) for c in contacts]


def evaluation_resemblances(problems: Sequence[Problem], humans: Sequence[Text], settings: Screen) -> list[Resemblance]:
    """The same with the sets of `settings.against` and phrases learned from them and the human problems; none without a set."""
    if not settings.against:
        return []
    index, texts = NgramIndex(settings.ngram, settings.near_duplicate, settings.phrases), dict[str, Sequence[str]]()
    for name in settings.against:
        if hash_file(name) is None:
            texts[name] = evaluation_texts(name)
            index.add(name, texts[name])
        else:
            for hashed in hashed_sets(name, settings.ngram):
                index.put(hashed)
    index.learn([human.problem for human in humans])
    return touching_evaluations(problems, index, texts)


def _resemblance(problem: Problem, contact: Contact, texts: Sequence[str]) -> Resemblance:
    theirs = texts[contact.text] if texts else ""
    return Resemblance(
        id=record_id("resemblance", (problem.id,), contact.text, f"{contact.rule} {contact.name}"),
        parents=(problem.id,),
        problem=problem.id,
        rule=contact.rule,
        decisive=contact.decisive,
        benchmark=contact.name,
        text=contact.text,
        runs=contact.runs,
        similarity=contact.similarity,
        ours=problem.problem,
        theirs=theirs,
        blocks=canonical(shared(problem.problem, theirs) if theirs else []),
        **inherited(problem),
    )


def judged(kept: Sequence[Problem], judgments: Sequence[Judgment], least: str) -> Screened:
    """What a judge leaves of the problems. One without a readable judgment stays: that says nothing of it."""
    wrong = {one.problem: found for one in judgments if (found := faults(one, least))}
    objections = {p.id: Objection(Drop.JUDGED, f"below `{least}`: {', '.join(wrong[p.id])}") for p in kept if p.id in wrong}
    return Screened([p for p in kept if p.id not in wrong], [_drop(p, objections[p.id]) for p in kept if p.id in wrong])


def _sieves(seeds: Sequence[Text], settings: Screen, found: Sequence[Resemblance], concept_use: ConceptUse | None) -> list[Sieve]:
    touching: dict[str, list[Resemblance]] = defaultdict(list)
    for one in found:
        if one.decisive:
            touching[one.problem].append(one)
    sieves: list[Sieve] = [
        _each(_empty),
        lambda rows: _copies_of_seeds(rows, seeds),
        _copies,
        lambda rows: _near_seeds(rows, seeds, settings.near_duplicate),
        lambda rows: _near_one_another(rows, settings.near_duplicate),
        _each(lambda p: _leaky(p, settings.leak)),
        _each(lambda p: _contaminated(p, touching.get(p.id, ()))),
        _each(_ill_posed),
    ]
    return sieves if concept_use is None else [*sieves, lambda rows: _off_concept(rows, concept_use)]


def _drop(problem: Problem, objection: Objection) -> Dropped:
    return Dropped(
        id=problem.id,
        parents=problem.parents,
        reason=objection.reason,
        detail=objection.detail,
        content=to_json(problem),
        **inherited(problem),
    )


def _each(rule: Callable[[Problem], Objection | None]) -> Sieve:
    return lambda rows: [rule(row) for row in rows]


def _empty(problem: Problem) -> Objection | None:
    return None if problem.problem.strip() else Objection(Drop.EMPTY, "no problem text")


def _copies_of_seeds(rows: Sequence[Problem], seeds: Sequence[Text]) -> list[Objection | None]:
    first: dict[str, str] = {}
    for seed in seeds:
        key = text_hash(seed.problem)
        first[key] = min(seed.id, first.get(key, seed.id))
    copied = [first.get(text_hash(row.problem)) for row in rows]
    return [None if seed is None else Objection(Drop.EXACT_DUPLICATE, f"of seed {seed}") for seed in copied]


def _copies(rows: Sequence[Problem]) -> list[Objection | None]:
    return _all_but_smallest(rows, [text_hash(row.problem) for row in rows], Drop.EXACT_DUPLICATE)


def _near_seeds(rows: Sequence[Problem], seeds: Sequence[Text], threshold: float) -> list[Objection | None]:
    known = sorted(seeds, key=lambda seed: seed.id)
    near = neighbors_of([row.problem for row in rows], [seed.problem for seed in known], threshold=threshold)
    return [None if n is None else Objection(Drop.NEAR_DUPLICATE, f"of seed {known[n.index].id}, Jaccard {n.similarity:.2f}") for n in near]


def _near_one_another(rows: Sequence[Problem], threshold: float) -> list[Objection | None]:
    return _all_but_smallest(rows, clusters([row.problem for row in rows], threshold=threshold), Drop.NEAR_DUPLICATE)


def _all_but_smallest(rows: Sequence[Problem], groups: Sequence[Hashable], reason: Drop) -> list[Objection | None]:
    """Object to every row of a group but the one with the smallest id (of equal ids, the first of the smallest text)."""
    best: dict[Hashable, int] = {}
    for i, group in enumerate(groups):
        best[group] = min(best.get(group, i), i, key=lambda j: (rows[j].id, rows[j].problem, j))
    return [None if best[group] == i else Objection(reason, f"of {rows[best[group]].id}") for i, group in enumerate(groups)]


def _leaky(problem: Problem, most: float) -> Objection | None:
    share = containment(problem.problem, problem.rationale)
    return Objection(Drop.LEAK, f"{share:.2f} of its 8-grams are in its rationale, more than {most:g}") if share > most else None


def _contaminated(problem: Problem, touching: Sequence[Resemblance]) -> Objection | None:
    own = next((one for one in touching if one.ours == problem.problem), None)  # ids need not differ
    if own is None:
        return None
    what = f"Jaccard {own.similarity:.2f}" if own.similarity == own.similarity else " ... ".join(own.runs) or "the whole text"
    return Objection(Drop.CONTAMINATED, f"{own.benchmark} {own.text} ({own.rule}): {what}")


def _ill_posed(problem: Problem) -> Objection | None:
    if not wellposed.complete(problem.problem):
        return Objection(Drop.INCOMPLETE, "rule `complete`: breaks off, has an unpaired delimiter, a leftover tag or a loop")
    if not wellposed.states_task(problem.problem):
        return Objection(Drop.NO_TASK, "rule `states_task`: neither a question nor an order")
    if not wellposed.not_a_proof(problem.problem):
        return Objection(Drop.PROOF, "rule `not_a_proof`: asks for a proof")
    against = contradiction(samples(problem.problem)) if problem.domain == "code" else ""
    return Objection(Drop.CONTRADICTION, against) if against else None


def _off_concept(rows: Sequence[Problem], concept_use: ConceptUse) -> list[Objection | None]:
    least = concept_use.threshold
    found = concept_use.evidence(rows)
    return [
        Objection(Drop.OFF_CONCEPT, f"rule `ConceptUse`: evidence {e:.2f} is below {least:.2f}") if row.concepts and e < least else None
        for row, e in zip(rows, found, strict=True)
    ]
