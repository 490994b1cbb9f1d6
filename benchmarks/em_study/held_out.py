"""Held-out bounds of all arms on the same draws.

The proposal is one stratified mixture: as many valid draws from each of q_0, q_uniform and q_snis, every draw scored under all three, so
l = log p(z,x|c) - log m is comparable over arms, and one set of draws serves every K. Beside it the estimate that needs no q: the
mean of p(x|z,c) over rationales that the arm's own p writes from the concepts alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from promptcot import heldout
from promptcot.engines.protocol import Completion, Ids, Sampled, SampleRequest, Sampling, Tokenizer
from promptcot.estep import to_draw
from promptcot.executors import Rows, Table, Task, Workplace, ask
from promptcot.heldout import Asked, Pair, Stratum
from promptcot.outcomes import Finish
from promptcot.records import Draw, Triple
from promptcot.roles import Role
from promptcot.store import StepSpec
from promptcot.triples import Pool

SCHEMA = 1
PRIOR_DRAW = 2_000_000  # draws of the prior never coincide with others


@dataclass(frozen=True)
class Proposal:
    """The shared draws: by problem, in turn from each posterior, with log m of each."""

    problems: tuple[Triple, ...]
    draws: dict[str, tuple[Draw, ...]]
    log_m: dict[str, float]
    digest: str


@dataclass(frozen=True)
class Reading:
    """One problem under one arm: log p(z|c), log p(x|z,c) and log m of each draw in nats, |x| in tokens, and what the prior says."""

    problem: str
    log_p_rationale: tuple[float, ...]
    log_p_problem: tuple[float, ...]
    log_m: tuple[float, ...]
    tokens: int
    prior: tuple[float, ...] = ()
    prior_made: int = 0

    @property
    def log_w(self) -> np.ndarray:
        """log p(z,x|c) - log m of each draw."""
        return np.asarray(np.add(self.log_p_rationale, self.log_p_problem) - np.asarray(self.log_m))


def proposal(place: Workplace, posteriors: Sequence[Role], pool: Pool, *, each: int, max_tokens: int, seed: int) -> Proposal:
    """`each` valid draws from every posterior for every problem; a problem for which one falls short leaves all arms."""
    name = f"held_out/{pool.digest.split(':')[0]}"
    strata = [heldout.stratum(place, f"{name}/draws", q, pool, each, max_tokens, seed) for q in posteriors]
    kept = tuple(t for t in pool.rows if all(len(s.draws.get(t.id, ())) == each for s in strata))
    draws = {t.id: tuple(d for several in zip(*(s.draws[t.id] for s in strata), strict=True) for d in several) for t in kept}
    digest = "+".join(s.digest for s in strata)
    asked = [Asked(d.id, t, d.ids) for t in kept for d in draws[t.id]]
    return Proposal(kept, draws, _log_mixture(place, name, strata, asked, digest), digest)


def _log_mixture(place: Workplace, name: str, strata: Sequence[Stratum], asked: Sequence[Asked], digest: str) -> dict[str, float]:
    columns = []
    for stratum in strata:
        scored = heldout.score_texts(place, f"{name}/log_q", stratum.posterior, asked, as_posterior=True, source=digest)
        columns.append({a.id: scored[a.id].log_p[0] - stratum.log_valid[a.triple.id] for a in asked})
    return {a.id: float(np.logaddexp.reduce([c[a.id] for c in columns]) - np.log(len(columns))) for a in asked}


def readings(place: Workplace, pool: Pool, generator: Role, shared: Proposal, *, prior: int, max_tokens: int, seed: int) -> list[Reading]:
    """Every problem of the proposal under one arm's p; `prior` rationales a problem from the arm's own p(z|c)."""
    name = f"held_out/{pool.digest.split(':')[0]}"
    asked = [Asked(d.id, t, d.ids) for t in shared.problems for d in shared.draws[t.id]]
    scored = heldout.score_texts(place, f"{name}/log_p", generator, asked, as_posterior=False, source=shared.digest)
    own = from_prior(place, name, generator, pool, prior, max_tokens, seed) if prior else {}
    out = []
    for t in shared.problems:
        rows = [scored[d.id] for d in shared.draws[t.id]]
        log_z, log_x = zip(*(row.log_p for row in rows), strict=True)
        log_m = tuple(shared.log_m[d.id] for d in shared.draws[t.id])
        out.append(Reading(t.id, log_z, log_x, log_m, rows[0].tokens[-1], tuple(own.get(t.id, ())), prior))
    return out


def exact(place: Workplace, pool: Pool, generator: Role) -> list[Reading]:
    """log p(x|c) of a generator without rationales."""
    asked = [Asked(t.id, t, None) for t in pool.rows]
    name = f"held_out/{pool.digest.split(':')[0]}/log_p"
    scored = heldout.score_texts(place, name, generator, asked, as_posterior=False, source=pool.digest)
    return [Reading(t.id, (0.0,), scored[t.id].log_p, (0.0,), scored[t.id].tokens[-1]) for t in pool.rows]


def from_prior(place: Workplace, name: str, generator: Role, pool: Pool, count: int, max_tokens: int, seed: int) -> dict[str, list[float]]:
    """log p(x|z,c) for each valid z ~ p(z|c), by problem."""
    table = prior_draws(place, f"{name}/prior", generator, pool, count, max_tokens, seed)
    by_id = {t.id: t for t in pool.rows}
    asked = [Asked(d.id, by_id[d.parents[0]], d.ids) for d in table.rows if d.invalid is None]
    scored = heldout.score_texts(place, f"{name}/log_p_prior", generator, asked, as_posterior=False, source=table.digest)
    out: dict[str, list[float]] = {t.id: [] for t in pool.rows}
    for a in asked:
        out[a.triple.id].append(scored[a.id].log_p[1])
    return out


def prior_draws(place: Workplace, name: str, generator: Role, pool: Pool, count: int, max_tokens: int, seed: int) -> Table[Draw]:
    """Rationales that p writes from the concepts alone; what it writes after the rationale's end is cut off."""
    settings = {"count": count, "max_tokens": max_tokens, "seed": seed}
    spec = StepSpec(name, Draw, SCHEMA, settings, {"generator": generator.digest, "problems": pool.digest})
    numbers = tuple(range(PRIOR_DRAW, PRIOR_DRAW + count))

    def work(tasks: Iterator[Task[Triple]]) -> Iterator[tuple[int, Rows]]:
        with generator.open(place.meter) as engine:
            segmenter, sample = generator.segmenter(engine), partial(engine.sample, sampling=Sampling(1.0, 1.0, max_tokens), seed=seed)

            def request(task: Task[Triple]) -> SampleRequest:
                return SampleRequest(task.item.id, segmenter.generator_prefix(task.item), numbers, task.group)

            def rows(triple: Triple, reply: Sampled) -> Rows:
                return [_rationale_of(generator, engine.tokenizer, triple, c) for c in reply.completions]

            yield from ask(tasks, request, sample, rows)

    return place.rows(spec, pool.rows, work, shard_rows=heldout.SHARD_SEEDS * 2, fan=count)


