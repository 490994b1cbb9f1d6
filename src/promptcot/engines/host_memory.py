"""What the C library does with freed memory: it keeps it for the next block while a model works on the CPU.

glibc hands every block over 32 MiB back to the kernel when it is freed, and the top of its heap soon after. A forward pass allocates
and frees such blocks at each layer and slice of logits, so the kernel maps and zeroes the same pages each time. Numbers do not change.
Elsewhere (musl, macOS, Windows), and where the environment sets `MALLOC_*` or `GLIBC_TUNABLES` itself, nothing is done.
"""

from __future__ import annotations

import ctypes
import os
import platform
from functools import cache

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
"""Names of `mallopt(3)`."""
LARGEST_KEPT = 512 << 20
"""Bytes of the largest block that is kept: temporaries are smaller, and larger weights still go back when they are freed."""
UNUSED_KEPT = (2 << 30) - 1
"""Bytes at the top of the heap that are kept unused: the most that `mallopt` takes."""
GROW_BY = 64 << 20
"""Bytes by which the heap grows beyond what is asked."""


def keep_freed_memory() -> bool:
    """Keep freed blocks for the blocks to come, in this process from now on; whether that can be had here."""
    libc = _glibc()
    if libc is None:
        return False
    wanted = ((M_MMAP_THRESHOLD, LARGEST_KEPT), (M_TRIM_THRESHOLD, UNUSED_KEPT), (M_TOP_PAD, GROW_BY))
    done = [libc.mallopt(name, value) == 1 for name, value in wanted]
    return all(done)


def release_freed_memory() -> None:
    """Give the freed blocks back: a model is closed, and what comes next may be another process."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    """The C library, if it is glibc and the environment leaves its settings to us."""
    settled = any(name.startswith("MALLOC_") and name.endswith("_") for name in os.environ) or "GLIBC_TUNABLES" in os.environ
    return None if settled or platform.libc_ver()[0] != "glibc" else ctypes.CDLL(None)
