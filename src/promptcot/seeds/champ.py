"""CHAMP: 270 competition problems with concepts, hints, solution steps and answers (MIT; package `champ-dataset`).

Only its one data file is read; the graded model conversations in it are left alone, and the package's code is never imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from promptcot.errors import MissingHere, UsageError

LICENSE = "MIT"
FIRST_STEPS = 2
"""Solution steps that join the hints in the rationale: enough to show the idea, short of the answer."""


def data_file() -> Path:
    """The installed data file. Raises `MissingHere` without the package."""
    spec = find_spec("champ_dataset")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        file = Path(folder) / "dataset_files" / "v0.json"
        if file.is_file():
            return file
    raise MissingHere("CHAMP is not installed", where="champ", remedy="python -m pip install champ-dataset")


def recognized(document: Any) -> bool:
    """Whether a JSON document has CHAMP's shape."""
    return isinstance(document, Mapping) and all(isinstance(document.get(key), Mapping) for key in ("problems", "concepts", "hints"))


def joined(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row per problem: `identifier`, `_text`, `_answer`, `category`, `concepts`, `hints`, `steps`, references resolved.

    Concepts are the category and, for each concept of the problem, its name or else its statement. Raises `UsageError`."""
    try:
        return [_row(problem, document["concepts"], document["hints"]) for problem in document["problems"].values()]
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"the file begins like CHAMP but differs inside: {error!r}", remedy="use the data file of champ-dataset 1.0"
        ) from error


def _row(problem: Mapping[str, Any], concepts: Mapping[str, Any], hints: Mapping[str, Any]) -> dict[str, Any]:
    used = [concepts[key] for key in problem["ch_list"] if key in concepts]
    names = [problem["category"].replace("-", " ").lower(), *((c["name"] or c["_text"]).strip() for c in used)]
    return {
        "identifier": problem["identifier"],
        "_text": problem["_text"],
        "_answer": problem["_answer"],
        "category": problem["category"],
        "concepts": list(dict.fromkeys(names)),
        "hints": [hints[key]["_text"] for key in problem["ch_list"] if key in hints],
        "steps": [step["_text"] for step in problem["solution"]["steps"]],
    }


def rationale(row: Mapping[str, Any]) -> str:
    """The hints, then the first solution steps, repetitions left out; the last step, which states the answer, is never used."""
    return " ".join(dict.fromkeys([*row["hints"], *row["steps"][:-1][:FIRST_STEPS]]))
