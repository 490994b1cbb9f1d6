"""Questions that stand in the training texts: shared word n-grams. The questions' runs are kept, the texts only pass by once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from promptcot.contamination import runs_of
from promptcot.records import Overlap, Question, inherited, record_id
from promptcot.words import text_hash

SCHEMA = 2
_SHOWN = 400


@dataclass(frozen=True, slots=True)
class Found:
    """The overlap of a benchmark with a corpus of `texts` texts: its first hit for each question that has one."""

    texts: int
    rows: tuple[Overlap, ...]


def overlap(questions: Sequence[Question], texts: Iterable[str], n: int) -> Found:
    """Which questions share a word n-gram with a text; one of fewer than n words must stand in it whole, or below 8 words be the text."""
    where, whole, lengths = defaultdict[str, list[int]](list), defaultdict[str, list[int]](list), set[int]()
    for place, question in enumerate(questions):
        found = runs_of(question.problem, n)
        if found is None:
            whole[text_hash(question.problem)].append(place)
            continue
        lengths.add(found.length)
        for run in found.runs:
            where[run].append(place)
    hits: dict[int, Overlap] = {}
    count = 0
    for text in texts:
        count += 1
        for length in lengths:
            own = runs_of(text, length)
            for run in own.runs if own and own.length == length else ():
                for place in where.get(run, ()):
                    hits.setdefault(place, _hit(questions[place], run, text))
        for place in whole.get(text_hash(text), ()):
            hits.setdefault(place, _hit(questions[place], questions[place].problem, text))
    return Found(count, tuple(hits[place] for place in sorted(hits)))


def _hit(question: Question, run: str, text: str) -> Overlap:
    identity = record_id("overlap", (question.id,), 0, run)
    facts = {**inherited(question), "parents": (question.id,)}
    return Overlap(id=identity, benchmark=question.benchmark, question=question.name, ngram=run, text=text[:_SHOWN], **facts)
