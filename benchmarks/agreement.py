"""Whether the fast scores are the right ones: in fp32 against full logits of one text at a time, in bf16 against fp32.

What bf16 costs is told as EM feels it: the root mean square error of a sequence's log-probability, and whether the candidates of
one problem keep their order (Spearman's rho and Kendall's tau within a problem, averaged).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import kendalltau, spearmanr

from benchmarks import straightforward
from promptcot.engines import open_engine
from promptcot.engines.protocol import Ids, SampleRequest, Sampling, ScoreRequest, Tokens
from promptcot.recipe import EngineSpec
from promptcot.records import Triple

if TYPE_CHECKING:
    from benchmarks.estep import Bench

K = 8


def report(folder: Path, engine: Any, bench: Bench, *, seeds: int) -> None:
    """Draw candidates for `seeds` problems in fp32, score them in both formats and print how far they agree."""
    with open_engine(folder, EngineSpec(dtype="fp32")) as exact:
        triples = bench.triples[:seeds]
        asked = [SampleRequest(t.id, bench.segmenter.posterior_prefix(t), tuple(range(K))) for t in triples]
        replies = {r.id: r.completions for r in exact.sample(asked, Sampling(max_tokens=bench.max_tokens), 0)}
        drawn = {t.id: [c.ids for c in replies[t.id]] for t in triples}
        p, q = sequences(bench, triples, drawn)
        per_token = [abs(a - b) / n for a, b, n in brute_force(exact, [*p[:K], *q[:K]])]
        precise, rounded = ([totals(one, p), totals(one, q)] for one in (exact, engine))
    print(f"\nfp32: at most {max(per_token):.1e} nats a token from full logits, n = {len(per_token)} sequences")
    print(f"{engine.model.dtype} against fp32, {len(p)} candidates of {len(triples)} problems".replace("torch.", ""))
    print("| | RMS error, nats a sequence | rho within a problem | tau |\n|---|---|---|---|")
    weights = [scores[0] - scores[1] for scores in (precise, rounded)]
    for name, a, b in (("log p(z,x|c)", precise[0], rounded[0]), ("log q(z|c,x)", precise[1], rounded[1]), ("their difference", *weights)):
        rho, tau = ranks(a, b)
        print(f"| {name} | {np.sqrt(np.mean((a - b) ** 2)):.2f} | {rho:.3f} | {tau:.3f} |", flush=True)


def sequences(bench: Bench, triples: Sequence[Triple], drawn: dict[str, list[Ids]]) -> tuple[list[Tokens], list[Tokens]]:
    """p's and q's sequences of all candidates, problem by problem."""
    both = [bench.texts(t, drawn[t.id]) for t in triples]
    return [text for p, _ in both for text in p], [text for _, q in both for text in q]


def brute_force(engine: Any, texts: Sequence[Tokens]) -> list[tuple[float, float, int]]:
    """Our log-probability, that of the full logits, and the number of scored tokens."""
    ours = totals(engine, texts)
    return [(float(a), sum(straightforward.log_p(engine.model, t)), sum(map(len, t.segments))) for a, t in zip(ours, texts, strict=True)]


def totals(engine: Any, texts: Sequence[Tokens]) -> np.ndarray:
    """Log-probability of each text, in their order."""
    scored = {reply.id: sum(reply.log_p) for reply in engine.score([ScoreRequest(str(n), t) for n, t in enumerate(texts)])}
    return np.array([scored[str(n)] for n in range(len(texts))])


def ranks(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Mean rank correlations over problems of K candidates each."""
    rows = list(zip(a.reshape(-1, K), b.reshape(-1, K), strict=True))
    return tuple(float(np.mean([measure(x, y).statistic for x, y in rows])) for measure in (spearmanr, kendalltau))  # type: ignore[return-value]