def _rationale_of(generator: Role, tokenizer: Tokenizer, triple: Triple, completion: Completion) -> Draw:
    ids = rationale_ids(completion.ids, tokenizer, generator.template.end_rationale)
    if ids is None:
        return to_draw(triple, completion, 0, generator)
    cut = replace(completion, ids=ids, text=tokenizer.decode(ids), finish=Finish.STOP)
    return to_draw(triple, cut, 0, generator)


def rationale_ids(ids: Ids, tokenizer: Tokenizer, end: str) -> Ids | None:
    """The sampled ids up to the rationale's end tag, None without one."""
    if end not in tokenizer.decode(ids):
        return None
    low, high = 1, len(ids)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if end in tokenizer.decode(ids[:middle]) else (middle + 1, high)
    return ids[:low]


def uses_rationale(place: Workplace, round: int, generator: Role, shared: Proposal, pool: Pool) -> list[tuple[float, float, int]]:
    """For each problem log p(x|z,c) with q_0's first draw, with that of another problem, and |x|."""
    first = {t.id: shared.draws[t.id][0] for t in shared.problems}
    table = heldout.probe(place, round, generator, first, pool, shared.digest)
    return [(row.own, row.other_rationale, row.tokens_problem) for row in table.rows]


def posteriors_of(pairs: Sequence[Pair]) -> list[Role]:
    """The posteriors, each once."""
    found: dict[str, Role] = {}
    for pair in pairs:
        found.setdefault(pair.posterior.fingerprint, pair.posterior)
    return list(found.values())
