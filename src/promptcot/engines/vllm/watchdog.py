"""Runs a server as long as the process that started it lives, and not a moment longer.

    python watchdog.py GRACE COMMAND...

Run as a file of its own, by any Python; the leader of a process group that the server and its workers belong to. Standard input is a
pipe whose other end the starter holds and never writes to: it closes when the starter wants the end, and also when the starter is
killed, by whatever signal. Then the group is asked to end, and killed after GRACE seconds. A server that ends by itself takes its workers
along. Should this process be killed, the kernel kills the server.

A pipe, because the kernel's own signal at a parent's death follows the thread that started us, and that may end long before its process.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys

POLL_S = 0.2
PR_SET_PDEATHSIG = 1


def main() -> None:
    """Start the command, wait for either end, and leave nobody behind."""
    grace, command = float(sys.argv[1]), sys.argv[2:]
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def prepare() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=prepare)
    while server.poll() is None and not _closed():
        pass
    if server.poll() is None:
        os.killpg(0, signal.SIGTERM)
        try:
            server.wait(grace)
        except subprocess.TimeoutExpired:
            print(f"the server goes on after {grace:g} s: killed", flush=True)
    print(f"the server ended with code {server.poll()}", flush=True)
    os.killpg(0, signal.SIGKILL)


def _closed() -> bool:
    """Whether the starter has let go of the pipe; waits a little."""
    ready, _, _ = select.select([0], [], [], POLL_S)
    return bool(ready) and not os.read(0, 1)


if __name__ == "__main__":
    main()
