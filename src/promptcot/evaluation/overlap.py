"""Questions that stand in the training texts: shared word n-grams. The questions' grams are kept, the texts only pass by once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from promptcot.contamination import grams_of
from promptcot.records import Overlap, Question, content_hash, inherited, record_id

SCHEMA = 1
_SHOWN = 400


@dataclass(frozen=True, slots=True)
class Found:
    """The overlap of a benchmark with a corpus of `texts` texts: its first hit for each question that has one."""

    texts: int
    rows: tuple[Overlap, ...]


def overlap(questions: Sequence[Question], texts: Iterable[str], n: int) -> Found:
    """Which questions share a word n-gram with a text; one of fewer than n words must stand in it whole, or below 8 words be the text."""
    where, whole, lengths = defaultdict[int, list[int]](list), defaultdict[str, list[int]](list), set[int]()
    for place, question in enumerate(questions):
        found = grams_of(question.problem, n)
        if found is None:
            whole[content_hash(question.problem)].append(place)
            continue
        lengths.add(found.length)
        for key in found.runs:
            where[key].append(place)
    hits: dict[int, Overlap] = {}
    count = 0
    for text in texts:
        count += 1
        for length in lengths:
            own = grams_of(text, length)
            for key, run in own.runs.items() if own and own.length == length else ():
                for place in where.get(key, ()):
                    hits.setdefault(place, _hit(questions[place], run, text))
        for place in whole.get(content_hash(text), ()):
            hits.setdefault(place, _hit(questions[place], questions[place].problem, text))
    return Found(count, tuple(hits[place] for place in sorted(hits)))


def _hit(question: Question, run: str, text: str) -> Overlap:
    identity = record_id("overlap", (question.id,), 0, run)
    facts = {**inherited(question), "parents": (question.id,)}
    return Overlap(id=identity, benchmark=question.benchmark, question=question.name, ngram=run, text=text[:_SHOWN], **facts)
