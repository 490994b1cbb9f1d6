"""The finished tables of a run, for the sections of its report. Reads, never writes; what is not there is empty."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from promptcot.recipe import Recipe
from promptcot.records import Dropped, Record
from promptcot.stages import active
from promptcot.store import Manifest, Run, shard_name
from promptcot.tables import from_table, read_parquet

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class RunTables:
    """A run's tables under its recipe: those of stages that the recipe no longer has are left out."""

    run: Run
    recipe: Recipe

    def steps(self, prefix: str = "") -> list[str]:
        """Names of the finished steps at `prefix` or below it (`self_play` finds `self_play/1/pairs`), sorted, numbers as numbers."""
        stages = set(active(self.recipe))
        own = [name for name in self.run.steps() if name.split("/")[0] in stages and f"{name}/".startswith(f"{prefix}/" if prefix else "")]
        return sorted((name for name in own if self.run.manifest(name) is not None), key=_natural)

    def manifest(self, step: str) -> Manifest | None:
        """The manifest of a finished step of the recipe, else None."""
        return self.run.manifest(step) if step.split("/")[0] in active(self.recipe) else None

    def rows(self, step: str, record: type[R]) -> list[R]:
        """The rows of a finished step; empty where there is none."""
        return self._read(step, "part", record)

    def drops(self, step: str) -> list[Dropped]:
        """What a finished step dropped."""
        return self._read(step, "dropped", Dropped)

    def files(self, step: str, kind: str = "part") -> list[Path]:
        """The parquet files of a finished step, in order: of its rows (`part`) or its drops (`dropped`)."""
        manifest = self.manifest(step)
        if manifest is None:
            return []
        paths = (self.run.path / step / manifest.key / shard_name(kind, index, "parquet") for index in range(manifest.shards))
        return [path for path in paths if path.is_file()]

    def _read(self, step: str, kind: str, record: type[R]) -> list[R]:
        return from_table(read_parquet(self.files(step, kind), record), record)


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split("/")]
