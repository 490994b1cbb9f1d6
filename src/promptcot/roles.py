"""A role: weights, and how they are run. `generator`, `posterior`, `annotator` and the rest are values of this type."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from promptcot import models
from promptcot.durable import canonical
from promptcot.engines import open_engine
from promptcot.errors import UsageError
from promptcot.executors import Artifact
from promptcot.metering import Meter
from promptcot.recipe import EngineSpec, ModelSpec, Recipe
from promptcot.records import Triple
from promptcot.segments import Segmenter
from promptcot.tables import to_json
from promptcot.templates import TEMPLATES, Template

WHERE_IT_RUNS = frozenset(
    {
        *("device", "urls", "key_env", "concurrency", "requests_per_minute", "timeout_s", "retries", "scoring"),
        *("usd_per_million_in", "usd_per_million_out", "python", "gpus", "gpu_memory", "start_timeout_s"),
    }
)
"""Settings of an engine that cannot change results, and so are no part of a step's key."""


@dataclass(frozen=True)
class Role:
    """Weights in a folder with their fingerprint, the engine that runs them and the template around their texts."""

    name: str
    path: Path
    fingerprint: str
    engine: EngineSpec
    template: Template
    license: str = ""
    shots: tuple[Triple, ...] = ()
    """Annotated triples shown in the prompt of a model that was not fitted."""

    @property
    def digest(self) -> str:
        """What of a role can change results: the weights, the words around texts and the engine's numerics, not the device it runs on."""
        numerics = self.engine.model_dump(exclude=set(WHERE_IT_RUNS))
        return f"{self.fingerprint}:{self._wording}:{sorted(numerics.items())}"

    @property
    def _wording(self) -> str:
        words = [type(self.template).__name__, asdict(self.template), [to_json(shot) for shot in self.shots]]
        return hashlib.sha256(canonical(words).encode()).hexdigest()[:16]

    @contextmanager
    def open(self, meter: Meter | None = None) -> Iterator[Any]:
        """The engine on these weights; what it can do is checked by the step that uses it. A step counts by its workplace's `meter`; who
        only looks at tokens needs none."""
        engine = open_engine(self.path, self.engine)
        with meter.reading(lambda: engine.usage) if meter else nullcontext(), engine:
            yield engine

    @property
    def here(self) -> Role:
        """The same weights under the engine of the environment that trains."""
        return replace(self, engine=self.engine.model_copy(update={"kind": self.trained_as}))

    @property
    def served(self) -> bool:
        """Whether the model answers from behind a server: then a step keeps every answer as it comes, in a journal."""
        return self.engine.served

    @property
    def handed_over(self) -> bool:
        """Whether the weights in this role's folder are those that a server runs: it is started on them, or loads them by path."""
        return self.engine.kind == "vllm" or (self.engine.kind == "openai" and "{path}" in (self.engine.model or ""))

    @property
    def trained_as(self) -> str:
        """The kind of engine whose weights these are: for a served model, by what its folder holds."""
        if not self.served:
            return self.engine.kind
        return "tabular" if (self.path / "tabular.json").is_file() else "transformers"

    def require_scorer(self, meter: Meter) -> None:
        """Raise `MissingHere` where the model's server cannot score given text; other engines always can."""
        if self.engine.kind == "openai":
            with self.open(meter) as engine:
                engine.require_scorer()

    def require_trainable(self) -> None:
        """Raise `UsageError` where weights fitted here would never reach the server that is to run them."""
        if self.served and not self.handed_over:
            raise UsageError(
                f"`{self.name}` is to be fitted, but the servers at {', '.join(self.engine.urls)} would go on serving its old weights",
                where=f"models.{self.name}",
                remedy="use an engine of kind `vllm` or `transformers`; or `model: '{path}'` for a server that loads models by path",
            )

    @property
    def bare(self) -> Role:
        """The same model without examples in its prompt: as a fit sees it, and as what was fitted is used."""
        return replace(self, shots=())

    def segmenter(self, engine: Any) -> Segmenter:
        """The token sequences of this role's template with an open engine's tokenizer."""
        plain = Segmenter(engine.tokenizer, self.template)
        return plain.showing(self.shots) if self.shots else plain

    def fitted(self, artifact: Artifact) -> Role:
        """The same role with the weights of a fit, which needs no examples in its prompt."""
        return replace(self, path=artifact.path, fingerprint=artifact.digest, shots=())


def resolve(recipe: Recipe, name: str) -> Role:
    """The role of a recipe with its weights at hand: fetched, converted and cached if they have to be."""
    spec = recipe.model(name)
    assert spec.path is not None
    engine = recipe.engines[spec.engine]
    if engine.kind == "openai" and not models.is_local(spec.path):
        path, fingerprint = Path(spec.path), f"served:{engine.model or spec.path}@{spec.revision or ''}"
    else:
        path = models.resolve(spec.path, spec.revision)
        fingerprint = models.fingerprint(path)
    return Role(name, path, fingerprint, engine, TEMPLATES[spec.template], license_of(spec))


def license_of(spec: ModelSpec) -> str:
    """The license of a model: as the recipe states it, else as it is known of an alias."""
    alias = models.alias_of(spec.path or "")
    return spec.license or (alias.license if alias else "")
