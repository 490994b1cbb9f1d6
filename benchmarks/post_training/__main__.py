"""Self-play and distillation on the embedded model, with true verifiers; each run resumes, and the tables are made of finished runs.

    python -m benchmarks.post_training sft dpo oracle --run DIR [--seeds 0 1 2]
    python -m benchmarks.post_training human synthetic --run DIR --seeds 0
    python -m benchmarks.post_training tables --run DIR

    sft      self-play by rejection sampling: fitted on its own right attempts
    dpo      self-play by preferences: the same attempts, in pairs of a right and a firmly wrong one
    oracle   distillation of procedural solutions. No teacher wrote them: they say what a perfect one would do for form and answer

    human, synthetic    the corpora that `promptcot trial` compares (see `corpora`)

The first three solve sums of two numbers (reasoning-gym's `chain_sum`). A run of `dpo` begins as a copy of the seed's `sft` where there is
one: its attempts are the same and need not be drawn again.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

import promptcot
from benchmarks.post_training import arms, corpora, paired

ARMS: Mapping[str, Callable[[Path, int], dict[str, Any]]] = {
    "sft": arms.rejection,
    "dpo": arms.preferences,
    "oracle": arms.oracle,
    "human": corpora.human,
    "synthetic": corpora.synthetic,
}


def main() -> None:
    """Run what is named, or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=[*ARMS, "tables"])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    for name in given.what:
        if name == "tables":
            print(paired.tables(given.run, arms.MODEL, given.seeds))
            continue
        for seed in given.seeds:
            _run(given.run, name, seed)


def _run(folder: Path, name: str, seed: int) -> None:
    out = folder / f"{name}-{seed}"
    first = folder / f"sft-{seed}"
    if name == "dpo" and not out.exists() and first.exists():
        shutil.copytree(first, out)
    given = folder / f"given-{name}-{seed}"
    given.mkdir(parents=True, exist_ok=True)
    recipe = given / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(ARMS[name](given, seed), sort_keys=False), encoding="utf-8")
    print(f"{name}, seed {seed}: {out}", flush=True)
    promptcot.run(recipe, folder=out, redo=("self_play",) if name == "dpo" else ())


if __name__ == "__main__":
    main()
