"""Speed of the E-step, of scoring and of training, each beside what one would use instead, in one run.

    python -m benchmarks.estep [--quick] [--repeats 3] [--only estep scoring training]
                               [--served-url http://HOST:PORT/v1 | --vllm-python .vllm/bin/python]

E-step: K rationales for each of some starter problems, log p and log q of each, by an engine of this package against
`straightforward.py`. Scoring: against a bare forward pass with all logits. Training: against a plain loop and TRL. Repeats alternate;
ratios are paired by repeat, their brackets are the smallest and largest. Sampled log q count as log q where they agree with scored ones
within `handover.LIMIT`, as in a run; where not, the time to score them again is ours.

With `--quick` the straightforward way works on two of the problems and its whole is extrapolated by tokens.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import torch

from benchmarks import agreement, bare_forward, straightforward, training
from benchmarks.ratios import alternate, paired, spread
from promptcot import models
from promptcot.annotate import from_source
from promptcot.engines import open_engine
from promptcot.engines.devices import describe
from promptcot.engines.protocol import Completion, Ids, SampleRequest, Sampling, ScoreRequest, Tokens
from promptcot.handover import LIMIT
from promptcot.outcomes import Finish
from promptcot.recipe import EngineSpec, Input
from promptcot.records import Triple
from promptcot.seeds import read_seeds
from promptcot.segments import Segmenter

K = 8
PLAIN = "straightforward"
PARTS = ("estep", "scoring", "training")


@dataclass(frozen=True)
class Timed:
    """One E-step: seconds of sampling, of scoring under p, of scoring under q again; tokens sampled; tokens of p's sequences."""

    sample: float
    score: float
    again: float
    sampled: int
    scored: int
    gap: float = 0.0

    @property
    def sampling(self) -> float:
        """Sampled tokens a second."""
        return self.sampled / self.sample

    @property
    def scoring(self) -> float:
        """Tokens of p's sequences a second, until log p and log q are known."""
        return self.scored / (self.score + self.again)

    def whole(self, work: Timed) -> float:
        """Seconds for an E-step of as many tokens as `work`."""
        return work.sampled / self.sampling + work.scored / self.scoring


@dataclass(frozen=True)
class Bench:
    """The problems with their token sequences, and how much is sampled."""

    triples: tuple[Triple, ...]
    segmenter: Segmenter
    max_tokens: int
    plain_seeds: int

    def texts(self, triple: Triple, drawn: Sequence[Ids]) -> tuple[list[Tokens], list[Tokens]]:
        """The sequences of p and of q for a problem's candidates (ids without the end of sequence)."""
        p = [self.segmenter.generator(triple, ids) for ids in drawn]
        return p, [self.segmenter.posterior(triple, ids) for ids in drawn]

    def with_engine(self, engine: Any, seed: int) -> Timed:
        """The E-step by an engine that plays both p and q."""
        asked = [SampleRequest(t.id, self.segmenter.posterior_prefix(t), tuple(range(K))) for t in self.triples]
        started = time.perf_counter()
        replies = {reply.id: reply.completions for reply in engine.sample(asked, Sampling(max_tokens=self.max_tokens), seed)}
        sampled = time.perf_counter()
        drawn = [(t, c) for t in self.triples for c in replies[t.id]]
        p = [self.segmenter.generator(t, c.ids) for t, c in drawn]
        list(engine.score(numbered(p)))
        scored = time.perf_counter()
        log_q = {reply.id: reply.log_p[0] for reply in engine.score(numbered([self.as_sampled(t, c) for t, c in drawn]))}
        again = time.perf_counter()
        gap = sqrt(sum((log_q[str(n)] - c.log_p) ** 2 for n, (_, c) in enumerate(drawn)) / len(drawn))
        spent = 0.0 if gap <= LIMIT else again - scored
        return Timed(sampled - started, scored - sampled, spent, sum(c.tokens for _, c in drawn), sum(map(len, p)), gap)

    def as_sampled(self, triple: Triple, c: Completion) -> Tokens:
        """q's sequence with just the tokens that were sampled: a truncated completion has no end of sequence."""
        end = (self.segmenter.tokenizer.eos,) if c.finish is Finish.STOP else ()
        return Tokens(self.segmenter.posterior_prefix(triple), ((*c.ids, *end),))

    def plainly(self, model: Any, repeat: int) -> Timed:
        """The straightforward E-step over `plain_seeds` of the problems, other ones in each repeat."""
        first = repeat * self.plain_seeds % len(self.triples)
        chosen = [self.triples[(first + n) % len(self.triples)] for n in range(self.plain_seeds)]
        eos = self.segmenter.tokenizer.eos
        prefixes = [self.segmenter.posterior_prefix(t) for t in chosen]
        torch.manual_seed(repeat)
        drawn, sampling = straightforward.timed_sample(model, prefixes, K, self.max_tokens, eos)
        ids = [[tuple(i for i in row if i != eos) for row in rows] for rows in drawn]
        p, q = zip(*(self.texts(t, rows) for t, rows in zip(chosen, ids, strict=True)), strict=True)
        scoring = [straightforward.timed_log_p(model, flat(texts)) for texts in (p, q)]
        return Timed(sampling, *scoring, sum(len(row) for rows in drawn for row in rows), sum(map(len, flat(p))))


