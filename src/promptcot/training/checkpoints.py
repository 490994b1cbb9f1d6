"""Checkpoints of a fit: FOLDER/step-00000040/ with `state.pt` and, written last, `complete.json`.

The marker holds the hashes of the files beside it and the identity of the fit. A folder without one, with another fit's, or whose files are
not those that it names is no checkpoint. A state is trainable weights, optimizer, random numbers and the metrics of all steps so far, so a
fit goes on with the losses that it would have had.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from promptcot.durable import disk_errors, make_folder, read_json, sha256_of, sync_folder, sync_tree, write_json
from promptcot.errors import UsageError

STATE, MARKER = "state.pt", "complete.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The checkpoints of one fit in a folder, one every `every` optimizer steps; the newest alone is kept."""

    folder: Path
    every: int
    identity: str

    def due(self, step: int, steps: int) -> bool:
        """Whether to keep the state after `step` steps of `steps`; after the last one the model itself is next."""
        return step % self.every == 0 and step < steps

    def save(self, step: int, state: Mapping[str, Any]) -> None:
        """Keep a state, then forget the older ones."""
        place = self.folder / f"step-{step:08d}"
        if place.exists():
            shutil.rmtree(place)
        make_folder(place)
        with disk_errors(place):
            torch.save(dict(state), place / STATE)
        sync_tree(place)
        marker = {"format": FORMAT, "identity": self.identity, "step": step, "sha256": {STATE: sha256_of(place / STATE)}}
        write_json(place / MARKER, marker)
        for other in self._places():
            if other != place:
                shutil.rmtree(other)
        sync_folder(self.folder)

    def latest(self) -> dict[str, Any] | None:
        """The newest state that is whole and of this fit, on the CPU; None without one."""
        for place in self._places():
            if self._is_whole(place):
                state: dict[str, Any] = torch.load(place / STATE, map_location="cpu", weights_only=True)
                return state
        return None

    def _places(self) -> list[Path]:
        return sorted(self.folder.glob("step-*"), reverse=True)

    def _is_whole(self, place: Path) -> bool:
        if not (place / MARKER).is_file():
            return False
        try:
            marker = read_json(place / MARKER)
        except UsageError:
            return False
        if (marker.get("format"), marker.get("identity")) != (FORMAT, self.identity):
            return False
        return all((place / name).is_file() and sha256_of(place / name) == digest for name, digest in marker["sha256"].items())
