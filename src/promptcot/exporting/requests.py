"""Problems as the lines of a batch for the OpenAI API (and servers that take such files): one request for a solution each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from promptcot.attempts import of_problem
from promptcot.material import Material
from promptcot.recipe import Sample

URL = "/v1/chat/completions"


def rows(material: Material, model: str, sample: Sample) -> Iterator[dict[str, Any]]:
    """A line for every problem; `custom_id` is the problem's id, so that answers find it again."""
    for problem in material.problems:
        body = {
            "model": model,
            "messages": [{"role": "user", "content": of_problem(problem)}],
            "max_completion_tokens": sample.max_tokens,
            "temperature": sample.temperature,
            "top_p": sample.top_p,
        }
        yield {"custom_id": problem.id, "method": "POST", "url": URL, "body": body}
