"""What the processes of a test use, looked up from outside of its namespaces. Runs inside the sandbox, in the supervisor."""

from __future__ import annotations

import os

PAGE, TICK = os.sysconf("SC_PAGESIZE"), os.sysconf("SC_CLK_TCK")


class Looker:
    """All processes are the test's but for those that were there when this was made."""

    def __init__(self) -> None:
        self.ours = processes()
        self.begin(0, 0)

    def begin(self, first: int, memory: int) -> None:
        """Another test: the first process of its namespace, which is ours too, and the memory that it may have."""
        self.first, self.memory = str(first), memory
        self.cpu_s, self.peak = 0.0, 0

    def look(self) -> None:
        """CPU and memory of all processes of the test, in sum."""
        pids = processes() - self.ours - {self.first}
        cpu = fields(self.first)[2]
        resident = 0
        for pid in pids:
            own, pages, waited = fields(pid)
            cpu += own + waited
            resident += pages * PAGE
        if resident > self.memory:  # shared pages count once, which costs more to find out
            resident = sum(map(proportional, pids))
        self.cpu_s = max(self.cpu_s, cpu / TICK)
        self.peak = max(self.peak, resident)


def processes() -> set[str]:
    """All that are visible here."""
    return {name for name in os.listdir("/proc") if name.isdigit()}


def fields(pid: str) -> tuple[int, int, int]:
    """Own ticks of CPU, resident pages, and ticks of the children it has buried; zeros for who is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0, 0, 0
    return int(fields[11]) + int(fields[12]), int(fields[21]), int(fields[13]) + int(fields[14])


def proportional(pid: str) -> int:
    """Bytes of a process, shared pages split among those who share them; none for who is gone or hides."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            line = next(line for line in file if line.startswith(b"Pss:"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):
        pass
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * PAGE
    except OSError:
        return 0
