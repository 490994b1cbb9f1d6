"""The formats by name, what each is made of, and the export itself: license, rows, files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

import promptcot.exporting.dataset as dataset
import promptcot.exporting.facts as run_facts
import promptcot.exporting.licenses as licenses
import promptcot.exporting.released as released
import promptcot.exporting.requests as requests
import promptcot.exporting.trl as trl
import promptcot.exporting.verl as verl
import promptcot.exporting.weights as weights
from promptcot.errors import UsageError
from promptcot.exporting.facts import Facts
from promptcot.lines import write_lines
from promptcot.material import Material, of_file, of_run
from promptcot.recipe import Sample
from promptcot.store import Run

BATCH = Sample(max_tokens=4096)
"""How a batch samples where nothing is said."""


@dataclass(frozen=True, slots=True)
class Options:
    """What an export may be told: the served `model` of a batch and how to sample, the `role` whose weights are wanted."""

    model: str | None = None
    sample: Sample = BATCH
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written where: rows by kind, those left out for their license, and how many problems have no label where one is
    needed (`unlabeled`)."""

    path: Path
    rows: Mapping[str, int]
    left_out: Mapping[str, int]
    unlabeled: int = 0
    about: str = ""


@dataclass(frozen=True, slots=True)
class Format:
    """`needs`: which rows it is made of, in words; `labeled`: whether problems without a label are left out; `write` makes the files."""

    needs: str
    write: Callable[[Material, Facts, Path, Options, dict[str, int]], dict[str, int]]
    labeled: bool = False


def _lines(make: Callable[[Material], Iterator[Any]], name: str) -> Callable[..., dict[str, int]]:
    def write(material: Material, facts: Facts, path: Path, options: Options, left_out: dict[str, int]) -> dict[str, int]:
        return {name: write_lines(path, _some(make(material), name, material.where))}

    return write


def _some(rows: Iterator[Any], name: str, where: str) -> list[Any]:
    found = list(rows)
    if not found:
        raise UsageError(f"no {name} to export", where=where, remedy="run the stage that makes them, or widen --allow")
    return found


def _verl(material: Material, facts: Facts, path: Path, options: Options, left_out: dict[str, int]) -> dict[str, int]:
    rows = _some(verl.rows(material), "labeled problems", material.where)
    verl.write(path, pa.Table.from_pylist(rows, verl.SCHEMA))
    return {"labeled problems": len(rows)}


def _batch(material: Material, facts: Facts, path: Path, options: Options, left_out: dict[str, int]) -> dict[str, int]:
    teacher = facts.recipe.models.get("teacher") if facts.recipe else None
    model = options.model or (teacher.path if teacher else None)
    if model is None:
        raise UsageError("a batch names the model that is to answer", where="--model", remedy="give its served name")
    return {"problems": write_lines(path, _some(requests.rows(material, model, options.sample), "problems", material.where))}


def _dataset(material: Material, facts: Facts, path: Path, options: Options, left_out: dict[str, int]) -> dict[str, int]:
    dataset.require_empty(path)
    _some(iter([*material.problems, *material.pairs, *material.traces]), "rows", material.where)
    return dataset.write(material, facts, path, left_out)


def _released(material: Material, facts: Facts, path: Path, options: Options, left_out: dict[str, int]) -> dict[str, int]:
    dataset.require_empty(path)
    found = {name: list(make(material)) for name, make in released.FILES.items()}
    _some(iter([row for rows in found.values() for row in rows]), "rows", material.where)
    return {name: write_lines(path / name, rows) for name, rows in found.items() if rows}


FORMATS: dict[str, Format] = {
    "trl-messages": Format("traces", _lines(trl.messages, "traces")),
    "trl-completions": Format("traces", _lines(trl.completions, "traces")),
    "trl-preference": Format("pairs", _lines(trl.preference, "pairs")),
    "trl-prompts": Format("problems with labels", _lines(trl.prompts, "labeled problems"), labeled=True),
    "verl": Format("problems with labels", _verl, labeled=True),
    "openai-batch": Format("problems", _batch),
    "dataset": Format("problems, labels, traces, pairs: what there is", _dataset),
    "promptcot": Format("problems, labels, traces, pairs: what there is", _released),
}
"""By what `--to` calls them; `model`, which copies weights, is beside them."""
MODEL = "model"


def export(
    source: Path, to: str, out: Path, *, allow: Sequence[str] = (), options: Options | None = None, domain: str = "math"
) -> Exported:
    """Write what a run folder or a file holds in another format. Raises `UsageError` for an unknown one, or with nothing to write.

    `allow`: licenses; a row with another one is left out and counted (`none`: rows without). `domain`: of a file's rows that do not say."""
    options = options or Options()
    if to not in (*FORMATS, MODEL):
        raise UsageError(f"no format `{to}`", where="--to", remedy=f"one of {', '.join((*FORMATS, MODEL))}")
    _require_use(to, options, allow)
    run = Run.open(source) if source.is_dir() else None
    if to == MODEL:
        if run is None:
            raise UsageError("weights are in a run folder, not in a file", where=str(source))
        role, taken = weights.export(run, options.role, out)
        return Exported(out, {}, {}, about=f"the {role} from {taken}")
    material, left_out = licenses.only(of_run(run) if run else of_file(source, domain=domain), allow)
    facts = run_facts.of_run(run) if run else Facts(source.name)
    unlabeled = len(material.problems) - len(material.labeled) if FORMATS[to].labeled else 0
    return Exported(out, FORMATS[to].write(material, facts, out, options, left_out), left_out, unlabeled)


def _require_use(to: str, options: Options, allow: Sequence[str]) -> None:
    """Raise `UsageError` for an option that the format would pass over in silence."""
    idle = {"--role": options.role and to != MODEL, "--model": options.model and to != "openai-batch", "--allow": allow and to == MODEL}
    for name, vain in idle.items():
        if vain:
            remedy = "the card names the license of the weights" if name == "--allow" else "leave it out, or choose another format"
            raise UsageError(f"`{name}` means nothing for the format {to}", where=name, remedy=remedy)
