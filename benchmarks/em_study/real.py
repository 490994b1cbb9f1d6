"""Does EM help a real model? The arms of `arms.py`, trained from the same start and judged on the same held-out draws.

    python -m benchmarks.em_study.real --run DIR [--seeds 0 1 2] [--arms cold snis ...] [--rounds 2] [--set em.candidates=8 ...]
    python -m benchmarks.em_study.real --run DIR --sets dev --proposers cold --rounds 1 --results dev-ess-0 --set em.ess=0    # a try

DIR/seed-S is a run folder and can be resumed; DIR/results/*.json holds what `real_tables` prints. Killed, it goes on where it was; what
several settings have in common is computed once.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from benchmarks.em_study import corpus, held_out, written
from benchmarks.em_study.arms import ARMS, PROPOSERS, WITHOUT_RATIONALE, Bench, base_of, rule_of
from benchmarks.em_study.arms import Path as Walk
from promptcot import recipes
from promptcot.durable import write_json
from promptcot.executors import LocalWorkplace, Progress
from promptcot.health import Evidence, summarize
from promptcot.recipe import Recipe
from promptcot.store import Run

RECIPE = Path(__file__).with_name("real.yaml")


@dataclass(frozen=True)
class Plan:
    """How much is compared: which arms after how many rounds, on which test sets, by the draws of whose q."""

    arms: tuple[str, ...]
    sets: tuple[str, ...]
    proposers: tuple[str, ...]
    results: str
    rounds: int
    train: int
    test: int
    champ: int
    each: int
    prior: int
    written: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Run or resume the study for the given training seeds, one after the other."""
    given = _parser().parse_args(arguments)
    recipe = recipes.load(str(given.recipe), given.set)
    named: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in vars(given).items()}
    plan = Plan(**{field.name: named[field.name] for field in fields(Plan)})
    data = corpus.read(recipe, train=plan.train, test=plan.test, champ=plan.champ)
    for seed in given.seeds:
        one_seed(given.run, recipe, plan, data, seed)


def one_seed(folder: Path, recipe: Recipe, plan: Plan, data: corpus.Corpus, seed: int) -> None:
    """All arms of one training seed, their held-out readings and what they write."""
    results = folder / plan.results
    results.mkdir(parents=True, exist_ok=True)
    run = Run.create(folder / f"seed-{seed}", recipe.model_dump(mode="json", by_alias=True))
    with run.writing():
        bench = Bench(LocalWorkplace(run, watch=Teller()), recipe, data, seed, base_of(recipe))
        walks = {arm: bench.walk(arm, plan.rounds) for arm in plan.arms}
        keep(results, "trained", seed, [row for walk in walks.values() for row in trained_rows(bench, walk)])
        for name in plan.sets:
            rows = held_out_rows(bench, name, walks, plan)
            if rows:
                keep(results, name, seed, rows)
        if plan.written:
            rows = [row for walk in walks.values() for row in written.rows(bench, walk, plan.written)]
            keep(results, "written", seed, rows)


def keep(folder: Path, name: str, seed: int, rows: list[dict[str, Any]]) -> None:
    """Write what the tables are made of."""
    write_json(folder / f"{name}-{seed}.json", {"rows": rows})


def held_out_rows(bench: Bench, name: str, walks: dict[str, Walk], plan: Plan) -> list[dict[str, Any]]:
    """The readings of every arm at its last round on one test set, and by round how much p uses the rationale."""
    pool = bench.corpus.held_out[name]
    if not pool.rows or not all(arm in walks for arm in plan.proposers):
        return []
    assert bench.recipe.em is not None
    tokens = bench.recipe.em.sample.max_tokens
    posteriors = held_out.posteriors_of([bench.start(), *(walks[arm].rounds[-1] for arm in plan.proposers)])
    shared = held_out.proposal(bench.place, posteriors, pool, each=plan.each, max_tokens=tokens, seed=bench.seed)
    out = []
    for arm, walk in walks.items():
        last = walk.rounds[-1].generator
        if arm in WITHOUT_RATIONALE:
            found = held_out.exact(bench.place, pool, last)
        else:
            found = held_out.readings(bench.place, pool, last, shared, prior=plan.prior, max_tokens=tokens + 64, seed=bench.seed)
        out.append(
            {"seed": bench.seed, "arm": arm, "readings": [asdict(row) for row in found], "probes": _probes(bench, walk, shared, name)}
        )
    return out


def _probes(bench: Bench, walk: Walk, shared: held_out.Proposal, name: str) -> list[list[tuple[float, float, int]]]:
    if walk.arm in WITHOUT_RATIONALE:
        return []
    pool = bench.corpus.held_out[name]
    return [held_out.uses_rationale(bench.place, number, pair.generator, shared, pool) for number, pair in enumerate(walk.rounds)]


def trained_rows(bench: Bench, walk: Walk) -> list[dict[str, Any]]:
    """Per round: steps and tokens of p's fit, and the health of the E-step."""
    out = []
    for number, pair in enumerate(walk.rounds[1:], 1):
        facts: dict[str, Any] = json.loads((pair.generator.path.parent / "manifest.json").read_text())["info"]
        row = {"seed": bench.seed, "arm": walk.arm, "round": number, **{k: facts[k] for k in ("steps", "tokens", "total_tokens", "losses")}}
        if walk.trained and walk.trained[number - 1].draws:
            done = walk.trained[number - 1]
            evidence = Evidence(len(bench.corpus.train.rows), done.draws, done.candidates, done.selections, (), ())
            health = summarize(number, 0, bench.setting(rule_of(walk.arm)).em, evidence)
            row |= {
                k: getattr(health, k) for k in ("valid_share", "leak_share", "ess", "tau", "rationale_tokens", "distinct_share", "sat_out")
            }
            row["log_q_gap"] = done.log_q_gap
        out.append(row)
    return out


class Teller:
    """Says on stderr what step is under way, at most once in some seconds."""

    def __init__(self, every: float = 30.0) -> None:
        self.every, self.started, self.last, self.step = every, time.monotonic(), 0.0, ""

    def __call__(self, progress: Progress) -> None:
        """Hear of a step's progress."""
        now = time.monotonic()
        if progress.step == self.step and progress.done < progress.total and now - self.last < self.every:
            return
        self.step, self.last = progress.step, now
        print(f"{now - self.started:7.0f}s {progress.step} {progress.done}/{progress.total} {progress.note}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="the study's folder")
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a recipe value")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--sets", nargs="+", default=["starter", "champ"], choices=("dev", "starter", "champ"), help="what is held out")
    parser.add_argument("--proposers", nargs="+", default=list(PROPOSERS), choices=ARMS, help="whose q, beside q_0, draws for all arms")
    parser.add_argument("--results", default="results", help="the folder of results below DIR")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--train", type=int, default=137, help="training problems")
    parser.add_argument("--test", type=int, default=40, help="starter test (or dev) problems")
    parser.add_argument("--champ", type=int, default=40, help="CHAMP test problems")
    parser.add_argument("--each", type=int, default=6, help="valid draws a problem from each proposer")
    parser.add_argument("--prior", type=int, default=4, help="rationales a problem from each arm's own prior")
    parser.add_argument("--written", type=int, default=100, help="problems that each arm writes")
    return parser


if __name__ == "__main__":
    main()
