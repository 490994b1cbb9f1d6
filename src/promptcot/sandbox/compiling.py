"""C++17 to a binary, inside a sandbox: a compiler reads files (`#include "/etc/passwd"`), and takes all the time and memory it is given."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, replace

from promptcot.errors import MissingHere
from promptcot.sandbox.bubblewrap import Inside
from promptcot.sandbox.launching import launch
from promptcot.sandbox.limits import MIB, Limits

COMPILER = "/usr/bin/g++"
LIMITS = Limits(cpu_s=30, wall_s=120, memory_mb=2048, files_mb=256)
"""A compiler that needs more is not given more; the program then does not compile."""

_SCRIPT = f"{COMPILER} -x c++ -std=gnu++17 -O2 -pipe -o /tmp/main /program/main.cpp >&2 && exec cat /tmp/main"
_BINARY = 64 * MIB
_SAID = 4096


@dataclass(frozen=True)
class Compiled:
    """A binary, or why there is none."""

    binary: bytes
    complaint: str = ""


def compile_cpp17(source: bytes, limits: Limits = LIMITS) -> Compiled:
    """Raises `MissingHere` without a compiler or a sandbox."""
    if not os.path.exists(COMPILER):
        raise MissingHere("no C++ compiler here", remedy="apt-get install g++")
    inside = Inside(("/bin/sh", "-c", _SCRIPT), replace(limits, output_mb=64), (("/program/main.cpp", source),), tools=True)
    with launch(inside, stderr=subprocess.PIPE) as process:
        binary, said = process.communicate(limit=_BINARY)
        ending = process.wait()
    if ending.code == 0 and not ending.why and binary:
        return Compiled(binary)
    limit = f"the compiler reached its limit of {ending.why}\n" if ending.why else ""
    return Compiled(b"", limit + said.decode(errors="replace")[:_SAID] or "the compiler said nothing")
