"""Checkpoints of a fit: FOLDER/step-00000040/ with `shard-*.safetensors`, one a process, and, written last, `complete.json`.

The marker holds the hashes of the files beside it, the identity of the fit and the metrics of all steps so far. A folder without one, with
another fit's, or whose files are not those that it names is no checkpoint. The files hold a `state` in the format of torch's distributed
checkpoints: each process writes the parts that it holds, and reads the parts that it needs, so that a fit may go on with more or fewer
processes, with the losses that it would have had. Nothing in them can run.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from promptcot.durable import make_folder, read_json, sha256_of, sync_folder, sync_tree, write_json
from promptcot.errors import UsageError
from promptcot.training import group

MARKER = "complete.json"
FORMAT = 2


@dataclass(frozen=True, slots=True)
class Kept:
    """A whole checkpoint: its folder, and a line of metrics for every step up to it."""

    place: Path
    history: tuple[dict[str, Any], ...]

    def names(self) -> frozenset[str]:
        """Of its tensors."""
        return frozenset(HuggingFaceStorageReader(str(self.place)).read_metadata().state_dict_metadata)

    def read_into(self, state: dict[str, Tensor]) -> None:
        """Fill tensors by their names; of sharded ones, what this process holds. All processes of a fit have to call it."""
        with _one_process_or_many():
            load(state, storage_reader=HuggingFaceStorageReader(str(self.place)), no_dist=not group.is_shared())


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The checkpoints of one fit in a folder, one every `every` optimizer steps; the newest alone is kept.

    All processes of a fit have to call `save` and `latest`."""

    folder: Path
    every: int
    identity: str

    def due(self, step: int, steps: int) -> bool:
        """Whether to keep the state after `step` steps of `steps`; after the last one the model itself is next."""
        return step % self.every == 0 and step < steps

    def save(self, step: int, state: Mapping[str, Tensor], history: Sequence[Mapping[str, Any]]) -> None:
        """Keep a state, then forget the older ones."""
        place = self.folder / f"step-{step:08d}"
        if group.rank() == 0:
            if place.exists():
                shutil.rmtree(place)
            make_folder(place)
        group.gathered(None)
        with _one_process_or_many(), _writing(place):
            writer = HuggingFaceStorageWriter(str(place), save_distributed=True)
            save(dict(state), storage_writer=writer, no_dist=not group.is_shared())
        digests = group.gathered({path.name: sha256_of(path) for path in place.glob(f"shard-{group.rank() + 1:05d}-*")})
        if group.rank() == 0:
            sync_tree(place)
            files = {name: digest for part in digests for name, digest in part.items()}
            marker = {"format": FORMAT, "identity": self.identity, "step": step, "sha256": files, "history": list(map(dict, history))}
            write_json(place / MARKER, marker)
            for other in self._places():
                if other != place:
                    shutil.rmtree(other)
            sync_folder(self.folder)
        group.gathered(None)

    def latest(self) -> Kept | None:
        """The newest state that is whole and of this fit; None without one. The processes share the reading, and agree."""
        for name in group.gathered([place.name for place in self._places()])[0]:
            place = self.folder / name
            marker = self._marker(place)
            if all(group.gathered(marker is not None and self._is_whole(place, marker))):
                assert marker is not None
                return Kept(place, tuple(marker["history"]))
        return None

    def _places(self) -> list[Path]:
        return sorted(self.folder.glob("step-*"), reverse=True)

    def _marker(self, place: Path) -> dict[str, Any] | None:
        if not (place / MARKER).is_file():
            return None
        try:
            marker = read_json(place / MARKER)
        except UsageError:
            return None
        return marker if (marker.get("format"), marker.get("identity")) == (FORMAT, self.identity) else None

    @staticmethod
    def _is_whole(place: Path, marker: Mapping[str, Any]) -> bool:
        """Whether this process's share of the files is what the marker says."""
        mine = sorted(marker["sha256"].items())[group.rank() :: group.size()]
        return all((place / name).is_file() and sha256_of(place / name) == digest for name, digest in mine)


@contextmanager
def _one_process_or_many() -> Iterator[None]:
    """Without torch's warning that there is but one process, which is no accident."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)
        yield


@contextmanager
def _writing(place: Path) -> Iterator[None]:
    """Turn what torch raises while it writes (no `Exception`) into an error that a person can act on."""
    try:
        yield
    except CheckpointException as error:
        what = "; ".join(dict.fromkeys(str(failure[0]) for failure in error.failures.values()))
        raise UsageError(f"cannot write: {what}", where=str(place), remedy="free space or rights, then run again") from None
