"""The same tests under another user: a module of this project, run by a Python that anybody can reach."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UID = 54321


def reachable_python() -> str:
    """A Python 3.11 or newer outside of root's home."""
    for name in ("python3.13", "python3.12", "python3.11", "python3"):
        path = shutil.which(name, path="/usr/bin:/usr/local/bin")
        if path and subprocess.run([path, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"], check=False).returncode == 0:
            return path
    if os.environ.get("CI"):
        raise AssertionError("no Python 3.11 that another user can reach: apt-get install python3")
    pytest.skip("no Python 3.11 that another user can reach")


def as_other_user(*module: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m module` as an unprivileged user where this is root, else as this one."""
    root = os.geteuid() == 0
    drop = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"] if root else []
    python = reachable_python() if root else sys.executable
    return subprocess.run(
        [*drop, python, "-B", "-m", *module],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", **environment},
        timeout=250,
        check=False,
    )
