"""The tables of the middle tier, from its values by problem: means over seeds and problems, intervals over both.

Intervals are percentile bootstraps of two levels: seeds are drawn with replacement and, in each, its problems; arms are paired by problem.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import getitem
from typing import Any

import numpy as np

from benchmarks.em_study.middle_arms import COLD, CONTINUED, GRID, RULES
from benchmarks.em_study.middle_measures import KS, TOKENS
from promptcot.intervals import Estimate

Results = Sequence[Mapping[str, Any]]
DRAWS = 4000


def nested(values: np.ndarray, *, level: float = 0.95, seed: int = 0) -> Estimate:
    """The mean of [seeds, problems], with an interval that counts both as drawn. One seed: over its problems alone."""
    rng, (seeds, problems) = np.random.default_rng(seed), values.shape
    chosen = rng.integers(0, seeds, (DRAWS, seeds))
    within = rng.integers(0, problems, (DRAWS, seeds, problems))
    means = values[chosen[:, :, None], within].mean(axis=(1, 2))
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(values.mean()), float(low), float(high), values.size, level)


def section(results: Results) -> str:
    """The markdown section."""
    of_part = {name: [r for r in results if r["part"] == name] for name in ("decides", "scarce", "control", "grid")}
    parts = ["# Middle tier: a million parameters, and the truth known", ""]
    if rows := of_part["decides"]:
        parts += ["## Every rule against the truth", "", setting(rows), "", *rules(rows), ""]
        parts += ["## What `snis` gains", "", *gains(rows, "snis"), "", "## IWAE-K against the exact value", "", *iwae(rows), ""]
        parts += ["## What was spent", "", *spent(rows), ""]
    if rows := of_part["scarce"]:
        parts += ["## Few problems, each seen twice a round", "", setting(rows), "", *rules(rows), "", *gains(rows, "snis"), ""]
    if rows := of_part["grid"]:
        parts += ["## Settings of `snis`", "", setting(rows), "", *grid(rows), "", *gains(rows, "snis"), ""]
    if rows := of_part["control"]:
        parts += ["## Control: a rationale that says nothing", "", setting(rows), "", *rules(rows), "", *gains(rows, "snis"), ""]
        parts += [*gains(rows, "shuffled"), ""]
    return "\n".join(parts)


def setting(rows: Results) -> str:
    """One line: how many of what."""
    true = values(rows, "truth", "log_p") / TOKENS
    entropy, short = (values(rows, "truth", key).mean() for key in ("entropy", "short"))
    return (
        f"{true.shape[0]} seeds, {true.shape[1]} held-out problems each; log p\\*(x|c) = {true.mean():.3f} nats per token, entropy of q\\* "
        f"{entropy:.2f} nats, {short:.2f} of q\\* on rationales without a detail."
    )


def rules(rows: Results) -> list[str]:
    """An arm a line: exact log p by round, the gap to the truth, the posterior's divergence, what p makes of z."""
    numbers = sorted({int(n) for arm in rows[0]["arms"].values() for n in arm["p"]})
    head = [f"round {n}" for n in numbers]
    columns = ["arm", *head, "gap to p\\* (95 %)", "KL(q\\*, q)", "q: entropy", "q: short", "p: short", "p uses z"]
    lines = [_line(columns), _line(["---"] * len(columns))]
    true = values(rows, "truth", "log_p")
    for name in arms(rows):
        measured = rows[0]["arms"][name]["p"]
        shown = [f"{log_p(rows, name, n).mean() / TOKENS:.3f}" if str(n) in measured else "" for n in numbers]
        gap = nested((true - log_p(rows, name)) / TOKENS)
        lines.append(_line([name, *shown, _interval(gap), *_posterior(rows, name), *_use(rows, name)]))
    return lines


def gains(rows: Results, ours: str) -> list[str]:
    """log p of an arm less that of each other, in nats per token, paired by problem."""
    lines = [_line([f"`{ours}` less", "gain", "90 %", "95 %", "seeds ahead"]), _line(["---"] * 5)]
    for name in arms(rows):
        if name != ours:
            difference = (log_p(rows, ours) - log_p(rows, name)) / TOKENS
            by_seed = difference.mean(axis=1)
            inner, outer = nested(difference, level=0.90), nested(difference)
            spans = [f"[{e.low:+.4f}, {e.high:+.4f}]" for e in (inner, outer)]
            lines.append(_line([name, f"{inner.value:+.4f}", *spans, f"{int((by_seed > 0).sum())} of {len(by_seed)}"]))
    return lines


