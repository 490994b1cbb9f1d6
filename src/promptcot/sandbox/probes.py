"""Does the sandbox hold? Small hostile programs, really run; each says of itself whether it got through."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from promptcot.sandbox.bubblewrap import prefix
from promptcot.sandbox.limits import Limits
from promptcot.sandbox.programs import Language, Program, Ran, Session, Status

LIMITS = Limits(cpu_s=0.5, wall_s=20, memory_mb=96, processes=16, output_mb=1, files_mb=4)

_HOST_FILES = """
import os
def readable(path):
    try:
        return bool(os.listdir(path)) if os.path.isdir(path) else bool(open(path, "rb").read(1))
    except OSError:
        return False
print([path for path in PATHS if readable(path)] or "held")
"""

_NETWORK = """
import socket
through = []
tried = ((2, 1, ("1.1.1.1", 53)), (2, 2, ("8.8.8.8", 53)), (1, 1, "/var/run/docker.sock"), (16, 3, None), (17, 3, None))
for family, kind, address in tried:
    try:
        s = socket.socket(family, kind)
        s.settimeout(1)
        if address:
            s.connect(address)
            s.send(b"x")
        through.append((family, address))
    except OSError:
        pass
print(through or "held")
"""

_WRITE = """
import os
through = []
for folder in ("/", "/usr/lib", "/etc", "/program", "/sandbox", "/dev", "/proc/sys/kernel", "/var/tmp"):
    try:
        open(folder + "/planted", "w").close()
        through.append(folder)
    except OSError:
        pass
print(through or "held")
"""

_KERNEL = """
import ctypes, errno
libc, through = ctypes.CDLL(None, use_errno=True), []
calls = {
    "x86_64": dict(ptrace=101, bpf=321, keyctl=250, perf=298, userfaultfd=323, io_uring=425, mount=165, unshare=272, by_handle=304),
    "aarch64": dict(ptrace=117, bpf=280, keyctl=219, perf=241, userfaultfd=282, io_uring=425, mount=40, unshare=97, by_handle=265),
}
import os
for name, number in calls[os.uname().machine].items():
    ctypes.set_errno(0)
    if libc.syscall(number, 0, 0, 0, 0, 0) >= 0 or ctypes.get_errno() not in (errno.EPERM, errno.ENOSYS):
        through.append(name)
print(through or "held")
"""

_FORKS = """
import os, time
n = 0
try:
    for n in range(400):
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
except OSError:
    pass
print("held" if n < 60 else n, flush=True)
os._exit(0)
"""

_DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(60)
    os._exit(0)
open("/tmp/left", "w").write("left")
open("/dev/shm/left", "w").write("left")
print("held", flush=True)
os._exit(0)
"""

_REMAINS = """
import os
others = [name for name in os.listdir("/proc") if name.isdigit() and int(name) > 2]
print(others + os.listdir("/tmp") + os.listdir("/dev/shm") or "held")
"""

_MEMORY = "held = [bytearray(b'x') * (1 << 20) for _ in range(1000)]"
_DISK = "open('/tmp/big', 'wb').write(b'x' * (64 << 20))"
_TIME = "while True: pass"
_OUTPUT = "while True: print('x' * 4096)"


@dataclass(frozen=True)
class Probe:
    """One attempt. `held` judges the run."""

    name: str
    source: str
    held: Callable[[Ran], bool]


def _says_held(ran: Ran) -> bool:
    return ran.stdout.strip() == b"held"


def _ends_with(*statuses: Status) -> Callable[[Ran], bool]:
    return lambda ran: ran.status in statuses


PROBES = (
    Probe("host files", _HOST_FILES, _says_held),
    Probe("network", _NETWORK, _says_held),
    Probe("writing outside", _WRITE, _says_held),
    Probe("kernel calls", _KERNEL, _says_held),
    Probe("fork bomb", _FORKS, _says_held),
    Probe("memory", _MEMORY, _ends_with(Status.MEMORY_LIMIT)),
    Probe("disk", _DISK, _ends_with(Status.RUNTIME_ERROR)),
    Probe("time", _TIME, _ends_with(Status.TIME_LIMIT)),
    Probe("output", _OUTPUT, _ends_with(Status.OUTPUT_LIMIT)),
)
"""What is tried, each on its own; surviving the verdict is tried with two runs."""

SURVIVAL = "surviving the verdict"


def probe() -> dict[str, bool]:
    """Every probe's name and whether the sandbox held. Seconds. Raises `MissingHere` without a sandbox."""
    found = {}
    with tempfile.TemporaryDirectory() as folder, Session(_ANY, LIMITS) as session:
        secret = Path(folder) / "secret"
        secret.write_text("a file of the host that anybody may read")
        os.chmod(folder, 0o755)
        for attempt in PROBES:
            found[attempt.name] = attempt.held(session.run(f"PATHS = {_wanted(secret)!r}\n{attempt.source}".encode()))
        planted = session.run(_DAEMON.encode())
        found[SURVIVAL] = _says_held(planted) and _says_held(session.run(_REMAINS.encode()))
    with Session(_ANY, LIMITS) as another:
        found[SURVIVAL] &= _says_held(another.run(_REMAINS.encode()))
    return found


_ANY = Program("import sys; exec(sys.stdin.read())", Language.PYTHON)
"""One sandbox serves all probes, as it does the tests of a program."""


def _wanted(secret: Path) -> list[str]:
    """What must not be readable. Folders above the interpreter are there, with nothing else in them."""
    paths = ["/etc/passwd", "/etc/shadow", "/etc/hostname", "/root", "/home", "/var", "/run", "/sys", "/boot", str(secret), str(Path.cwd())]
    return [path for path in paths if not prefix().startswith(path.rstrip("/") + "/")]
