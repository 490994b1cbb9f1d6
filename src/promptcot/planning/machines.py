"""The machines that work is planned for: accelerators by their vendor's data sheet, or the CPU of this machine."""

from __future__ import annotations

import difflib
import importlib.util
import os
from dataclasses import dataclass

from promptcot.errors import UsageError
from promptcot.recipe import Recipe

GB = 1e9


@dataclass(frozen=True, slots=True)
class Machine:
    """`gpus` accelerators of one kind with `memory` bytes each, `flops` dense bf16 FLOP/s and `bandwidth` bytes/s; or a CPU (`cores`,
    main memory, one device), whose speeds are measured figures rather than a data sheet's."""

    gpu: str
    gpus: int
    memory: float
    flops: float
    bandwidth: float
    source: str
    cores: int = 0

    @property
    def is_cpu(self) -> bool:
        """Whether there is no accelerator."""
        return self.gpu == "CPU"

    def __str__(self) -> str:
        return (
            f"CPU, {self.cores} cores, {self.memory / GB:.0f} GB"
            if self.is_cpu
            else f"{self.gpus} x {self.gpu}, {self.memory / GB:.0f} GB each"
        )


_SHEETS = {
    "H100": (80, 989, 3.35, "NVIDIA H100 SXM data sheet: 80 GB, 989 TFLOP/s bf16 dense, 3.35 TB/s"),
    "H200": (141, 989, 4.8, "NVIDIA H200 SXM data sheet: 141 GB, 989 TFLOP/s bf16 dense, 4.8 TB/s"),
    "A100-80": (80, 312, 2.039, "NVIDIA A100 SXM 80GB data sheet: 312 TFLOP/s bf16 dense, 2.039 TB/s"),
    "L40S": (48, 362, 0.864, "NVIDIA L40S data sheet: 48 GB, 362 TFLOP/s bf16 dense, 864 GB/s"),
}

H100_BANDWIDTH = _SHEETS["H100"][2] * 1e12
"""Bytes a second: what `decode_rate` was stated for."""


def machine(gpu: str, gpus: int = 1) -> Machine:
    """A machine by the name of its accelerator, or this one's `CPU`. Raises `UsageError` for an unknown name."""
    if gpu == "CPU":
        memory = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        return Machine("CPU", 1, memory, 0.0, 0.0, "this machine", os.cpu_count() or 1)
    if gpu not in _SHEETS:
        known = [*_SHEETS, "CPU"]
        near = difflib.get_close_matches(gpu.upper(), known, n=1)
        raise UsageError(
            f"no accelerator `{gpu}`", where="--gpu", remedy=f"did you mean {near[0]}?" if near else f"one of: {', '.join(known)}"
        )
    if gpus < 1:
        raise UsageError(f"{gpus} accelerators are none", where="--gpus", remedy="at least 1")
    size, flops, bandwidth, source = _SHEETS[gpu]
    return Machine(gpu, gpus, size * GB, flops * 1e12, bandwidth * 1e12, source)


def here() -> Machine:
    """This machine: its accelerators where torch sees some, else its CPU. Raises `UsageError` for an accelerator without a data sheet."""
    names = _accelerators()
    if not names:
        return machine("CPU")
    gpu = next((known for known in _SHEETS if known.removesuffix("-80") in names[0]), None)
    if gpu is None:
        raise UsageError(f"no figures for `{names[0]}`", where="--gpu", remedy=f"name the nearest one: {', '.join(_SHEETS)}, or CPU")
    return machine(gpu, len(names))


def planned_machine(recipe: Recipe, gpu: str | None = None, gpus: int | None = None) -> Machine:
    """The machine to plan for: as asked, else the recipe's own, else this one."""
    if gpu is None and recipe.plan.gpu is None:
        found = here()
        return found if gpus is None or found.is_cpu else machine(found.gpu, gpus)
    return machine(gpu or str(recipe.plan.gpu), gpus or recipe.plan.gpus)


def _accelerators() -> list[str]:
    if importlib.util.find_spec("torch") is None:
        return []
    from promptcot.engines.devices import accelerators

    return accelerators()
