"""How far an Elo rating moves with the order of submission, with the choice of contests, and with the rule: on a simulated solver.

    python -m benchmarks.elo [--contests 20] [--draws 8] [--repeats 200]

Everything is invented but the formulas. A contest has 6 problems rated 800 to 2600 and 200 people around 1500; who solves what follows
P(solve) = 1 / (1 + 10^((d - r) / 400)) for everybody, people lose points for failures and up to half for time. The solver is rated 1700 for
one attempt, draws a few attempts at every problem, and submits them in some order until one is right.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from promptcot.evaluation.contest_rank import Combine, Contest, Person, contest_elo, place
from promptcot.evaluation.elo import Rule, Tried, elo

ABILITY, PEOPLE = 1700.0, 200
RATINGS = dict(zip("ABCDEF", (800.0, 1200.0, 1500.0, 1800.0, 2200.0, 2600.0), strict=True))
POINTS = dict(zip("ABCDEF", (500.0, 750.0, 1000.0, 1500.0, 2000.0, 3000.0), strict=True))

Submitted = dict[str, list[bool]]


def solves(r: np.ndarray | float, d: float) -> np.ndarray:
    return np.asarray(1 / (1 + 10 ** ((d - np.asarray(r)) / 400)))


def contest(name: str, rng: np.random.Generator) -> tuple[Contest, dict[str, float]]:
    """Standings, and the problems' true ratings."""
    rated = {p: d + float(rng.normal(0, 150)) for p, d in RATINGS.items()}
    people, points = rng.normal(1500, 350, PEOPLE), np.zeros(PEOPLE)
    for problem, d in rated.items():
        failures = rng.geometric(0.6, PEOPLE) - 1
        kept = POINTS[problem] * (1 - 0.5 * rng.random(PEOPLE)) - 50 * failures
        points += np.where(rng.random(PEOPLE) < solves(people, d), np.maximum(kept, 0.3 * POINTS[problem]), 0)
    return Contest(name, POINTS, tuple(Person(float(r), float(s)) for r, s in zip(people, points, strict=True))), rated


def attempts(rated: Mapping[str, float], draws: int, rng: np.random.Generator) -> Submitted:
    return {p: [bool(x) for x in rng.random(draws) < solves(ABILITY, d)] for p, d in rated.items()}


def shuffled(drawn: Submitted, rng: np.random.Generator) -> Submitted:
    return {p: [results[i] for i in rng.permutation(len(results))] for p, results in drawn.items()}


def orders(draws: int) -> dict[str, Callable[[Submitted], Submitted]]:
    return {
        "the first draw only": lambda drawn: {p: r[:1] for p, r in drawn.items()},
        f"up to {draws}, as drawn": lambda drawn: drawn,
        f"up to {draws}, successes first": lambda drawn: {p: sorted(r, reverse=True) for p, r in drawn.items()},
        f"up to {draws}, failures first": lambda drawn: {p: sorted(r) for p, r in drawn.items()},
    }


def spread(values: Sequence[float]) -> str:
    """Mean, and where 95 % of the values lie."""
    low, high = np.quantile(values, [0.025, 0.975])
    return f"{np.mean(values):.0f} [{low:.0f}, {high:.0f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("contests", 20), ("draws", 8), ("repeats", 200), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    held = [contest(f"contest {i:02d}", rng) for i in range(args.contests)]
    drawn = [attempts(rated, args.draws, rng) for _, rated in held]
    print(f"A solver rated {ABILITY:.0f} for one attempt; {args.contests} contests of 6 problems, {args.draws} attempts at each\n")
    print("| what | rating, 95 % interval | n |\n|---|---|---|")
    for name, order in orders(args.draws).items():
        for combine in Combine:
            found = contest_elo([(c, order(d)) for (c, _), d in zip(held, drawn, strict=True)], combine=combine).rating
            print(f"| contest rank, {combine.value}: {name} | {found.value:.0f} [{found.low:.0f}, {found.high:.0f}] | {found.n} contests |")
    rows = [
        (f"{c.name} {p}", rated[p], results) for (c, rated), d in zip(held, drawn, strict=True) for p, results in d.items()
    ]  # one row a problem
    one = elo([Tried(q, d, sum(r), len(r)) for q, d, r in rows]).rating
    tries = elo([Tried(q, d, sum(r), len(r)) for q, d, r in rows], rule=Rule.ANY_OF_TRIES, tries=args.draws).rating
    for name, found in (("every try", one), (f"any of {args.draws} tries", tries)):
        print(f"| problem ratings: {name} | {found.value:.0f} [{found.low:.0f}, {found.high:.0f}] | {found.n} problems |")
    moves(held, drawn, args.repeats, rng)


def moves(held: Sequence[tuple[Contest, dict[str, float]]], drawn: Sequence[Submitted], repeats: int, rng: np.random.Generator) -> None:
    """The same draws in other orders, and the same draws at fewer contests: how far the mean of contest ratings goes."""
    as_drawn = np.array([place(c, d).rating for (c, _), d in zip(held, drawn, strict=True)])
    reordered = [np.mean([place(c, shuffled(d, rng)).rating for (c, _), d in zip(held, drawn, strict=True)]) for _ in range(repeats)]
    print("\n| what changes | mean of the ratings, and where 95 % of them lie | n |\n|---|---|---|")
    print(f"| the order of the same attempts | {spread(reordered)} | {repeats} orders |")
    for size in (1, 5, 10):
        if size < len(held):
            chosen = [as_drawn[rng.choice(len(held), size, replace=False)].mean() for _ in range(repeats)]
            print(f"| which {size} of the {len(held)} contests | {spread(chosen)} | {repeats} choices |")


if __name__ == "__main__":
    main()
