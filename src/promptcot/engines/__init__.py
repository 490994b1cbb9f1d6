"""Where models answer: they sample, score and embed.

`protocol` is the whole interface; `open_engine` and `open_embedder` are the only doors. What an engine needs (torch, transformers) is
imported when one is opened, so importing this package costs nothing. It does set `OMP_WAIT_POLICY=PASSIVE`, unless the environment
says otherwise, because the setting is read when torch is loaded: threads that spin while they wait make a small model 8 times
slower (measured) as soon as another program wants one of the cores.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from promptcot.engines.vllm.fleet import FLEET
from promptcot.errors import MissingHere
from promptcot.recipe import EngineSpec

if TYPE_CHECKING:
    from promptcot.engines.openai.engine import OpenAIEngine
    from promptcot.engines.protocol import Embedder
    from promptcot.engines.scripted import ScriptedEngine
    from promptcot.engines.tabular import TabularEngine
    from promptcot.engines.transformers import TransformersEngine
    from promptcot.engines.vllm.engine import VllmEngine


os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def open_engine(folder: Path, spec: EngineSpec) -> TransformersEngine | TabularEngine | ScriptedEngine | OpenAIEngine | VllmEngine:
    """The engine `spec.kind` over the model in `folder`: a `Sampler` and a `Scorer`. Raises `MissingHere` without its libraries."""
    match spec.kind:
        case "tabular":
            from promptcot.engines.tabular import TabularEngine

            return TabularEngine.open(folder, spec)
        case "scripted":
            from promptcot.engines.scripted import ScriptedEngine

            return ScriptedEngine.open(folder, spec)
        case "transformers":
            _require_models_extra()
            from promptcot.engines.transformers import TransformersEngine

            FLEET.release()  # a server that nobody uses would hold the memory that these weights need

            return TransformersEngine.open(folder, spec)
        case "openai":
            _require_serve_extra()
            from promptcot.engines.openai.engine import OpenAIEngine

            return OpenAIEngine.open(folder, spec)
        case "vllm":
            _require_serve_extra()
            from promptcot.engines.vllm.engine import VllmEngine

            return VllmEngine.open(folder, spec)


def open_embedder(folder: Path) -> Embedder:
    """The sentence embedder in `folder`. Raises `MissingHere` without its libraries."""
    _require_models_extra()
    from promptcot.engines.minilm import MiniLMEmbedder

    return MiniLMEmbedder.open(folder)


def _require_models_extra() -> None:
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise MissingHere(
            f"running a model needs `{error.name}`, which is not installed", remedy="python -m pip install 'promptcot[models]'"
        ) from None


def _require_serve_extra() -> None:
    try:
        import httpx2  # noqa: F401
        import tenacity  # noqa: F401
    except ImportError as error:
        raise MissingHere(
            f"a served model needs `{error.name}`, which is not installed", remedy="python -m pip install 'promptcot[serve]'"
        ) from None
