"""Runs the tests of one program, one after the other, inside a sandbox; each in namespaces of its own.

    python -s -P -S supervisor.pyc

Its job is told in `/sandbox/job`, standard input is a socket. A request is a message with four descriptors: the program's stdin, stdout,
stderr, and where a returned value goes. The answer, as text: why the test was ended, status, seconds of CPU and by the clock, peak of
memory. Any message meanwhile ends the test. What a program reads and writes passes by: no input and no output, of this test, an earlier
or a later one, is ever in the supervisor's memory, or in what is forked from it.

Three processes: the supervisor S clones I, the first process of a new namespace of process ids; I gives it mounts and shared memory of its
own, gives up its rights and forks C, in which the program loads, so never before the last fork. C cannot name S: it has no process id in
C's namespace, and every way of reaching a process goes by its id. When I ends, the kernel kills and buries all others of the namespace
before S hears of it, and so before there is another test. S and I are not dumpable.

Without nested namespaces one supervisor serves one test, and the sandbox around is the test's own.
"""

from __future__ import annotations

import _socket  # `socket` takes longer to import
import ctypes
import gc
import marshal
import os
import resource
import select
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from promptcot.sandbox.looking import Looker

POLL_MS = 20
SIGKILL, SIGCHLD = 9, 17
CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWPID = 0x00020000, 0x08000000, 0x20000000
SHORT = (11, 12)  # EAGAIN, ENOMEM
CLONE = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE = 2, 4, 8, 0x4000, 0x40000
PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_PDEATHSIG, PR_CAP_AMBIENT, CLEAR_ALL = 4, 22, 1, 47, 4
NO_NAMESPACES = 127
"""I's exit code where it could not make the test's namespaces; the program's own codes end before it."""

libc = ctypes.CDLL(None, use_errno=True)
prctl, mount, capset = libc.prctl, libc.mount, libc.capset
syscall = ctypes.PyDLL(None, use_errno=True).syscall  # keeps the interpreter's lock: a clone would wait for it forever
syscall.argtypes = [ctypes.c_long] * 6


class Filter(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = [("length", ctypes.c_ushort), ("program", ctypes.c_char_p)]


NO_CAPABILITIES = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()


def main() -> None:
    """Serve tests until the other end of the socket is closed."""
    from promptcot.sandbox import entry, loading, looking

    with open("/sandbox/job", "rb") as file:
        job = marshal.load(file)
    entry.settle(job["limits"])
    channel = _socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    with open("/sandbox/strict.bpf", "rb") as file:
        strict = file.read()
    job["strict"] = Filter(len(strict) // 8, strict)
    job["load"] = loading.ready(job["kind"], job["function"], job["modules"])
    gc.freeze()
    looker = looking.Looker()
    while fds := receive(channel):
        channel.send("|".join(map(str, serve(job, channel, fds, looker))).encode())


def receive(channel: _socket.socket) -> list[int]:
    """The descriptors of the next test, or nothing at the end. A wish to end a test that has ended is passed over."""
    while True:
        data, extra, _, _ = channel.recvmsg(1, 64, _socket.MSG_CMSG_CLOEXEC)
        if extra or not data:
            return [int.from_bytes(part[at : at + 4], sys.byteorder) for _, _, part in extra for at in range(0, len(part), 4)]


# --- S: watches one test


def serve(job: dict[str, Any], channel: _socket.socket, fds: list[int], looker: Looker) -> tuple[str, int, float, float, int]:
    """One test, until nothing of it is left."""
    began = time.monotonic()
    first = clone(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC if job["nested"] else 0)
    if first == 0:
        enclose(job, fds)
    for fd in fds:
        os.close(fd)
    if first < 0:
        return "nonamespaces", 0, 0.0, 0.0, 0
    looker.begin(first, job["memory"])
    why = follow(job, channel, first, looker, began)
    os.kill(first, SIGKILL)
    _, status, used = os.wait4(first, 0)
    wall_s = time.monotonic() - began
    code = os.waitstatus_to_exitcode(status)
    if code == NO_NAMESPACES:
        why = "nonamespaces"
    code = 128 - code if code > 128 else code
    peak = max(looker.peak, used.ru_maxrss * 1024)  # of its largest process; what grew between two looks shows here
    return why, code, max(looker.cpu_s, used.ru_utime + used.ru_stime), wall_s, peak


def clone(namespaces: int) -> int:
    """`fork` into new namespaces; negative where the kernel denies them. Raises where it is short of processes or memory."""
    pid: int = syscall(CLONE, namespaces | SIGCHLD, 0, 0, 0, 0)
    check(pid < 0 and ctypes.get_errno() in SHORT)
    return pid


def follow(job: dict[str, Any], channel: _socket.socket, first: int, looker: Looker, began: float) -> str:
    """Wait until the test's first process ends (``""``), a limit is reached (its name), or somebody outside wants it to end ("stopped")."""
    poller, end = select.poll(), os.pidfd_open(first)
    for fd in (end, channel.fileno()):
        poller.register(fd, select.POLLIN)
    try:
        while True:
            ready = [fd for fd, _ in poller.poll(POLL_MS)]
            if end in ready:
                return ""
            if ready:
                return "stopped"
            looker.look()
            if looker.peak > job["memory"]:
                return "memory"
            if looker.cpu_s > job["cpu_s"] or time.monotonic() - began > job["wall_s"]:
                return "time"
    finally:
        os.close(end)


# --- I: the first process of the test's namespace


def enclose(job: dict[str, Any], fds: list[int]) -> NoReturn:
    """Mounts of its own, no rights, then the program; ends with it. Never returns."""
    try:
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
        if job["nested"]:
            renew(job["tmpfs"])
        give_up_rights()
        child = os.fork()
        if child == 0:
            become(job, fds)
        os.closerange(3, 1 << 12)
        while True:
            pid, status = os.wait()
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                os._exit(128 - code if code < 0 else min(code, NO_NAMESPACES - 1))  # a signal is 128 and more, as in a shell
    except BaseException:  # noqa: BLE001  a forked process must not go on as its parent
        os._exit(NO_NAMESPACES)


def renew(options: bytes) -> None:
    """Files in memory and a list of processes of its own."""
    check(mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
    check(mount(b"proc", b"/proc", b"proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, None))
    for place in (b"/tmp", b"/dev/shm"):
        check(mount(b"tmpfs", place, b"tmpfs", MS_NOSUID | MS_NODEV, options))
    os.chdir("/tmp")


def check(failed: int) -> None:
    """Raise the C library's error."""
    if failed:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def give_up_rights() -> None:
    """No capabilities, none to be had: no program gains rights by `exec` here either (bubblewrap set no_new_privs)."""
    check(prctl(PR_CAP_AMBIENT, CLEAR_ALL, 0, 0, 0))
    check(capset(*NO_CAPABILITIES))


# --- C: the program


def become(job: dict[str, Any], fds: list[int]) -> NoReturn:
    """Turn this fork into the program. Never returns."""
    code = 1
    try:
        for target, fd in enumerate(fds):
            os.dup2(fd, 100 + target)
        for target in range(3):
            os.dup2(100 + target, target, inheritable=True)
        os.dup2(103, 3, inheritable=False)
        os.closerange(4, 1 << 12)
        for kind, value in job["rlimits"]:
            resource.setrlimit(kind, (value, value))
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
        check(prctl(PR_SET_SECCOMP, 2, ctypes.byref(job["strict"]), 0, 0))
        code = job["load"]()
    finally:
        os._exit(code)


if __name__ == "__main__":
    sys.path.append("/sandbox")
    main()
