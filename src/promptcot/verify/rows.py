"""Verification of plain rows, as the command line and other programs hand them in: answers in pairs, samples to vote over.

| in | out |
|---|---|
| `{id, a, b}`: a reference, b prediction (an answer or a whole completion) | `{id, verdict}` |
| `{id, samples: [completion, ...]}` | `{id, status, answer, agree, draws, clusters, silent}` |
| the same with `answer` | a threshold for a wanted precision |
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from promptcot.outcomes import Equality
from promptcot.verify.answers import Verifier
from promptcot.verify.calibration import Judged
from promptcot.verify.votes import Rule, Vote, vote

AT_ONCE = 512
"""Rows in flight: what waits for algebra does not hold up the others."""

Row = Mapping[str, Any]


def compared(rows: Iterable[Row], verifier: Verifier) -> Iterator[dict[str, Any]]:
    """The verdict on each pair, in order. As many wait for algebra side by side as there are cores."""
    todo = iter(rows)
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="pairs") as pool:
        while batch := list(islice(todo, AT_ONCE)):
            verdicts = pool.map(lambda row: verifier.equal(str(row["a"]), str(row["b"])), batch)
            yield from ({"id": row["id"], "verdict": verdict.value} for row, verdict in zip(batch, verdicts, strict=True))


def voted(rows: Iterable[Row], rule: Rule, verifier: Verifier) -> Iterator[dict[str, Any]]:
    """The vote over each row's samples, in order."""
    for row in rows:
        yield {"id": row["id"], **as_row(vote(row["samples"], rule, verifier))}


def as_row(found: Vote) -> dict[str, Any]:
    """A vote as JSON."""
    clusters = [{"answer": c.answer, "draws": list(c.draws)} for c in found.clusters]
    agree, silent = found.sizes[0], list(found.silent)
    return {"status": found.status, "answer": found.answer, "agree": agree, "draws": found.draws, "clusters": clusters, "silent": silent}


def judged(rows: Iterable[Row], verifier: Verifier) -> Sequence[Judged]:
    """Each row's vote and whether its largest cluster gives the known answer; what is undecided counts as wrong."""
    found = []
    for row in rows:
        table = vote(row["samples"], Rule(agree=1), verifier)
        right = bool(table.clusters) and verifier.equal(str(row["answer"]), table.clusters[0].answer) is Equality.EQUAL
        found.append(Judged(table, right))
    return found
