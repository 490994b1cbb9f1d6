"""The paper's four curves, from a finished study: NLL of held-out problems given their rationale, by round of EM.

    python -m benchmarks.em_study.curves DIR --out docs/em-curves.svg

The paper draws NLL by training step with E-step, with fixed rationales, of the initial model with z, and of it without z. None of these is
a bound on log p(x|c): a rationale that gives the problem away lowers all of them. Here the fourth is the initial model with *another*
problem's rationale, since p without any z was fitted apart.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.em_study.real_tables import Rows, load
from promptcot.intervals import Estimate, nested_ratio_of_sums
from promptcot.reporting.figures import Axis, ticks

Probe = Callable[[Sequence[float]], float]
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 430, 300, 56, 34, 62
LINES = (
    ("with E-step (snis)", "snis", "#1f4e9c", ""),
    ("fixed rationales", "fixed", "#b4552d", ""),
    ("initial, own z", "cold", "#555", "6 4"),
    ("initial, another z", "other", "#999", "2 4"),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw one panel a test set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    sets = {name: load(given.run / "results", name) for name in ("starter", "champ")}
    given.out.write_text(drawing({name: curves(rows) for name, rows in sets.items()}), encoding="utf-8")


def curves(rows: Rows) -> dict[str, list[Estimate]]:
    """By line, its NLL after every round, nats per token of x; what was only measured at the start stays there."""
    rounds = max(len(row["probes"]) for row in rows)
    start = {"cold": _nll(rows, "cold", 0, lambda p: -p[0]), "other": _nll(rows, "cold", 0, lambda p: -p[1])}
    found = {name: [value] * rounds for name, value in start.items()}
    return found | {arm: [_nll(rows, arm, r, lambda p: -p[0]) for r in range(rounds)] for arm in ("snis", "fixed")}


def _nll(rows: Rows, arm: str, number: int, of: Probe) -> Estimate:
    probes = [row["probes"][number] for row in rows if row["arm"] == arm]
    return nested_ratio_of_sums([[of(p) for p in one] for one in probes], [[p[2] for p in one] for one in probes])


def drawing(panels: dict[str, dict[str, list[Estimate]]]) -> str:
    """All panels, on one scale each, as SVG."""
    parts = [f'<g transform="translate({n * WIDTH} 0)">{panel(name, found)}</g>' for n, (name, found) in enumerate(panels.items())]
    size = f'width="{WIDTH * len(panels)}" height="{HEIGHT}" viewBox="0 0 {WIDTH * len(panels)} {HEIGHT}"'
    text = "".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="#fff"/>{text}</svg>\n'
    )


def panel(name: str, found: dict[str, list[Estimate]]) -> str:
    """Axes, whiskers at 90 %, lines, legend."""
    ends = [end for line in found.values() for e in line for end in (e.low, e.high)]
    marks = ticks(min(ends), max(ends))
    y = Axis(tuple(marks), HEIGHT - BOTTOM, TOP)
    rounds = len(found["cold"])
    x = Axis(tuple(float(r) for r in range(rounds)), LEFT + 20, WIDTH - 24)
    n = found["cold"][0].n
    out = [f'<text x="{LEFT}" y="18" font-weight="bold">{name}: NLL(x | z, c), nats per token (n = {n}, 90 %)</text>']
    for mark in marks:
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - 12}" y1="{y(mark)}" y2="{y(mark)}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 6}" y="{y(mark) + 4}" text-anchor="end">{y.label(mark)}</text>')
    out += [f'<text x="{x(r)}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">round {r}</text>' for r in range(rounds)]
    for place, (label, key, color, dash) in enumerate(LINES):
        out.append(_line([(x(r) + 4 * place - 6, e) for r, e in enumerate(found[key])], y, color, dash))
        left, top = LEFT + (place % 2) * 180, HEIGHT - 26 + 16 * (place // 2)
        out.append(
            f'<line x1="{left}" x2="{left + 24}" y1="{top}" y2="{top}" stroke="{color}" stroke-width="2" stroke-dasharray="{dash}"/>'
        )
        out.append(f'<text x="{left + 30}" y="{top + 4}">{label}</text>')
    return "".join(out)


def _line(points: Sequence[tuple[float, Estimate]], y: Axis, color: str, dash: str) -> str:
    path = " ".join(f"{x},{y(e.value)}" for x, e in points)
    whiskers = "".join(f'<line x1="{x}" x2="{x}" y1="{y(e.low)}" y2="{y(e.high)}" stroke="{color}"/>' for x, e in points)
    return f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2" stroke-dasharray="{dash}"/>{whiskers}'


if __name__ == "__main__":
    main()