def flat(texts: Sequence[Sequence[Tokens]]) -> list[Tokens]:
    """The texts of all problems."""
    return [text for of_one in texts for text in of_one]


def numbered(texts: Sequence[Tokens]) -> list[ScoreRequest]:
    """Requests whose ids are the texts' places."""
    return [ScoreRequest(str(n), text) for n, text in enumerate(texts)]


def starter(count: int) -> tuple[Triple, ...]:
    """Annotated starter problems, every so many of them."""
    rows = [from_source(seed) for seed in read_seeds([Input(path="builtin:starter")], domain="math", seed=0).rows]
    annotated = sorted((row for row in rows if row.rationale), key=lambda row: row.id)
    return tuple(annotated[:: len(annotated) // count][:count])


def compare_estep(bench: Bench, engines: dict[str, Any], model: Any, repeats: int) -> None:
    """Print the E-step of each engine beside the straightforward one, and how many times as fast it is."""
    measures = {name: (lambda repeat, engine=engine: bench.with_engine(engine, repeat)) for name, engine in engines.items()}
    found = alternate({PLAIN: lambda repeat: bench.plainly(model, repeat), **measures}, repeats)
    size = f"K = {K}, {len(bench.triples)} problems, up to {bench.max_tokens} tokens"
    print(f"\nE-step, {size}, n = {repeats}: median [smallest, largest]")
    print("| | sampling, tokens/s | scoring, tokens/s | whole, s | RMS gap of sampled log q, nats |\n|---|---|---|---|---|")
    for name in engines:
        print_beside(name, found[name], found[PLAIN])


def print_beside(name: str, ours: Sequence[Timed], plain: Sequence[Timed]) -> None:
    """The rows of one engine: its speeds, the straightforward ones for the same work, and their ratios."""
    seconds = [[run.whole(work) for run, work in zip(runs, ours, strict=True)] for runs in (ours, plain)]
    for title, runs, whole in ((name, ours, seconds[0]), (PLAIN, plain, seconds[1])):
        speeds = f"{spread([r.sampling for r in runs], 0)} | {spread([r.scoring for r in runs], 0)}"
        print(f"| {title} | {speeds} | {spread(whole, 1)} | {spread([r.gap for r in runs]) if runs is ours else ''} |")
    sampling = paired([r.sampling for r in ours], [r.sampling for r in plain])
    scoring = paired([r.scoring for r in ours], [r.scoring for r in plain])
    print(f"| times as fast | {spread(sampling)} | {spread(scoring)} | {spread(paired(seconds[1], seconds[0]))} | |", flush=True)


def main() -> None:
    """Measure and print tables."""
    given = options()
    folder = models.resolve(given.model)
    triples = starter(given.seeds)
    with ExitStack() as open_ones:
        ours = open_ones.enter_context(open_engine(folder, EngineSpec(dtype=given.dtype)))
        print(f"{describe()}; {given.model}, {given.dtype}")
        bench = Bench(triples, Segmenter(ours.tokenizer), given.max_tokens, given.plain_seeds)
        if "estep" in given.only:
            engines = {"transformers engine": ours}
            if (spec := served(given)) is not None:
                engines["served"] = open_ones.enter_context(open_engine(folder, spec))
            bench.with_engine(ours, -1)
            compare_estep(bench, engines, ours.model, given.repeats)
        if "scoring" in given.only:
            annotated = [bench.segmenter.generator(t, bench.segmenter.rationale(t.rationale or "")) for t in starter(8 * given.seeds)]
            bare_forward.compare(ours, annotated, given.repeats)
            agreement.report(folder, ours, bench, seeds=given.agreement_seeds)
    if "training" in given.only:
        training.compare(folder, batch=8, steps=3 if given.quick else 5, repeats=given.repeats)


def served(given: argparse.Namespace) -> EngineSpec | None:
    """The engine of a served model, if one was named."""
    if given.served_url:
        return EngineSpec(kind="openai", urls=[given.served_url], model=given.served_model)
    return EngineSpec(kind="vllm", python=str(given.vllm_python), dtype=given.dtype, max_len=1024) if given.vllm_python else None


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--dtype", default="auto", choices=("auto", "bf16", "fp32"))
    parser.add_argument("--only", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--quick", action="store_true", help="under four minutes on two quiet cores")
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--seeds", type=int, default=8, help="problems; a shard of a run has 8")
    parser.add_argument("--max-tokens", type=int, default=96)
    parser.add_argument("--served-url", help="an OpenAI-compatible server of the same model")
    parser.add_argument("--served-model", help="its name there")
    parser.add_argument("--vllm-python", type=Path, help="interpreter of an environment with vLLM, which is then started here")
    given = parser.parse_args()
    given.repeats = given.repeats or (2 if given.quick else 3)
    given.plain_seeds = 2 if given.quick else given.seeds
    given.agreement_seeds = 2 if given.quick else given.seeds
    return given


if __name__ == "__main__":
    main()