def iwae(rows: Results) -> list[str]:
    """How far IWAE-K lies below the exact log p_theta(x|c), in nats per token, for `snis`' last round."""
    exact = log_p(rows, "snis")
    lines = [_line(["K", "mixture of q0 and q: bias", "prior p(z\\|c): bias"]), _line(["---"] * 3)]
    for k in KS:
        biases = [(values(rows, "iwae", f"{kind} {k}") - exact) / TOKENS for kind in ("mixture", "prior")]
        lines.append(_line([str(k), *(_interval(nested(_complete(bias)), sign=True) for bias in biases)]))
    mass = _of_p(rows, "snis", "mass").mean()
    return [*lines, "", f"Rationales of the language hold {mass:.5f} of p(z|c): what the enumeration leaves out."]


def grid(rows: Results) -> list[str]:
    """The settings of `snis`, as `rules` has them."""
    return rules(rows)


def spent(rows: Results) -> list[str]:
    """Steps and tokens of the generator's fits after the cold start, by arm."""
    columns = ["arm", "optimizer steps", "texts", "scored tokens", "all tokens"]
    lines = [_line(columns), _line(["---"] * len(columns))]
    for name in arms(rows):
        if rows[0]["arms"][name]["effort"]:
            mean = [np.mean([r["arms"][name]["effort"][key] for r in rows]) for key in ("steps", "examples", "tokens", "total_tokens")]
            lines.append(_line([name, *(f"{value:,.0f}" for value in mean)]))
    seconds = [r["seconds"] for r in rows]
    return [*lines, "", f"{sum(seconds):,.0f} s of one core in all, {np.median(seconds):.0f} s a seed (median)."]


def arms(rows: Results) -> list[str]:
    """The arms there are, in the order of the study: what was read back from a file comes in the order of the alphabet."""
    known = [arm.name for arm in (COLD, *RULES, CONTINUED, *GRID)]
    return [name for name in known if name in rows[0]["arms"]]


def log_p(rows: Results, arm: str, number: int | None = None) -> np.ndarray:
    """Exact log p_theta(x|c) in nats, [seeds, problems], of a round (the last one)."""
    return _of_p(rows, arm, "log_p", number)


def values(rows: Results, *path: str) -> np.ndarray:
    """[seeds, problems] of what stands at the path in a seed's result."""
    return np.array([reduce(getitem, path, r) for r in rows], float)


def _of_p(rows: Results, arm: str, key: str, number: int | None = None) -> np.ndarray:
    return values(rows, "arms", arm, "p", _round(rows, arm) if number is None else str(number), key)


def _round(rows: Results, arm: str) -> str:
    """The last round of an arm, as results name it."""
    return str(max(int(number) for number in rows[0]["arms"][arm]["p"]))


def _posterior(rows: Results, arm: str) -> list[str]:
    if not rows[0]["arms"][arm]["q"]:
        return ["", "", ""]
    kl = nested(values(rows, "arms", arm, "q", "kl"))
    rest = [values(rows, "arms", arm, "q", key).mean() for key in ("entropy", "short")]
    return [_interval(kl, digits=2), *(f"{value:.2f}" for value in rest)]


def _use(rows: Results, arm: str) -> list[str]:
    if "short" not in rows[0]["arms"][arm]["p"][_round(rows, arm)]:
        return ["", ""]
    short, uses = (_of_p(rows, arm, key).mean() for key in ("short", "uses"))
    return [f"{short:.2f}", f"{uses / TOKENS:.2f}"]


def _complete(bias: np.ndarray) -> np.ndarray:
    """Without problems that a posterior wrote too few valid rationales for: their seed's mean stands in."""
    means = np.nanmean(bias, axis=1, keepdims=True)
    return np.where(np.isnan(bias), means, bias)


def _interval(e: Estimate, *, digits: int = 3, sign: bool = False) -> str:
    form = f"{'+' if sign else ''}.{digits}f"
    return f"{e.value:{form}} [{e.low:{form}}, {e.high:{form}}]"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
