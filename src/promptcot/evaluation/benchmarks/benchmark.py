"""A loaded benchmark, and the digest of its content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from promptcot.outcomes import Grading
from promptcot.records import Question
from promptcot.seeds.families import by_hash


@dataclass(frozen=True)
class Benchmark:
    """Questions, and where they are from.

    `source` is the file's name, `hf:NAME@REVISION` or the package with its version. `digest` is of the content the questions were chosen
    from (the whole benchmark, or its window): (problem, reference) pairs, whatever their order and the file's format. `note` says what a
    reader of the scores must know: a window, a choice of rows, content that differs from the copy known here, missing tests."""

    name: str
    questions: tuple[Question, ...]
    source: str
    digest: str
    note: str = ""

    @property
    def gradable(self) -> bool:
        """Whether attempts at its questions can be graded."""
        return all(question.grading != Grading.NONE for question in self.questions)


@dataclass(frozen=True)
class Gathered:
    """The chosen questions out of `total`, and the digest of all."""

    questions: tuple[Question, ...]
    total: int
    digest: str


def gather(questions: Iterable[Question], rows: int | None, seed: int) -> Gathered:
    """Read all, keep `rows` of them (None: all), those with the smallest hash of (seed, id), in their order.

    No more than twice as many are ever held: the tests of one problem may be tens of megabytes."""
    kept: dict[str, Question] = {}
    seen = list[bytes]()
    for question in questions:
        seen.append(_content(question))
        kept[question.id] = question
        if rows is not None and len(kept) > 2 * rows:
            kept = _pruned(kept, rows, seed)
    if rows is not None:
        kept = _pruned(kept, rows, seed)
    digest = hashlib.sha256(b"".join(sorted(seen))).hexdigest()[:32]
    return Gathered(tuple(kept.values()), len(seen), digest)


def _pruned(kept: dict[str, Question], rows: int, seed: int) -> dict[str, Question]:
    chosen = by_hash(kept, rows, seed)
    return {id_: question for id_, question in kept.items() if id_ in chosen}


def _content(question: Question) -> bytes:
    digest = hashlib.sha256()
    for text in (question.problem, question.reference):
        raw = text.encode()
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.digest()
