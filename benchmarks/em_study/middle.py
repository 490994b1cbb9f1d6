"""Middle tier of the EM study: models of a million parameters on a language whose truth is known, through the package's own EM.

    python -m benchmarks.em_study.middle --run DIR [--seeds 10] [--first-seed 0] [--parts decides] [--train 2048] [--rounds 2]

For each seed a synthetic language of (c, z, x) is drawn (`middle_language`), a small Llama is fitted on annotated triples, and EM runs on
(c, x) alone under every rule (`middle_arms`). Since all z can be enumerated, log p_theta(x|c), the posterior and what they fall short of
the truth are exact (`middle_measures`). Four parts: `decides` (the rationale decides the problem), `scarce` (so it does, and problems are
few: each is seen twice a round), `control` (it says nothing), `grid` (settings of `snis`).

DIR/knob-K/seed-S/run is a run folder; killed, the study goes on where it was. DIR/results.json holds every value by problem, from which
`middle_tables` prints; `--tables` prints from it without running.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a worker per core: two threads on a model this small only wait for one another

import argparse
import gc
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.em_study import middle_arms, middle_measures, middle_tables
from benchmarks.em_study.middle_arms import COLD, CONTINUED, GRID, RULES, Arm, Size, Start
from promptcot.durable import write_json
from promptcot.executors import Workplace
from promptcot.heldout import Pair


@dataclass(frozen=True)
class Part:
    """Arms that are compared with one another, in one language setting. `seeds`: at most so many of those asked for; `sizes`: what differs
    from the size that is asked for."""

    name: str
    knob: float
    seeds: int
    arms: tuple[Arm, ...]
    bounds: bool = False
    sizes: Mapping[str, Any] = field(default_factory=dict)


BY_NAME = {arm.name: arm for arm in RULES}
SCARCE = {"train": 768, "epochs": 2.0, "rounds": 2}
PARTS = (
    Part("decides", 0.8, 1000, (COLD, *RULES, CONTINUED), bounds=True),
    Part("scarce", 0.8, 1000, (COLD, *RULES), sizes=SCARCE),
    Part("control", 0.0, 4, (COLD, *(BY_NAME[name] for name in ("snis", "argmax", "uniform", "shuffled", "no_rationale")))),
    Part("grid", 0.8, 3, (BY_NAME["snis"], *GRID)),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run or resume the study, print its tables, write `results.json` and the markdown section."""
    given = _parser().parse_args(arguments)
    kept = given.run / "results.json"
    if not given.tables:
        size, parts = Size(train=given.train, rounds=given.rounds, dev=given.held_out), [part for part in PARTS if part.name in given.parts]
        seeds = range(given.first_seed, given.first_seed + given.seeds)
        results = sorted(run(given.run, parts, seeds, size, given.workers), key=lambda row: (row["part"], row["seed"]))
        write_json(kept, {"schema": 1, "results": results})
    text = middle_tables.section(json.loads(kept.read_text(encoding="utf-8"))["results"])
    print(text)
    if given.markdown:
        given.markdown.write_text(text, encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="where it works, and resumes")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0, help="the number of the first; other numbers are other languages")
    parser.add_argument("--parts", nargs="+", default=[part.name for part in PARTS], choices=[part.name for part in PARTS])
    parser.add_argument("--train", type=int, default=Size.train, help="problems that EM sees")
    parser.add_argument("--rounds", type=int, default=Size.rounds)
    parser.add_argument("--held-out", type=int, default=Size.dev, help="problems that arms are judged on; more of them retrain nothing")
    parser.add_argument("--workers", type=int, default=2, help="seeds side by side, one core each")
    parser.add_argument("--markdown", type=Path, help="write the section there too")
    parser.add_argument("--tables", action="store_true", help="print from DIR/results.json, run nothing")
    return parser


def run(folder: Path, parts: Sequence[Part], seeds: range, size: Size, workers: int) -> Iterator[dict[str, Any]]:
    """One result for each part and seed, as they end."""
    jobs = [(folder, part, seed, size) for part in parts for seed in seeds[: part.seeds]]
    if workers == 1:
        yield from (one_seed(*job) for job in jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_settle) as pool:
        for done in as_completed([pool.submit(one_seed, *job) for job in jobs]):
            result = done.result()
            print(f"{result['part']} seed {result['seed']}: {result['seconds']:.0f} s", flush=True)
            yield result


def _settle() -> None:
    """One thread, and no collection of what the imports left: `gc.collect` after each model would take 0.2 s of every second."""
    import torch

    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()


def one_seed(folder: Path, part: Part, seed: int, size: Size) -> dict[str, Any]:
    """All arms of a part for one seed: values by problem, by arm and round."""
    started = time.monotonic()
    home = folder / f"knob-{part.knob}" / f"seed-{seed}"
    home.mkdir(parents=True, exist_ok=True)
    s = middle_arms.start(home, part.knob, seed, replace(size, **part.sizes))
    arms: dict[str, Mapping[str, Any]] = {}
    bounds: Mapping[str, list[float]] = {}
    with middle_arms.workplace(home / "run") as place:
        for arm in part.arms:
            first = middle_arms.cold(place, s, with_rationale=arm.with_rationale)
            pairs = middle_arms.rounds(place, arm, s, first)
            arms[arm.name] = measured(place, arm, s, pairs)
            if part.bounds and arm.name == "snis":
                bounds = middle_measures.iwae(place, s, first, pairs[-1])
    return {
        "part": part.name,
        "seed": seed,
        "truth": middle_measures.truth(s),
        "arms": arms,
        "iwae": bounds,
        "seconds": time.monotonic() - started,
    }


def measured(place: Workplace, arm: Arm, s: Start, pairs: Sequence[Pair]) -> Mapping[str, Any]:
    """p by round (all of a curve, else the last), q of the last, and what the fits of the rounds cost."""
    shown = range(len(pairs)) if arm.curve else [len(pairs) - 1]
    p = {str(n): middle_measures.of_generator(place, pairs[n].generator, s, with_rationale=arm.with_rationale) for n in shown}
    q = middle_measures.of_posterior(place, pairs[-1].posterior, s) if arm.with_rationale else {}
    fits = [middle_measures.effort(pair.generator) for pair in pairs[1:]]
    return {"p": p, "q": q, "effort": {key: sum(fit[key] for fit in fits) for key in (fits[0] if fits else ())}}


if __name__ == "__main__":
    main()
