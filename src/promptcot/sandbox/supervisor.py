"""Runs the tests of one program, one after the other, inside a sandbox; each in namespaces of its own.

    python -s -P -S supervisor.py KIND NESTED

A request comes on standard input: eight bytes of length, a marshaled dictionary, then the test's input. The answer goes to standard output:
a line `WHY STATUS CPU_S WALL_S PEAK LENGTHS`, then stdout, the end of stderr, and the returned value. There is no next request before the
answer to the last one, so no later input is here while a program runs, and expected outputs never are.

Four processes: the supervisor S forks a watcher T for each test; T unshares the process ids and forks I, the first process of the new
namespace; I gives it mounts and shared memory of its own, gives up its rights and forks C, in which the program loads, so never before
the last fork. C cannot name S or T: they have no process id in its namespace, and every way of reaching a process goes by its id. When
I ends, the kernel kills and buries all others of the namespace before T hears of it. S, T and I are not dumpable.

Without NESTED namespaces one supervisor serves one test, and the sandbox around is the test's own.
"""

from __future__ import annotations

import builtins
import ctypes
import marshal
import os
import resource
import select
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any, NoReturn

KIND, NESTED = sys.argv[1], sys.argv[2] == "1"
PROGRAM = "/program/main.py" if KIND != "binary" else "/program/main"
POLL_MS = 20
TAIL = 4096
SIGKILL = 9
CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWPID = 0x00020000, 0x08000000, 0x20000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE = 2, 4, 8, 0x4000, 0x40000
PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_PDEATHSIG, PR_CAP_AMBIENT, CLEAR_ALL = 4, 22, 1, 47, 4
NO_NAMESPACES = 127
"""I's exit code where it could not make the test's namespaces; the program's own codes end before it."""
PAGE, TICK = os.sysconf("SC_PAGESIZE"), os.sysconf("SC_CLK_TCK")

libc = ctypes.CDLL(None, use_errno=True)


