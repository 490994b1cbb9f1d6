"""How much a sandbox, or one test of a program, may use."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What untrusted code may use. `None`: no limit of that kind, for commands that live long."""

    cpu_s: float | None = 2.0
    """Seconds of CPU, of all processes in sum."""
    wall_s: float | None = 6.0
    """Seconds by the clock. Generous: on a loaded machine a right program waits for its turn."""
    memory_mb: int = 512
    """MiB of memory, of all processes in sum."""
    processes: int = 64
    """Processes and threads at one time."""
    output_mb: int = 16
    """MiB written to stdout and stderr, each."""
    files_mb: int = 64
    """MiB in files in sum; they live in memory and go with the test."""
    stack_mb: int = 64
    """MiB of a thread's stack."""

    @property
    def memory(self) -> int:
        """Bytes."""
        return self.memory_mb * MIB

    @property
    def address_space(self) -> int:
        """Bytes of address space of one process: a bound on how far memory can overshoot between two looks at the sum."""
        return 2 * self.memory + 1024 * MIB
