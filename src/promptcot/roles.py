"""A role: weights, and how they are run. `generator`, `posterior`, `annotator` and the rest are values of this type."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from promptcot import models
from promptcot.engines import open_engine
from promptcot.executors import Artifact
from promptcot.recipe import EngineSpec, Recipe
from promptcot.segments import Segmenter
from promptcot.templates import TEMPLATES, Template


@dataclass(frozen=True)
class Role:
    """Weights in a folder with their fingerprint, the engine that runs them and the template around their texts."""

    name: str
    path: Path
    fingerprint: str
    engine: EngineSpec
    template: Template
    license: str = ""

    @property
    def digest(self) -> str:
        """What of a role can change results: the weights and the engine's numerics, not the device it happens to run on."""
        numerics = self.engine.model_dump(exclude={"device"})
        return f"{self.fingerprint}:{sorted(numerics.items())}"

    def open(self) -> Any:
        """The engine on these weights, a context manager; what it can do is checked by the step that uses it."""
        return open_engine(self.path, self.engine)

    def segmenter(self, engine: Any) -> Segmenter:
        """The token sequences of this role's template with an open engine's tokenizer."""
        return Segmenter(engine.tokenizer, self.template)

    def fitted(self, artifact: Artifact) -> Role:
        """The same role with the weights of a fit."""
        return replace(self, path=artifact.path, fingerprint=artifact.digest)


def resolve(recipe: Recipe, name: str) -> Role:
    """The role of a recipe with its weights at hand: fetched, converted and cached if they have to be."""
    spec = recipe.model(name)
    assert spec.path is not None
    path = models.resolve(spec.path, spec.revision)
    return Role(name, path, models.fingerprint(path), recipe.engines[spec.engine], TEMPLATES[spec.template], spec.license)