class Filter(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = [("length", ctypes.c_ushort), ("program", ctypes.c_char_p)]


def main() -> None:
    """Serve tests until standard input ends."""
    requests, answers = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    with open("/sandbox/strict.bpf", "rb") as file:
        strict = file.read()
    prepare()
    while head := read(requests, 8):
        watcher = os.fork()
        if watcher == 0:
            watch(requests, answers, int.from_bytes(head, "little"), strict)
        if os.waitstatus_to_exitcode(os.waitpid(watcher, 0)[1]):
            os.write(answers, b"fault 0 0 0 0 0 0 0\n")
            return


def prepare() -> None:
    """What every test finds loaded: nothing of the program's, only what an interpreter has or the standard library offers."""
    import gc

    if KIND == "function":
        import bisect  # noqa: F401

        __import__("values")  # of /sandbox, which is on the path
    if KIND != "binary":
        import _sitebuiltins

        builtins.exit = _sitebuiltins.Quitter("exit", "Ctrl-D")
        builtins.quit = _sitebuiltins.Quitter("quit", "Ctrl-D")
    gc.freeze()


def read(fd: int, n: int) -> bytes:
    """`n` bytes, or nothing at the end."""
    parts = []
    while n and (part := os.read(fd, min(n, 1 << 20))):
        parts.append(part)
        n -= len(part)
    return b"".join(parts) if not n else b""


def write(fd: int, data: bytes) -> None:
    """All of it."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


# --- T: watches one test


class Pipes:
    """The program's stdin, stdout, stderr, and where a returned value comes from; this side's ends and the other's."""

    def __init__(self) -> None:
        self.stdin, self.stdout, self.stderr, self.value = os.pipe(), os.pipe(), os.pipe(), os.pipe()

    def theirs(self) -> tuple[int, int, int, int]:
        """The program's ends."""
        return self.stdin[0], self.stdout[1], self.stderr[1], self.value[1]

    def ours(self) -> tuple[int, int, int, int]:
        """The watcher's ends."""
        return self.stdin[1], self.stdout[0], self.stderr[0], self.value[0]


def watch(requests: int, answers: int, length: int, strict: bytes) -> NoReturn:
    """One test from request to answer. Never returns."""
    try:
        test = marshal.loads(read(requests, length))
        given = read(requests, test["input"])
        pipes = Pipes()
        known = {int(name) for name in os.listdir("/proc") if name.isdigit()}
        if NESTED and libc.unshare(CLONE_NEWPID):
            write(answers, b"nonamespaces 0 0 0 0 0 0 0\n")
            os._exit(0)
        began = time.monotonic()
        first = os.fork()
        if first == 0:
            os.close(requests)
            os.close(answers)
            for fd in pipes.ours():
                os.close(fd)
            enclose(test, given, pipes.theirs(), strict)
        for fd in pipes.theirs():
            os.close(fd)
        known.add(first)
        seen = Seen(test, given if KIND != "function" else b"", pipes.ours(), first, known)
        why = seen.follow(began)
        os.kill(first, SIGKILL)
        _, status, used = os.wait4(first, 0)
        wall = time.monotonic() - began
        seen.drain()
        seen.peak = max(seen.peak, used.ru_maxrss * 1024)  # of its largest process; what grew between two looks shows here
        write(answers, seen.answer(why, status, max(seen.cpu_s, used.ru_utime + used.ru_stime), wall))
        os._exit(0)
    except BaseException:  # noqa: BLE001  a forked process must not go on as its parent
        os._exit(1)


class Seen:
    """What is known of a running test. `known`: processes that are not the program's."""

    def __init__(self, test: dict[str, Any], given: bytes, ours: tuple[int, ...], first: int, known: set[int]) -> None:
        self.test, self.known, self.first = test, known, first
        self.left = memoryview(given)
        self.stdin, *listened = ours
        self.open = dict(zip(listened, ("stdout", "stderr", "value"), strict=True))
        self.parts: dict[str, list[bytes]] = {name: [] for name in self.open.values()}
        self.sizes = dict.fromkeys(self.parts, 0)
        self.cpu_s, self.peak = 0.0, 0

    def follow(self, began: float) -> str:
        """Feed and listen until the test's first process ends (``""``) or a limit is reached (its name)."""
        poller, end, looked = select.poll(), os.pidfd_open(self.first), began
        for fd in (end, *self.open):
            poller.register(fd, select.POLLIN)
            os.set_blocking(fd, False)
        os.set_blocking(self.stdin, False)
        if self.left:
            poller.register(self.stdin, select.POLLOUT)
        else:
            os.close(self.stdin)
        while True:
            ready = [fd for fd, _ in poller.poll(POLL_MS)]
            for fd in ready:
                if fd == self.stdin and not self.feed():
                    poller.unregister(fd)
                    os.close(fd)
                elif fd in self.open and not self.take(fd):
                    poller.unregister(fd)
                    del self.open[fd]
            now = time.monotonic()
            if now - looked > POLL_MS / 1000:
                self.look()
                looked = now
            if why := self.broken(now - began):
                return why
            if end in ready:
                return ""

    def feed(self) -> bool:
        """Give the program more of its input; whether to go on."""
        try:
            self.left = self.left[os.write(self.stdin, self.left[: 1 << 16]) :]
        except BlockingIOError:
            return True
        except OSError:
            return False  # nobody reads, which is the program's choice
        return bool(self.left)

    def take(self, fd: int) -> bool:
        """Read some; whether there may be more."""
        try:
            part = os.read(fd, 1 << 16)
        except BlockingIOError:
            return False
        self.parts[self.open[fd]].append(part)
        self.sizes[self.open[fd]] += len(part)
        return bool(part)

    def drain(self) -> None:
        """What the pipes still hold when the program has ended; nobody is waited for."""
        for fd in self.open:
            while not self.broken(0.0) and self.take(fd):
                pass

    def broken(self, wall: float) -> str:
        """The limit that is reached, or nothing."""
        if max(self.sizes.values()) > self.test["output"]:
            return "output"
        if self.peak > self.test["memory"]:
            return "memory"
        return "time" if self.cpu_s > self.test["cpu_s"] or wall > self.test["wall_s"] else ""

    def look(self) -> None:
        """CPU and memory of all processes of the test, in sum."""
        pids = [name for name in os.listdir("/proc") if name.isdigit() and int(name) not in self.known]
        cpu = self.fields(str(self.first))[2]
        resident = 0
        for pid in pids:
            own, pages, waited = self.fields(pid)
            cpu += own + waited
            resident += pages * PAGE
        if resident > self.test["memory"]:  # shared pages count once, which costs more to find out
            resident = sum(map(proportional, pids))
        self.cpu_s = max(self.cpu_s, cpu / TICK)
        self.peak = max(self.peak, resident)

    def fields(self, pid: str) -> tuple[int, int, int]:
        """Own ticks of CPU, resident pages, and ticks of the children it has buried; zeros for who is gone."""
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            return 0, 0, 0
        return int(fields[11]) + int(fields[12]), int(fields[21]), int(fields[13]) + int(fields[14])

    def answer(self, why: str, status: int, cpu_s: float, wall_s: float) -> bytes:
        """As the module's docstring says."""
        stdout, stderr, value = (b"".join(self.parts[name])[: self.test["output"]] for name in ("stdout", "stderr", "value"))
        code = os.waitstatus_to_exitcode(status)
        if code == NO_NAMESPACES:
            why = "nonamespaces"
        code = 128 - code if code > 128 else code
        stderr = stderr[-TAIL:]
        head = f"{why or '-'} {code} {cpu_s:.4f} {wall_s:.4f} {self.peak} {len(stdout)} {len(stderr)} {len(value)}\n"
        return head.encode() + stdout + stderr + value


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


# --- I: the first process of the test's namespace


def enclose(test: dict[str, Any], given: bytes, theirs: tuple[int, ...], strict: bytes) -> NoReturn:
    """Mounts of its own, no rights, then the program; ends with it. Never returns."""
    try:
        libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
        if NESTED:
            namespaces(test)
        give_up_rights()
        child = os.fork()
        if child == 0:
            become(test, given, theirs, strict)
        for fd in theirs:
            os.close(fd)
        while True:
            pid, status = os.wait()
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                os._exit(128 - code if code < 0 else min(code, NO_NAMESPACES - 1))  # a signal is 128 and more, as in a shell
    except BaseException:  # noqa: BLE001  a forked process must not go on as its parent
        os._exit(NO_NAMESPACES)


def namespaces(test: dict[str, Any]) -> None:
    """Mounts and shared memory of its own; its own process ids it has already."""
    size = f"mode=1777,size={test['files']},nr_inodes=20000".encode()
    check(libc.unshare(CLONE_NEWNS | CLONE_NEWIPC))
    check(libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
    check(libc.mount(b"proc", b"/proc", b"proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, None))
    for place in (b"/tmp", b"/dev/shm"):
        check(libc.mount(b"tmpfs", place, b"tmpfs", MS_NOSUID | MS_NODEV, size))
    os.chdir("/tmp")


def check(failed: int) -> None:
    """Raise the C library's error."""
    if failed:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def give_up_rights() -> None:
    """No capabilities, none to be had: no program gains rights by `exec` here either (bubblewrap set no_new_privs)."""
    check(libc.prctl(PR_CAP_AMBIENT, CLEAR_ALL, 0, 0, 0))
    version = (ctypes.c_uint32 * 2)(0x20080522, 0)
    check(libc.capset(version, (ctypes.c_uint32 * 6)()))


# --- C: the program


def become(test: dict[str, Any], given: bytes, theirs: tuple[int, ...], strict: bytes) -> NoReturn:
    """Turn this fork into the program. Never returns."""
    code = 1
    try:
        for target, fd in enumerate(theirs):
            os.dup2(fd, 100 + target)
        for target in range(3):
            os.dup2(100 + target, target, inheritable=True)
        os.dup2(103, 3, inheritable=False)
        os.closerange(4, 1 << 12)
        for name, value in test["rlimits"].items():
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))
        libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
        program = Filter(len(strict) // 8, strict)
        check(libc.prctl(PR_SET_SECCOMP, 2, ctypes.byref(program), 0, 0))
        code = {"binary": run_binary, "script": run_script, "function": run_function}[KIND](test, given)
    finally:
        os._exit(code)


def run_binary(test: dict[str, Any], given: bytes) -> NoReturn:
    """A compiled program."""
    os.execve(PROGRAM, [PROGRAM], dict(os.environ))


def compiled() -> CodeType | None:
    """The program's code, or None where it is not Python; then a word of it is said where returned values go."""
    with open(PROGRAM, "rb") as file:
        source = file.read()
    try:
        return compile(source, PROGRAM, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        sys.excepthook(*sys.exc_info())
        os.write(3, b"syntax")
        return None


def run_script(test: dict[str, Any], given: bytes) -> int:
    """A Python program on stdin and stdout, in a module `__main__` of its own."""
    code = compiled()
    os.close(3)
    if code is None:
        return 1
    module = type(sys)("__main__")
    module.__dict__.update(__builtins__=builtins, __file__=PROGRAM)
    sys.modules["__main__"] = module
    sys.argv[:] = [PROGRAM]
    sys.path[:] = ["/program", *(path for path in sys.path if path != "/sandbox")]
    return ending(lambda: exec(code, module.__dict__))


def run_function(test: dict[str, Any], given: bytes) -> int:
    """A function of a Python module, called once; its value leaves as data."""
    values = sys.modules["values"]
    encode, say, leave = values.encode, write, os._exit
    code = compiled()
    if code is None:
        return 1
    os.dup2(3, 200, inheritable=False)
    os.close(3)
    module = type(sys)("solution")
    module.__dict__.update(__builtins__=builtins, __file__=PROGRAM, **prelude())
    sys.modules["solution"] = module
    sys.argv[:] = [PROGRAM]
    sys.path[:] = ["/program", *(path for path in sys.path if path != "/sandbox")]
    positional, named = values.decode(given)

    def call() -> None:
        exec(code, module.__dict__)
        say(200, encode(found(module, test["function"])(*positional, **named)))
        leave(0)

    return ending(call) or 1


def prelude() -> dict[str, Any]:
    """Names that statements of such problems take for granted."""
    import bisect
    import collections
    import functools
    import heapq
    import itertools
    import math
    import string
    import typing

    names = {name: getattr(typing, name) for name in ("Any", "Dict", "List", "Optional", "Set", "Tuple", "Union")}
    for module in (bisect, collections, functools, heapq, itertools, math, string):
        names[module.__name__] = module
    for module, wanted in ((collections, "Counter OrderedDict defaultdict deque"), (functools, "cache lru_cache reduce")):
        names.update({name: getattr(module, name) for name in wanted.split()})
    return names


def found(module: Any, name: str) -> Any:
    """A function of the module, or a method of its class `Solution`."""
    if hasattr(module, name):
        return getattr(module, name)
    return getattr(module.Solution(), name)


def ending(body: Callable[[], object]) -> int:
    """Run, and end as an interpreter does: a traceback for what is raised, threads joined, exit functions called, output flushed."""
    code = 0
    try:
        body()
    except SystemExit as stop:
        code = stop.code if type(stop.code) is int else 0 if stop.code is None else 1
        if code == 1 and type(stop.code) is str:
            sys.stderr.write(stop.code + "\n")
    except BaseException:  # noqa: BLE001  it is the program's
        sys.excepthook(*sys.exc_info())
        code = 1
    for name, function in (("threading", "_shutdown"), ("atexit", "_run_exitfuncs")):
        if name in sys.modules:
            getattr(sys.modules[name], function)()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = code or 120
    return code & 0xFF


if __name__ == "__main__":
    sys.path.append("/sandbox")
    main()
