"""What an exported folder's `utils.py` calls inside lm-evaluation-harness (`lm_eval`).

    documents -> prompt, repeats --model--> responses --filter: verdicts--> verdicts --process_results--> acc, format, verifier_error

The filter sees the responses of all documents, so that attempts are graded side by side, and its verdicts stand in the logged samples.
lm_eval does not say why a completion ended: unlike in `promptcot evaluate`, an attempt that the token limit cut is graded as it stands.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from promptcot.evaluation.marks import Marks
from promptcot.evaluation.scores import Score, accuracy, share, share_of_verifier_errors
from promptcot.evaluation.tasks import stored
from promptcot.outcomes import Verdict

SPLIT = "test"
FILTER = "verified"
SCORES: Mapping[str, Score] = {
    "acc": accuracy,
    "format": share(set(Verdict) - {Verdict.TRUNCATED, Verdict.NO_ANSWER, Verdict.VERIFIER_ERROR}),
    "verifier_error": share_of_verifier_errors,
}
"""A document's metrics, from its verdicts."""


def documents(folder: Path, policy: Mapping[str, Any]) -> dict[str, Any]:
    """The data set by split, a row a question: `id`, `name`, `prompt`, `target`. The tests stay in the folder."""
    from datasets import Dataset

    rows = [
        {"id": id_, "name": one.question.name, "prompt": one.prompt, "target": one.target}
        for id_, one in stored.opened(folder, policy).asked.items()
    ]
    return {SPLIT: Dataset.from_list(rows)}


def verdicts(
    folder: Path, policy: Mapping[str, Any], responses: Sequence[Sequence[str]], docs: Sequence[Mapping[str, Any]]
) -> list[list[str]]:
    """The verdict on every response, in the order of documents and responses."""
    found = stored.opened(folder, policy)
    tasks = [(doc["id"], text) for doc, texts in zip(docs, responses, strict=True) for text in texts]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        graded = iter(list(pool.map(lambda task: found.grade(*task).verdict, tasks)))
    return [[str(next(graded)) for _ in texts] for texts in responses]


def results(doc: Mapping[str, Any], found: Sequence[Sequence[str]]) -> dict[str, float]:
    """A document's metrics. Where the verifier failed on all attempts it has no `acc` and no `format`, and counts in neither mean."""
    reached = tuple(Verdict(verdict) for verdict in found[0])
    marks = Marks(doc["id"], reached, (-1,) * len(reached), (None,) * len(reached))
    values = {name: score(marks) for name, score in SCORES.items()}
    return {name: value for name, value in values.items() if value is not None}
