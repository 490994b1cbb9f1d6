"""Which devices torch sees here."""

from __future__ import annotations

import torch


def describe() -> str:
    """The accelerators by name, or the CPU and its threads."""
    if torch.cuda.is_available():
        return ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    if torch.backends.mps.is_available():
        return "Apple GPU"
    return f"none; CPU with {torch.get_num_threads()} threads (torch {torch.__version__})"
