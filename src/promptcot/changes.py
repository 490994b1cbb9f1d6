"""A recipe that changed: say what would be redone, and redo or keep it only on request.

A step whose key changed although it has results makes the run stop with the fields that changed and the seconds of work at stake,
unless that work is small (`SMALL` seconds), `--redo STAGE` asks for it (and for all stages after it), or `--keep STAGE` keeps
the old result, which is then recorded in the step's `current.json`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from promptcot.durable import canonical
from promptcot.errors import UsageError
from promptcot.store import Run, StepSpec, entries_in

SMALL = 60.0
"""Seconds of finished work that are redone without asking."""


class Changes:
    """Decides which key a step works under. `stages` in the order of the data."""

    def __init__(self, stages: Sequence[str], redo: Collection[str] = (), keep: Collection[str] = ()) -> None:
        for name in (*redo, *keep):
            if name not in stages:
                raise UsageError(f"no stage `{name}`", where="--redo/--keep", remedy=f"stages of this recipe: {', '.join(stages)}")
        self.stages, self.keep = tuple(stages), frozenset(keep)
        first = min((self.stages.index(name) for name in redo), default=len(self.stages))
        self.redo = frozenset(self.stages[first:])

    def __call__(self, spec: StepSpec, run: Run) -> str:
        """The key to work under: the spec's own, or the current one where it is kept."""
        current = run.current(spec.name)
        if current is None or current == spec.key:
            return spec.key
        stage = spec.name.split("/")[0]
        if (run.path / spec.name / spec.key / "manifest.json").is_file():
            return spec.key
        kept = run.kept(spec.name)
        if kept is not None and kept["wanted"] == spec.key and stage not in self.redo:
            return current
        changed = list(differences(run.pointer(spec.name), spec))
        finished = run.manifest(spec.name) is not None
        if stage in self.keep and finished:
            run.keep(spec.name, {"wanted": spec.key, "changed": changed})
            return current
        at_stake = self._seconds(run, stage)
        if stage in self.redo or at_stake <= SMALL:
            self.redo |= self._from(stage)  # allowed once, allowed to its end: the new work must not count against itself
            return spec.key
        run.put_back()
        keep = f"--keep {stage} keeps it" if finished else "with its former settings it goes on where it stopped"
        raise UsageError(
            f"`{spec.name}` was made with other settings: {'; '.join(changed) or 'its schema changed'}",
            where=str(run.path / spec.name),
            remedy=f"--redo {stage} redoes it and what follows ({at_stake:.0f} s of finished work); {keep}",
        )

    def _seconds(self, run: Run, stage: str) -> float:
        later = self._from(stage)
        return sum(spent(run, name) for name in run.steps() if name.split("/")[0] in later)

    def _from(self, stage: str) -> frozenset[str]:
        """A stage and those after it."""
        return frozenset(self.stages[self.stages.index(stage) :] if stage in self.stages else (stage,))


def spent(run: Run, name: str) -> float:
    """Seconds of finished work under a step's current key."""
    manifest = run.manifest(name)
    if manifest is not None:
        return manifest.seconds
    folder = run.path / name / (run.current(name) or "-")
    return sum(entry.seconds for entry in entries_in(folder).values())


def differences(old: Mapping[str, Any], spec: StepSpec) -> Iterator[str]:
    """`field: old -> new` against a step's `Run.pointer`, settings in full and inputs by name."""
    was, now = (dict(_fields(json.loads(canonical(settings)), "")) for settings in (old.get("settings") or {}, spec.settings))
    for name in sorted({*was, *now}):
        if was.get(name) != now.get(name):
            yield f"{name}: {was.get(name)!r} -> {now.get(name)!r}"
    inputs = old.get("inputs") or {}
    for name in sorted({*inputs, *spec.inputs}):
        if inputs.get(name) != spec.inputs.get(name):
            yield f"its input `{name}` changed"


def _fields(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The leaves of nested maps and lists of maps, by dotted path."""
    if isinstance(value, dict):
        nested = value.items()
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        nested = {str(n): item for n, item in enumerate(value)}.items()
    else:
        yield path, value
        return
    for key, item in nested:
        yield from _fields(item, f"{path}.{key}" if path else key)
