"""The random numbers of a draw: a function of (run seed, request id, draw, step) and of nothing else."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def uniforms(seed: int, request: str, draw: int, steps: int) -> NDArray[np.float64]:
    """u in [0, 1) for each step, float64 [steps]. A longer vector begins with the shorter one.

    Philox is counter based: streams of different keys are independent, so neither the order of requests nor their place in
    a batch can change a draw's numbers."""
    key = hashlib.blake2b(f"{seed}\0{draw}\0{request}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key))).random(steps)
