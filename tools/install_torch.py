"""Install the pinned torch: a CPU build where the index offers one, else whatever it offers, saying so first.

    python tools/install_torch.py constraints.txt

Environment: TORCH_INDEX, an index URL with the build you want (for instance one of CPU builds).
"""

import json
import os
import subprocess
import sys
from pathlib import Path


def pip(*arguments: str, quiet: bool = True) -> subprocess.CompletedProcess[str]:
    """Run this Python's pip."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, text=True, check=False, capture_output=quiet)


def main() -> int:
    """Say what will be installed when that is a CUDA build, then install."""
    pin = next(line for line in Path(sys.argv[1]).read_text().split() if line.startswith("torch=="))
    index = os.environ.get("TORCH_INDEX")
    where = ["--index-url", index] if index else []
    plan = pip("install", "--dry-run", "--quiet", "--ignore-installed", "--report", "-", *where, pin)
    if plan.returncode == 0:
        names = [item["metadata"]["name"] for item in json.loads(plan.stdout)["install"]]
        if any(name.startswith("nvidia-") for name in names):
            print(f"The package index offers {pin} with CUDA only: several GB. Going on with it.")
            print("For a CPU build, interrupt and run again with TORCH_INDEX=<URL of an index of CPU builds of PyTorch>.")
    return pip("install", "--quiet", *where, pin, quiet=False).returncode


if __name__ == "__main__":
    sys.exit(main())
