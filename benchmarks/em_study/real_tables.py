"""The tables of the real-model tier, from `DIR/results/*.json`.

    python -m benchmarks.em_study.real_tables DIR [--against uniform fixed shuffled cold] [--out docs/PAGE.md]

Every interval is at 90 %, a bootstrap over problems nested in training seeds; arms are compared on the same problems and draws.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.em_study.arms import ARMS, WITHOUT_RATIONALE
from promptcot.bounds import iwae, log_mean_exp
from promptcot.intervals import Estimate, nested_ratio_of_sums, wilson
from promptcot.words import words

Rows = list[dict[str, Any]]
Bound = Callable[[dict[str, Any]], float]
SETS = {"dev": "dev problems of the starter corpus", "starter": "starter test problems", "champ": "CHAMP problems"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print (or write) all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--against", nargs="+", default=["cold", "continued", "uniform", "fixed", "shuffled", "no_rationale"], choices=ARMS)
    parser.add_argument("--results", default="results", help="the folder of results below DIR")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    text = "\n".join(section(given.run / given.results, given.against))
    given.out.write_text(text, encoding="utf-8") if given.out else print(text)


def section(results: Path, against: Sequence[str]) -> list[str]:
    """All tables as markdown lines."""
    out: list[str] = []
    for name, words_for in SETS.items():
        rows = load(results, name)
        if any(row["readings"] for row in rows if row["arm"] not in WITHOUT_RATIONALE):
            out += [f"### Held-out bound, {words_for}", "", *bounds_table(rows), "", *differences_table(rows, against), ""]
            out += ["K-curve:", "", *curve_table(rows), "", "How much p uses the rationale:", "", *probe_table(rows), ""]
    out += ["### Rounds", "", *rounds_table(load(results, "trained")), ""] if load(results, "trained") else []
    out += ["### What the arms write", "", *written_table(load(results, "written")), ""] if load(results, "written") else []
    return out


def load(results: Path, name: str) -> Rows:
    """The rows of all training seeds."""
    return [row for path in sorted(results.glob(f"{name}-*.json")) for row in json.loads(path.read_text())["rows"]]


def bound(k: int) -> Bound:
    """IWAE-k of a reading in nats; what is exact stays as it is."""

    def of(reading: dict[str, Any]) -> float:
        log_w = np.add(reading["log_p_rationale"], reading["log_p_problem"]) - np.asarray(reading["log_m"])
        return float(log_w[0]) if len(log_w) == 1 else iwae(log_w, k)

    return of


def prior_bound(reading: dict[str, Any]) -> float:
    """log of the mean p(x|z,c) over the arm's own rationales; an invalid one counts as 0."""
    if not reading["prior"]:
        return -np.inf
    return float(log_mean_exp(np.array(reading["prior"]))) + float(np.log(len(reading["prior"]) / reading["prior_made"]))


def arm_estimate(rows: Rows, arm: str, of: Bound, minus: str | None = None) -> Estimate:
    """Nats per token of x of an arm, or its difference from another, paired by problem within each training seed."""
    by_seed = {row["seed"]: {r["problem"]: r for r in row["readings"]} for row in rows if row["arm"] == arm}
    other = {row["seed"]: {r["problem"]: r for r in row["readings"]} for row in rows if row["arm"] == minus}
    values, sizes = [], []
    for seed, readings in sorted(by_seed.items()):
        shared = [p for p in readings if minus is None or p in other.get(seed, {})]
        if shared:
            values.append([of(readings[p]) - (of(other[seed][p]) if minus else 0.0) for p in shared])
            sizes.append([readings[p]["tokens"] for p in shared])
    return nested_ratio_of_sums(values, sizes)


def arms_of(rows: Rows) -> list[str]:
    """The arms there are, in their order."""
    return [arm for arm in ARMS if any(row["arm"] == arm for row in rows)]


def largest_k(rows: Rows) -> int:
    """The largest power of two that the shared draws allow."""
    draws = min(len(r["log_m"]) for row in rows if row["arm"] not in WITHOUT_RATIONALE for r in row["readings"])
    return int(2 ** np.floor(np.log2(draws)))


def bounds_table(rows: Rows) -> list[str]:
    """The bound at the largest K, and the one from the arm's own prior."""
    k = largest_k(rows)
    with_prior = any(r["prior"] for row in rows for r in row["readings"])
    lines = [_row("arm", f"IWAE-{k}, nats per token of x", *(["own prior"] if with_prior else []), "seeds"), _rule(3 + with_prior)]
    for arm in arms_of(rows):
        value = str(arm_estimate(rows, arm, bound(k))) + (" exact" if arm in WITHOUT_RATIONALE else "")
        prior = [] if not with_prior else ["" if arm in WITHOUT_RATIONALE else _shown(arm_estimate(rows, arm, prior_bound))]
        lines.append(_row(arm, value, *prior, str(sum(row["arm"] == arm for row in rows))))
    return lines


