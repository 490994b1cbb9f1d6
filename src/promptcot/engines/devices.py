"""Which devices torch sees here."""

from __future__ import annotations

import torch


def accelerators() -> list[str]:
    """The CUDA devices by name."""
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []


def describe() -> str:
    """The accelerators by name, or the CPU and its threads."""
    if named := accelerators():
        return ", ".join(named)
    if torch.backends.mps.is_available():
        return "Apple GPU"
    return f"none; CPU with {torch.get_num_threads()} threads (torch {torch.__version__})"
