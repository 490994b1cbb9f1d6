"""Programs that try to get through, and what must become of each. One that succeeds prints THROUGH.

python -m tests.sandbox.hostile     runs all under the user that calls it and prints what became of them, as JSON
"""

import json
import sys
from dataclasses import dataclass, field

from promptcot.sandbox.limits import Limits
from promptcot.sandbox.programs import Language, Program, Ran, Session, Status

LIMITS = Limits(cpu_s=0.3, wall_s=20, memory_mb=128, processes=20, output_mb=1, files_mb=8)
LAZY = Limits(cpu_s=0.3, wall_s=0.5, memory_mb=128, processes=20, output_mb=1, files_mb=8)

EXITED, ERROR = Status.EXITED, Status.RUNTIME_ERROR
TIME, MEMORY, OUTPUT = Status.TIME_LIMIT, Status.MEMORY_LIMIT, Status.OUTPUT_LIMIT

EXEC = Program("import sys\nexec(sys.stdin.read())", Language.PYTHON)
"""Runs the program that it is given, so that one sandbox serves all."""

# ruff: noqa: E501 (a program a line)

CALL = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    x86, arm = NUMBERS[name]
    ctypes.set_errno(0)
    got = libc.syscall(x86 if os.uname().machine == "x86_64" else arm, *arguments)
    if got >= 0 or ctypes.get_errno() not in (errno.EPERM, errno.ENOSYS):
        print("THROUGH", name, got, ctypes.get_errno())
"""


@dataclass(frozen=True)
class Hostile:
    name: str
    source: str
    ends: set[Status] = field(default_factory=lambda: {EXITED})
    limits: Limits = LIMITS

    def held(self, ran: Ran) -> bool:
        return ran.status in self.ends and b"THROUGH" not in ran.stdout


def calls(numbers: dict[str, tuple[int, int]], *lines: str) -> str:
    return f"NUMBERS = {numbers!r}\n{CALL}\n" + "\n".join(lines)


def opens(*paths: str) -> str:
    return f"""
for path in {paths!r}:
    try:
        open(path, "rb").read(1)
        print("THROUGH", path)
    except OSError:
        pass
