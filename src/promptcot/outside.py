"""Where outside files are: as named, else below the folder of `--data` (environment variable `PROMPTCOT_DATA`)."""

from __future__ import annotations

import os
from pathlib import Path


def locate(name: str) -> Path:
    """The path of an outside file or folder; the name itself when it is in neither place."""
    path, folder = Path(name), os.environ.get("PROMPTCOT_DATA")
    if folder and not path.exists() and (Path(folder) / name).exists():
        return Path(folder) / name
    return path
