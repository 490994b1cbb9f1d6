"""Starts one sandbox, watches it, and ends it with everything in it.

    python -I -S KEEPER_FD keeper.py SPEC_FD CONTROL_FD

Run as a file of its own, compiled already; the name is for who lists processes. Standard input, output and error are the sandboxed
command's and are passed on. SPEC_FD holds a marshaled dictionary (see `process`). CONTROL_FD is a socket: a byte from the other end, or its
closing, which the kernel sees to when the starter is killed, ends the sandbox. One line comes back when nothing of the sandbox is left:
`CODE WHY CPU_S PEAK`.

A process of its own, because the kernel's signal at a parent's death follows the *thread* that started a child; because as root it
gives up its rights between fork and exec, which no process with threads can do safely; and because it alone adopts what the sandbox leaves.

As root: the folders that the sandbox may read are first bound, in a mount namespace of its own, to a place that an unprivileged user can
reach (an interpreter below /root, say), then the command runs under a uid that no other sandbox of this machine has.
"""

from __future__ import annotations

import _socket  # like `marshal`, in place of modules that take longer to import than a sandbox to start
import ctypes
import marshal
import os
import select
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FIRST_UID, UIDS = 40_000, 20_000
SIGKILL = 9
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 1, 4, 36
CLONE_NEWNS = 0x00020000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 0x2, 0x4, 0x1000, 0x4000, 0x40000
STAGES = ("/mnt", "/media", "/srv", "/opt", "/var/tmp")
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGESIZE")
CGROUPS = "promptcot-sandbox-"

libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Start, watch, end, report."""
    spec, control = marshal.loads(_read_all(int(sys.argv[2]))), int(sys.argv[3])
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    uid, reservation = _reserve_uid() if os.geteuid() == 0 else (None, None)
    group = Cgroup.create(spec) if uid is not None else None
    argv = _staged(spec) if uid is not None else spec["argv"]
    child = os.fork()
    if child == 0:
        _become(argv, spec, uid, group, (control, reservation))
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    for fd in spec["fds"]:
        os.close(fd)
    why, used = _watch(child, control, spec)
    code = _end(child)
    if group is not None:
        why = why or ("memory" if group.hit() else "")
        group.remove()
    try:  # noqa: SIM105  contextlib is one more import
        os.write(control, f"{code} {why or '-'} {max(used.cpu_s, _spent()):.4f} {used.peak}\n".encode())
    except OSError:
        pass  # the starter is gone; nobody asks
    os._exit(0)  # an interpreter takes its time to end


def _become(argv: list[str], spec: dict[str, Any], uid: int | None, group: Cgroup | None, ours: tuple[Any, ...]) -> None:
    """Turn this fork into the sandbox. Never returns."""
    try:
        libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
        if group is not None:
            group.enter()
        os.close(ours[0])
        if uid is not None:
            ours[1].close()
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        for fd in spec["fds"]:
            os.set_inheritable(fd, True)
        os.execve(argv[0], argv, {"PATH": "/usr/bin:/bin"})
    except BaseException as error:  # noqa: BLE001  a forked child must not go on as its parent
        os.write(2, f"the sandbox did not start: {error!r}\n".encode())
    finally:
        os._exit(127)


def _reserve_uid() -> tuple[int, _socket.socket]:
    """A uid of its own, held by an abstract socket's name: it is free again the moment that this process is gone."""
    start = os.getpid()
    for step in range(UIDS):
        uid = FIRST_UID + (start + step * 7919) % UIDS
        lock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            lock.bind(f"\0promptcot-sandbox-uid-{uid}")
        except OSError:
            lock.close()
            continue
        return uid, lock
    raise SystemExit("no uid is free for a sandbox")


def _staged(spec: dict[str, Any]) -> list[str]:
    """The command with every folder of `spec["stage"]` replaced by a place that any user can reach; as it is where mounting is denied."""
    argv: list[str] = spec["argv"]
    place = next((p for p in STAGES if os.path.isdir(p) and not any((s + "/").startswith(p + "/") for s in spec["stage"])), None)
    if place is None or libc.unshare(CLONE_NEWNS):
        return argv
    if libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None):
        return argv
    if libc.mount(b"tmpfs", place.encode(), b"tmpfs", MS_NOSUID | MS_NODEV, b"mode=0755,size=1m"):
        return argv
    moved = {}
    for index, source in enumerate(spec["stage"]):
        target = f"{place}/{index}"
        if os.path.isdir(source):
            os.mkdir(target, 0o755)
        else:
            open(target, "w").close()
        if libc.mount(source.encode(), target.encode(), None, MS_BIND | MS_REC, None) == 0:
            moved[source] = target
    out = [_moved(argv[0], moved)]
    for before, word in zip(argv, argv[1:], strict=False):  # noqa: RUF007  itertools is one more import
        out.append(_moved(word, moved) if before == "--ro-bind" else word)
        if word == "--":
            return out + argv[len(out) :]
    return out


def _moved(path: str, moved: dict[str, str]) -> str:
    for source, target in moved.items():
        if path == source or path.startswith(source + "/"):
            return target + path[len(source) :]
    return path


class Used:
    """What the sandbox has used so far: CPU in seconds, and the most memory seen, in bytes."""

    def __init__(self) -> None:
        self.cpu_s, self.peak, self.now = 0.0, 0, 0