"""


def raises(line: str, setup: str = "") -> str:
    """`line` must fail with an OSError."""
    return f"{setup}\ntry:\n    {line}\n    print('THROUGH')\nexcept OSError:\n    pass\n"


PROGRAMS = (
    # time
    Hostile("busy loop", "while True: pass", {TIME}),
    Hostile("busy loop in C", "x = 7 ** (10 ** 8)", {TIME}),
    Hostile("busy loop that catches everything", "while True:\n try:\n  while True: pass\n except BaseException: pass", {TIME}),
    Hostile("busy children", "import os\nfor _ in range(4): os.fork()\nwhile True: pass", {TIME}),
    Hostile("busy threads", "import threading\ndef f():\n while True: pass\nfor _ in range(3): threading.Thread(target=f).start()", {TIME}),
    Hostile("ignored signals", "import signal\nfor n in range(1, 32):\n try: signal.signal(n, 1)\n except (OSError, ValueError): pass\nwhile 1: pass", {TIME}),
    Hostile("raised CPU limit", "import resource\ntry: resource.setrlimit(0, (99, 99))\nexcept (OSError, ValueError): pass\nwhile True: pass", {TIME}),
    Hostile("sleep", "import time\ntime.sleep(60)", {TIME}, LAZY),
    Hostile("never-ending exit function", "import atexit, time\natexit.register(time.sleep, 60)", {TIME}, LAZY),
    Hostile("thread that does not end", "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()", {TIME}, LAZY),
    Hostile("catastrophic regular expression", "import re\nre.match('(a+)+$', 'a' * 40 + 'b')", {TIME}),
    Hostile("stopped by itself", "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)", {TIME}, LAZY),
    # memory
    Hostile("allocation bit by bit", "x = []\nwhile True: x.append(bytearray(b'x') * (1 << 20))", {MEMORY}),
    Hostile("one large allocation", "x = bytearray(1 << 40)", {MEMORY}),
    Hostile("memory in children", "import os, time\nfor _ in range(6):\n if os.fork() == 0:\n  x = bytearray(b'x') * (64 << 20)\n  time.sleep(20)\ntime.sleep(20)", {MEMORY}),
    Hostile("anonymous shared memory", "import mmap\nm = mmap.mmap(-1, 400 << 20)\nfor i in range(0, 400 << 20, 4096): m[i] = 1", {MEMORY}),
    Hostile("endless recursion", "import sys\nsys.setrecursionlimit(10 ** 9)\ndef f(): return [f()]\nf()", {MEMORY, ERROR, TIME}),
    # output and files
    Hostile("endless output", "while True: print('x' * 4096)", {OUTPUT}),
    Hostile("endless complaints", "import os\nwhile True: os.write(2, b'x' * 4096)", {OUTPUT}),
    Hostile("huge file", "open('/tmp/big', 'wb').write(b'x' * (64 << 20))", {ERROR}),
    Hostile("huge sparse file", raises("os.truncate('/tmp/big', 1 << 40)", "import os\nopen('/tmp/big', 'w').close()"), {EXITED, ERROR}),
    Hostile("many files", "for n in range(40000): open(f'/tmp/{n}', 'w').close()", {ERROR, TIME}),
    Hostile("huge shared memory file", "open('/dev/shm/big', 'wb').write(b'x' * (64 << 20))", {ERROR}),
    Hostile("many descriptors", "import os\nx = [os.open('/dev/null', 0) for _ in range(2000)]\nprint('THROUGH')", {ERROR}),
    Hostile("memory files", "import os\nfd = os.memfd_create('x')\nwhile True: os.write(fd, b'x' * (1 << 20))", {ERROR, MEMORY, TIME}),
    # processes
    Hostile("fork bomb", "import os\nwhile True:\n try: os.fork()\n except OSError: pass", {TIME}),
    Hostile("thread bomb", "import threading, time\nfor _ in range(500): threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\nprint('THROUGH')", {ERROR}),
    Hostile("daemon", "import os, time\nif os.fork() == 0:\n os.setsid()\n if os.fork() == 0: time.sleep(60)\n os._exit(0)"),
    Hostile("daemon that holds the pipes", "import os, time\nif os.fork() == 0:\n os.setsid()\n time.sleep(60)"),
    Hostile("kill everybody", "import os, signal\nfor pid in range(-1, 300):\n try:\n  if pid not in (0, os.getpid()): os.kill(pid, signal.SIGTERM)\n except OSError: pass"),
    Hostile("end the first process", "import os\nos.kill(1, 9)"),
    Hostile("limit the first process", raises("resource.prlimit(1, resource.RLIMIT_CPU, (0, 0))", "import resource")),
    Hostile("memory of the first process", opens("/proc/1/mem", "/proc/1/environ", "/proc/1/maps") + raises("os.listdir('/proc/1/fd')", "import os")),
    Hostile("other processes", "import os\npids = [int(p) for p in os.listdir('/proc') if p.isdigit()]\nif set(pids) - {1, os.getpid()}: print('THROUGH', pids)"),
    Hostile("higher priority", raises("os.nice(-10)", "import os")),
    Hostile("real-time schedule", raises("os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))", "import os")),
    # files of the host
    Hostile("accounts", opens("/etc/passwd", "/etc/shadow", "/etc/hostname", "/etc/hosts", "/etc/machine-id", "/etc/resolv.conf")),
    Hostile("home", opens("/root/.bashrc", "/root/.profile", "/root/.ssh/authorized_keys")),
    Hostile("logs and keys", opens("/var/log/dpkg.log", "/etc/ssh/ssh_host_rsa_key", "/proc/kcore", "/proc/kallsyms/x", "/boot/vmlinuz")),
    Hostile("installed packages", "import importlib.util\nfor n in ('numpy', 'promptcot', 'pip'):\n if importlib.util.find_spec(n): print('THROUGH', n)"),
    Hostile("environment", "import os\nif set(os.environ) - {'PATH', 'HOME', 'LANG', 'PYTHONHASHSEED', 'PYTHONDONTWRITEBYTECODE', 'PWD'}: print('THROUGH', os.environ)"),
    Hostile("own tests", "import os, gc\nif [x for x in gc.get_objects() if isinstance(x, (bytes, str)) and 'EXPECTED' + '-OUTPUT' in str(x)]: print('THROUGH')"),
    Hostile("open descriptors", "import os\nfor fd in range(3, 1000):\n try:\n  os.fstat(fd)\n  print('THROUGH', fd)\n except OSError: pass"),
    Hostile("write outside", "for d in ('/', '/usr', '/usr/lib', '/etc', '/program', '/sandbox', '/dev', '/proc'):\n try:\n  open(d + '/x', 'w')\n  print('THROUGH', d)\n except OSError: pass"),
    Hostile("write the interpreter", raises("open(sys.base_prefix + '/lib/planted.py', 'w')", "import sys")),
    Hostile("write its own source", raises("open('/program/main.py', 'a')")),
    Hostile("link out", raises("open('/tmp/link').read()", "import os\nos.symlink('/etc/passwd', '/tmp/link')")),
    Hostile("device node", raises("os.mknod('/tmp/disk', 0o60666, os.makedev(8, 0))", "import os")),
    Hostile("devices", opens("/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda", "/dev/kvm", "/dev/fuse", "/dev/ptmx/x")),
    Hostile("kernel settings", raises("open('/proc/sys/kernel/core_pattern', 'w').write('|/tmp/x')") + raises("open('/proc/sysrq-trigger', 'w').write('b')")),
    Hostile("oom score", raises("os.write(os.open('/proc/self/oom_score_adj', os.O_WRONLY), b'-1000')", "import os")),
    Hostile("way out of the root", raises("os.chroot('/tmp')", "import os")),
    # network
    Hostile("internet", raises("socket.create_connection(('1.1.1.1', 53), 2)", "import socket")),
    Hostile("names", raises("socket.getaddrinfo('example.org', 80)", "import socket")),
    Hostile("datagrams", raises("socket.socket(2, 2).sendto(b'x', ('8.8.8.8', 53))", "import socket")),
    Hostile("other families", "import socket\nfor a in ((16, 3, 0), (17, 3, 0), (40, 1, 0), (38, 5, 0), (2, 3, 1), (31, 3, 1)):\n try:\n  socket.socket(*a)\n  print('THROUGH', a)\n except OSError: pass"),
    Hostile("services of the host", "import socket\nfor p in ('/run/docker.sock', '/run/dbus/system_bus_socket', '\\0/tmp/.X11-unix/X0'):\n try:\n  socket.socket(1).connect(p)\n  print('THROUGH')\n except OSError: pass"),
    # the kernel
    Hostile("rare calls", calls({"bpf": (321, 280), "perf": (298, 241), "uring": (425, 425), "ufd": (323, 282), "key": (250, 219), "addkey": (248, 217), "kexec": (246, 104), "module": (175, 105), "handle": (304, 265), "newcall": (900, 900)}, "for n in NUMBERS: call(n, -1, 0, 0, 0, 0, 0)")),
    Hostile("mounts", calls({"mount": (165, 40), "umount": (166, 39), "pivot": (155, 41), "fsopen": (430, 430), "tree": (428, 428), "setattr": (442, 442)}, "for n in NUMBERS: call(n, 0, 0, 0, 0, 0)")),
    Hostile("new namespaces", calls({"unshare": (272, 97), "setns": (308, 268), "clone": (56, 220), "clone3": (435, 435)}, "call('unshare', 0x10000000)", "call('setns', 0, 0)", "call('clone', 0x10000011, 0, 0, 0, 0)", "call('clone3', 0, 0)")),
    Hostile("trace", calls({"ptrace": (101, 117), "read": (310, 270), "write": (311, 271), "kcmp": (312, 272), "getfd": (438, 438)}, "call('ptrace', 16, 1, 0, 0)", "for n in NUMBERS: call(n, 1, 0, 0, 0, 0)")),
    Hostile("regained rights", "import os\nfor n in ('setuid', 'setgid'):\n try:\n  getattr(os, n)(0)\n  print('THROUGH', n)\n except OSError: pass"),
    Hostile("words for the terminal", raises("fcntl.ioctl(0, 0x5412, b'x')", "import fcntl")),
    # the grader
    Hostile("forged verdict", "import os\nfor fd in range(64):\n try: os.write(fd, b'- 0 0.0 0.0 0 2 0 0\\n42')\n except OSError: pass"),
    Hostile("closed descriptors", "import os\nos.closerange(0, 300)"),
    Hostile("walk up the frames", "import sys\nf, seen = sys._getframe(), []\nwhile f:\n seen.append(str(f.f_globals) + str(f.f_locals))\n f = f.f_back\nif 'EXPECTED' + '-OUTPUT' in str(seen): print('THROUGH')"),
    Hostile("broken bytes", "import sys\nsys.stdout.buffer.write(bytes(range(256)) * 100)"),
    Hostile("crash", "import ctypes\nctypes.string_at(0)", {ERROR}),
    Hostile("abort", "import os\nos.abort()", {ERROR}),
    Hostile("code of a signal", "import os\nos._exit(139)", {ERROR}),
    Hostile("code of the sandbox", "import os\nos._exit(127)", {ERROR}),
)  # fmt: skip

ROOMY = Limits(cpu_s=10, wall_s=60, memory_mb=256)

BENIGN = (
    Hostile("threads", "import threading\nt = [threading.Thread(target=print, args=(n,)) for n in range(4)]\n[x.start() for x in t]\n[x.join() for x in t]", {EXITED}, ROOMY),
    Hostile("children", "import subprocess, sys\nprint(subprocess.run([sys.executable, '-I', '-S', '-c', 'print(1)'], capture_output=True, text=True, check=True).stdout)", {EXITED}, ROOMY),
    Hostile("pool", "import multiprocessing\nif __name__ == '__main__':\n with multiprocessing.get_context('fork').Pool(2) as p: print(p.map(abs, [-1, 2]))", {EXITED}, ROOMY),
    Hostile("temporary files", "import tempfile\nwith tempfile.NamedTemporaryFile('w+') as f:\n f.write('x')\n f.seek(0)\n print(f.read())", {EXITED}, ROOMY),
    Hostile("library", "import math, heapq, itertools, fractions, decimal, datetime, random, json, re\nprint(datetime.datetime.now(), random.random())", {EXITED}, ROOMY),
    Hostile("much memory", "x = bytearray(b'x') * (80 << 20)\nprint(len(x))", {EXITED}, ROOMY),
    Hostile("deep recursion", "import sys\nsys.setrecursionlimit(10 ** 6)\ndef f(n): return n and 1 + f(n - 1)\nprint(f(50000))", {EXITED}, ROOMY),
    Hostile("exit by name", "print(1)\nexit()", {EXITED}, ROOMY),
    Hostile("exit code 0", "import sys\nprint(1)\nsys.exit(0)", {EXITED}, ROOMY),
    Hostile("late output", "import atexit\natexit.register(print, 'bye')", {EXITED}, ROOMY),
    Hostile("loopback", "import socket\ns = socket.create_server(('127.0.0.1', 0))\nc = socket.create_connection(s.getsockname())\nc.send(b'x')\nprint(s.accept()[0].recv(1))", {EXITED}, ROOMY),
    Hostile("unread input", "print(1)", {EXITED}, ROOMY),
)  # fmt: skip


def sessions(programs: tuple[Hostile, ...]) -> dict[str, Ran]:
    """What became of each, with one sandbox for all that share limits."""
    found = {}
    for limits in dict.fromkeys(program.limits for program in programs):
        with Session(EXEC, limits) as session:
            for program in programs:
                if program.limits == limits:
                    found[program.name] = session.run(program.source.encode())
    return found


def main() -> None:
    programs = PROGRAMS + BENIGN
    ran = sessions(programs)
    broken = [
        f"{p.name}: {ran[p.name].status} {ran[p.name].stdout[-300:]!r} {ran[p.name].stderr[-300:]!r}"
        for p in programs
        if not p.held(ran[p.name])
    ]
    json.dump({"programs": len(programs), "broken": broken, "nested": Session.nested}, sys.stdout)


if __name__ == "__main__":
    main()
