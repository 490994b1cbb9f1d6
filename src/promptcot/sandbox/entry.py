"""The first program inside a sandbox: sets its own limits, closes what it inherited, becomes the command.

    python -I -S entry.pyc AS=BYTES,NPROC=NUMBER,... COMMAND...

Inside, because processes are counted by user *and* user namespace: set outside, the limit would count what else runs under the same user.
"""

import os
import resource
import sys


def main() -> None:
    """Limits by the names of `resource`, soft and hard alike."""
    settle(sys.argv[1])
    command = sys.argv[2:]
    os.execvpe(command[0], command, dict(os.environ))


def settle(settings: str) -> None:
    """Take on the limits; nothing above standard error stays open."""
    for setting in settings.split(","):
        name, _, value = setting.partition("=")
        limit(name, int(value))
    os.closerange(3, 1 << 16)


def limit(name: str, value: int) -> None:
    """At most `value`, or what is allowed already where that is less."""
    kind = getattr(resource, f"RLIMIT_{name}")
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


if __name__ == "__main__":
    main()