def _watch(child: int, control: int, spec: dict[str, Any]) -> tuple[str, Used]:
    """Wait for an end: the command's own (``""``), a limit (its name), or the starter's wish ("killed")."""
    used, began, end = Used(), time.monotonic(), os.pidfd_open(child)
    poller = select.poll()
    for fd in (control, end):
        poller.register(fd, select.POLLIN)
    while True:
        ready = [fd for fd, _ in poller.poll(spec["every_s"] * 1000)]
        if end in ready:
            return "", used
        if control in ready or os.getppid() != spec["parent"]:  # a fork of the starter may hold the socket open
            return "killed", used
        _measure(child, used, spec["memory"])
        if used.now > spec["memory"]:
            return "memory", used
        if spec["cpu_s"] is not None and used.cpu_s > spec["cpu_s"]:
            return "cpu", used
        if spec["wall_s"] is not None and time.monotonic() - began > spec["wall_s"]:
            return "wall", used


def _measure(root: int, used: Used, limit: int) -> None:
    pids = _tree(root)
    cpu = resident = 0
    for pid in pids:
        try:
            stat = _proc(pid, "stat").rpartition(b")")[2].split()
        except OSError:
            continue
        cpu += sum(map(int, stat[11:15]))
        resident += int(stat[21]) * PAGE
    if resident > limit:  # shared pages count once, which costs more to find out
        resident = sum(map(_proportional, pids))
    used.cpu_s = max(used.cpu_s, cpu / TICK)
    used.now, used.peak = resident, max(used.peak, resident)


def _proportional(pid: int) -> int:
    """Bytes of a process, shared pages split among those who share them; the resident size where that may not be read."""
    try:
        line = next(line for line in _proc(pid, "smaps_rollup").splitlines() if line.startswith(b"Pss:"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):
        pass
    try:
        return int(_proc(pid, "statm").split()[1]) * PAGE
    except OSError:
        return 0


def _tree(root: int) -> list[int]:
    """A process and its descendants. Children of other threads than the first are asked for too."""
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                todo += map(int, _proc(pid, f"task/{thread}/children").split())
        except OSError:
            continue
    return found


def _proc(pid: int, name: str) -> bytes:
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read()


def _end(child: int) -> int:
    """Kill what is left, wait until the kernel has buried it, and return the command's exit code, negative for a signal."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return -SIGKILL if code is None else code
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
        elif pid == 0:
            for found in reversed(_tree(os.getpid())[1:]):
                try:
                    os.kill(found, SIGKILL)
                except OSError:
                    continue
            time.sleep(0.0005)


def _spent() -> float:
    used = os.times()
    return used.children_user + used.children_system


class Cgroup:
    """A control group around one sandbox, version 1 or 2: the kernel's own bound beside what is watched here."""

    def __init__(self, folders: list[str], version: int) -> None:
        self.folders, self.version = folders, version

    @classmethod
    def create(cls, spec: dict[str, Any]) -> Cgroup | None:
        """None where control groups cannot be written."""
        for version, parents in _cgroup_parents():
            group = cls([], version)
            try:
                for parent in parents:
                    _sweep(parent)
                    folder = os.path.join(parent, f"{CGROUPS}{os.getpid()}")
                    os.mkdir(folder)
                    group.folders.append(folder)
                    group._limit(folder, spec)
                return group
            except OSError:
                group.remove()
        return None

    def _limit(self, folder: str, spec: dict[str, Any]) -> None:
        memory = os.path.join(folder, "memory.max" if self.version == 2 else "memory.limit_in_bytes")
        pids = os.path.join(folder, "pids.max")
        if self.version == 2 or os.path.exists(memory):
            _write(memory, spec["cgroup_memory"])
        if os.path.exists(pids):
            _write(pids, spec["cgroup_pids"])

    def enter(self) -> None:
        """Put this process, and what it will start, into the group; in version 1 one thread moves itself without a global lock."""
        for folder in self.folders:
            _write(os.path.join(folder, "cgroup.procs" if self.version == 2 else "tasks"), 0)

    def hit(self) -> bool:
        """Whether the kernel killed for memory."""
        name, word = ("memory.events", "oom_kill") if self.version == 2 else ("memory.oom_control", "oom_kill")
        for folder in self.folders:
            try:
                with open(os.path.join(folder, name)) as file:
                    fields = dict(line.split() for line in file)
            except (OSError, ValueError):
                continue
            if int(fields.get(word, 0)):
                return True
        return False

    def remove(self) -> None:
        """Take the empty group away."""
        for folder in self.folders:
            for _ in range(200):
                try:
                    os.rmdir(folder)
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.001)


def _cgroup_parents() -> list[tuple[int, list[str]]]:
    """Where a group can be made: (version, folders), from the mounts and this process's own place below them."""
    own = {}
    with open("/proc/self/cgroup") as file:
        for line in file:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            own.update(dict.fromkeys(controllers.split(","), path))
    unified, old = [], []
    with open("/proc/self/mounts") as file:
        for line in file:
            _, point, kind, options = line.split()[:4]
            if kind == "cgroup2" and "" in own:
                unified.append(os.path.dirname(point + own[""].rstrip("/")) if own[""] != "/" else point)
            if kind == "cgroup":
                old += [point + own[name].rstrip("/") for name in ("memory", "pids") if name in options.split(",") and name in own]
    return [(2, [folder]) for folder in unified if os.path.exists(folder + "/cgroup.procs")] + ([(1, old)] if old else [])


def _sweep(parent: str) -> None:
    """Remove the empty groups of keepers that were killed."""
    for name in os.listdir(parent):
        if name.startswith(CGROUPS) and not os.path.exists(f"/proc/{name.removeprefix(CGROUPS)}"):
            try:
                os.rmdir(os.path.join(parent, name))
            except OSError:
                continue


def _write(path: str, value: int) -> None:
    with open(path, "w") as file:
        file.write(str(value))


def _read_all(fd: int) -> bytes:
    with open(fd, "rb") as file:
        return file.read()


if __name__ == "__main__":
    main()