def differences_table(rows: Rows, against: Sequence[str]) -> list[str]:
    """Every arm against the controls, paired."""
    k, there = largest_k(rows), arms_of(rows)
    controls = [arm for arm in against if arm in there]
    lines = [_row("arm minus", *controls), _rule(1 + len(controls))]
    for arm in there:
        cells = ["" if arm == other else _marked(arm_estimate(rows, arm, bound(k), other)) for other in controls]
        lines.append(_row(arm, *cells))
    return lines


def curve_table(rows: Rows) -> list[str]:
    """IWAE-K from one draw for all K."""
    ks = [2**i for i in range(int(np.log2(largest_k(rows))) + 1)]
    lines = [_row("arm", *(f"K={k}" for k in ks)), _rule(1 + len(ks))]
    for arm in arms_of(rows):
        if arm not in WITHOUT_RATIONALE:
            lines.append(_row(arm, *(f"{arm_estimate(rows, arm, bound(k)).value:.3f}" for k in ks)))
    return lines


def probe_table(rows: Rows) -> list[str]:
    """Own minus another problem's rationale, and NLL of x given its own, by round: nats per token of x."""
    rounds = max((len(row["probes"]) for row in rows), default=0)
    lines = [
        _row("arm", *(f"own minus other, round {r}" for r in range(rounds)), *(f"NLL(x given z, c), round {r}" for r in range(rounds)))
    ]
    lines.append(_rule(1 + 2 * rounds))
    for arm in arms_of(rows):
        gaps = [_over_seeds(rows, arm, r, lambda p: p[0] - p[1]) for r in range(rounds)]
        nll = [_over_seeds(rows, arm, r, lambda p: -p[0]) for r in range(rounds)]
        if any(gaps):
            lines.append(_row(arm, *gaps, *nll))
    return lines


def _over_seeds(rows: Rows, arm: str, number: int, of: Callable[[Sequence[float]], float]) -> str:
    found = [row["probes"][number] for row in rows if row["arm"] == arm and len(row["probes"]) > number]
    if not found:
        return ""
    return _shown(nested_ratio_of_sums([[of(p) for p in probes] for probes in found], [[p[2] for p in probes] for probes in found]))


def rounds_table(rows: Rows) -> list[str]:
    """What each round trained on and what its E-step looked like, means over training seeds."""
    head = ("arm", "round", "steps", "scored tokens", "all tokens", "ESS", "tau", "valid", "leak", "tokens of z", "sat out")
    lines = [_row(*head), _rule(len(head))]
    grouped: dict[tuple[str, int], Rows] = defaultdict(list)
    for row in rows:
        grouped[row["arm"], row["round"]].append(row)
    for (arm, number), same in sorted(grouped.items(), key=lambda item: (ARMS.index(item[0][0]), item[0][1])):
        means = [_mean(same, key) for key in ("ess", "tau", "valid_share", "leak_share", "rationale_tokens", "sat_out")]
        counts = (f"{np.mean([row[key] for row in same]):.0f}" for key in ("steps", "tokens", "total_tokens"))
        lines.append(_row(arm, str(number), *counts, *means))
    return lines


def _mean(rows: Rows, key: str) -> str:
    values = [row[key][0] if isinstance(row[key], list) else row[key] for row in rows if key in row]
    return f"{np.mean(values):.2f}" if values else ""


def written_table(rows: Rows) -> list[str]:
    """Format, concept use, copying, length and diversity of what each arm wrote for the same concept sets."""
    head = (
        "arm",
        "n",
        "parsed",
        "uses a concept",
        "copies 8 words or more",
        "longest copied run, median",
        "words, median",
        "distinct 2-grams",
    )
    lines = [_row(*head), _rule(len(head))]
    for arm in arms_of(rows):
        own = [row for row in rows if row["arm"] == arm]
        kept = [row for row in own if row["parsed"]]
        uses, copies = sum(r["uses"] for r in kept), sum(r["copied"] >= 8 for r in kept)
        shares = (_share(len(kept), len(own)), _share(uses, len(kept)), _share(copies, len(kept)))
        medians = (_median(r["copied"] for r in kept), _median(r["words"] for r in kept))
        lines.append(_row(arm, str(len(own)), *shares, *medians, f"{distinct([r['problem'] for r in kept], 2):.2f}"))
    return lines


def distinct(texts: Sequence[str], n: int, tokens: int = 1000) -> float:
    """Distinct over all word n-grams, in the first `tokens` n-grams: the share falls with length."""
    grams = [gram for text in texts for gram in zip(*(words(text)[i:] for i in range(n)), strict=False)][:tokens]
    return len(set(grams)) / len(grams) if grams else float("nan")


def _share(hits: int, n: int) -> str:
    share = wilson(hits, n)
    return f"{share.value:.2f} [{share.low:.2f}, {share.high:.2f}]" if n else ""


def _median(values: Iterable[float]) -> str:
    found = list(values)
    return f"{np.median(found):.0f}" if found else ""


def _shown(e: Estimate) -> str:
    return f"{e.value:.3f} [{e.low:.3f}, {e.high:.3f}]"


def _marked(e: Estimate) -> str:
    return f"**{_shown(e)}**" if e.verdict != "no evidence" else _shown(e)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(columns: int) -> str:
    return "|" + "---|" * columns


if __name__ == "__main__":
    main()
