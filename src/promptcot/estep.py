"""E-step: q samples K rationales per (c, x), p scores each in one pass, a rule turns scores into weights.

With l_k = log p(z_k,x|c) - log q(z_k|c,x), the `snis` rule weighs by softmax(tau l), tau in (0,1] the largest value whose effective
sample size is at least a share of the usable draws: tau = 1 is the posterior of the current p, a smaller one a damped step towards it.
Unlike the paper, which keeps the argmax of R = log p(z,x|c) (rules `argmax`, `paper`): that is hard EM, biased towards short rationales.

Equal draws are scored once and keep their multiplicity: dropping duplicates before weighting destroys the method.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from promptcot.engines.protocol import Completion, Sampled, SampleRequest, Sampling, Scored, ScoreRequest
from promptcot.errors import UsageError
from promptcot.executors import Rows, Table, Task, Workplace, ask
from promptcot.leak import containment, overlap
from promptcot.outcomes import Drop, unfinished
from promptcot.recipe import Em, Reject, Rule
from promptcot.records import Candidate, Draw, Selection, Triple, inherited, record_id
from promptcot.roles import Role
from promptcot.store import StepSpec
from promptcot.triples import Pool

SCHEMA = 2
SHARD_SEEDS = 8  # a shard of draws: on two cores half a minute of a small model


@dataclass(frozen=True)
class Group:
    """The usable candidates of one triple (in exact mode: of one outcome of its K draws) and their common mass."""

    triple: Triple
    mass: float
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class Weights:
    """One weight per candidate, summing to 1, with the temperature used and the effective sample size reached."""

    values: np.ndarray
    tau: float
    ess: float


def draw(
    place: Workplace,
    name: str,
    posterior: Role,
    pool: Pool,
    em: Em,
    *,
    round: int,
    seed: int,
    exact: bool = False,
    scorers: Sequence[Role] = (),
) -> Table[Draw]:
    """Sample K rationales per triple from q. `exact` enumerates the outcomes of the draws instead (tabular engine).

    `scorers` will have to score the draws: one that cannot is refused (`MissingHere`) before any is paid for."""
    sampling = Sampling(em.sample.temperature, em.sample.top_p, em.sample.max_tokens)
    if em.rule in (Rule.SNIS, Rule.SHUFFLED) and not sampling.exact:
        raise UsageError(f"`{em.rule}` needs draws from q itself", where="em.sample", remedy="temperature 1.0 and top_p 1.0")
    settings = {"k": em.candidates, "sample": em.sample.model_dump(), "seed": seed, "round": round, "exact": exact}
    spec = StepSpec(name, Draw, SCHEMA, settings, {"posterior": posterior.digest, "triples": pool.digest})
    numbers = tuple(range((round - 1) * em.candidates, round * em.candidates))

    def work(tasks: Iterator[Task[Triple]]) -> Iterator[tuple[int, Rows]]:
        for role in scorers:
            role.require_scorer(place.meter)
        with posterior.open(place.meter) as engine:
            segmenter = posterior.segmenter(engine)

            def request(task: Task[Triple]) -> SampleRequest:
                return SampleRequest(task.item.id, segmenter.posterior_prefix(task.item), numbers, task.group)

            def rows(triple: Triple, reply: Sampled) -> Rows:
                return [to_draw(triple, c, round, posterior) for c in reply.completions]

            if exact:
                for task in tasks:
                    yield task.index, _enumerate(engine, request(task), task.item, round, posterior)
                return
            yield from ask(tasks, request, partial(engine.sample, sampling=sampling, seed=seed), rows)

    return place.rows(spec, pool.rows, work, shard_rows=SHARD_SEEDS, journal=posterior.served, fan=None if exact else em.candidates)


def _enumerate(engine: Any, request: SampleRequest, triple: Triple, round: int, posterior: Role) -> list[Draw]:
    return [
        to_draw(triple, completion, round, posterior, group=group, mass=mass)
        for group, (mass, completions) in enumerate(engine.outcomes(request))
        for completion in completions
    ]


def to_draw(triple: Triple, c: Completion, round: int, posterior: Role, *, group: int = 0, mass: float = 1.0) -> Draw:
    """The record of one completion of q."""
    parsed = posterior.template.parse_rationale(c.text)
    invalid = unfinished(c.finish) or (parsed if isinstance(parsed, Drop) else None)
    return Draw(
        id=record_id("draw", (triple.id,), c.draw, f"{round}:{group}:{c.ids}:{c.text}"),
        parents=(triple.id,),
        **inherited(triple),
        round=round,
        draw=c.draw,
        rationale=c.text if isinstance(parsed, Drop) else parsed,
        ids=c.ids,
        log_q=c.log_p,
        tokens=c.tokens,
        finish=c.finish,
        invalid=invalid,
        group=group,
        mass=mass,
    )


def score(place: Workplace, name: str, generator: Role, draws: Table[Draw], pool: Pool, reject: Reject) -> Table[Candidate]:
    """Score every valid draw under p, both reward terms in one pass, equal draws once."""
    by_id = {triple.id: triple for triple in pool.rows}
    equal: dict[tuple[str, tuple[int, ...]], list[Draw]] = defaultdict(list)
    for row in draws.rows:
        if row.invalid is None:
            equal[row.parents[0], row.ids].append(row)
    spec = StepSpec(name, Candidate, SCHEMA, {"reject": reject.model_dump()}, {"generator": generator.digest, "draws": draws.digest})

    def work(tasks: Iterator[Task[tuple[Draw, ...]]]) -> Iterator[tuple[int, Rows]]:
        with generator.open(place.meter) as engine:
            segmenter = generator.segmenter(engine)

            def request(task: Task[tuple[Draw, ...]]) -> ScoreRequest:
                first = task.item[0]
                return ScoreRequest(first.id, segmenter.generator(by_id[first.parents[0]], first.ids), task.group)

            def rows(same: tuple[Draw, ...], reply: Scored) -> Rows:
                triple = by_id[same[0].parents[0]]
                return [to_candidate(triple, row, reply, len(segmenter.problem(triple.problem)), reject) for row in same]

            yield from ask(tasks, request, engine.score, rows)

    items = [tuple(same) for same in equal.values()]
    return place.rows(spec, items, work, shard_rows=SHARD_SEEDS * 8, journal=generator.served, fan=0)


def to_candidate(triple: Triple, row: Draw, scored: Scored, tokens_problem: int, reject: Reject) -> Candidate:
    """A draw with its reward terms and leak measures."""
    leak, shared = containment(triple.problem, row.rationale), overlap(triple.problem, row.rationale)
    log_p_rationale, log_p_problem = scored.log_p
    kept = {name: getattr(row, name) for name in Draw.__dataclass_fields__ if name not in ("id", "parents")}
    return Candidate(
        id=record_id("candidate", (row.id,)),
        parents=(row.id, triple.id),
        log_p_problem=log_p_problem,
        log_p_rationale=log_p_rationale,
        tokens_problem=tokens_problem,
        leak=leak,
        overlap=shared,
        rejected=Drop.FAILED if scored.error else Drop.LEAK if leak > reject.leak or shared > reject.overlap else None,
        **kept,
    )


def groups(candidates: Sequence[Candidate], pool: Pool) -> list[Group]:
    """Usable candidates by triple (and outcome), in the pool's order. A triple without one sits the round out."""
    usable: dict[tuple[str, int], list[Candidate]] = defaultdict(list)
    for row in candidates:
        if row.rejected is None and np.isfinite(row.log_p_problem + row.log_p_rationale) and not np.isnan(row.log_q):
            usable[row.parents[1], row.group].append(row)
    by_triple: dict[str, list[Group]] = defaultdict(list)
    triples = {triple.id: triple for triple in pool.rows}
    for (triple_id, _), rows in sorted(usable.items()):
        by_triple[triple_id].append(Group(triples[triple_id], rows[0].mass, tuple(sorted(rows, key=lambda row: row.draw))))
    return [group for triple in pool.rows for group in by_triple[triple.id]]


def weigh(candidates: Sequence[Candidate], em: Em) -> Weights:
    """The rule's weights over one group's candidates, equal draws counted as often as they were drawn."""
    n = len(candidates)
    if em.rule in (Rule.ARGMAX, Rule.PAPER):
        values = np.zeros(n)
        values[int(np.argmax([reward(row, em.length_normalized) for row in candidates]))] = 1.0
        return Weights(values, 1.0, 1.0)
    if em.rule in (Rule.UNIFORM, Rule.FIXED):
        return Weights(np.full(n, 1 / n), 0.0, float(n))
    log_w = np.array([row.log_weight for row in candidates])
    tau = 1.0 if em.freeze_posterior else temper(log_w, em.ess * n)
    values = softmax(tau * log_w)
    return Weights(values, tau, effective_sample_size(values))


def reward(row: Candidate, length_normalized: bool) -> float:
    """R = log p(x|z,c) + log p(z|c); with normalization, the sum of the two per-token means."""
    if length_normalized:
        return row.log_p_problem / row.tokens_problem + row.log_p_rationale / max(1, len(row.ids))
    return row.log_p_problem + row.log_p_rationale


def softmax(logits: np.ndarray) -> np.ndarray:
    """exp(l) / sum exp(l), shifted so that it cannot overflow."""
    shifted = np.exp(logits - logits.max())
    return np.asarray(shifted / shifted.sum())


def effective_sample_size(weights: np.ndarray) -> float:
    """(sum w)^2 / sum w^2, between 1 and the number of weights."""
    return float(weights.sum() ** 2 / np.square(weights).sum())


def temper(log_w: np.ndarray, wanted: float, steps: int = 60) -> float:
    """The largest tau in (0, 1] with effective sample size >= `wanted`, by bisection (it falls as tau grows)."""
    if effective_sample_size(softmax(log_w)) >= wanted:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(steps):
        middle = (low + high) / 2
        low, high = (middle, high) if effective_sample_size(softmax(middle * log_w)) >= wanted else (low, middle)
    return low


def select(grouped: Sequence[Group], em: Em, *, round: int, seed: int) -> list[Selection]:
    """What this round's fits see. `data: one`: a rationale per group from the inverse CDF of its weights, at evenly spread positions
    u_i = (perm(i) + u) / N over the N groups (less noise than independent draws); `all`: every candidate with its weight. The rule
    `fixed` takes one in either case."""
    chosen = [(group, weigh(group.candidates, em)) for group in grouped]
    stream = np.random.default_rng([seed, round])
    places = (stream.permutation(len(chosen)) + stream.random()) / max(1, len(chosen))
    roles = (
        ("posterior",)
        if em.rule is Rule.PAPER
        else ("generator",)
        if em.rule is Rule.FIXED or em.freeze_posterior
        else ("posterior", "generator")
    )
    targets = _deranged([group for group, _ in chosen], stream) if em.rule is Rule.SHUFFLED else [group for group, _ in chosen]
    out = []
    for target, (group, weights), place in zip(targets, chosen, places, strict=True):
        values = weights.values if em.data == "all" and em.rule is not Rule.FIXED else _one(weights.values, float(place))
        for candidate, value in zip(group.candidates, values, strict=True):
            if value > 0:
                out += [_selection(target.triple, candidate, float(value) * group.mass, weights, role, round) for role in roles]
    return out


def _one(weights: np.ndarray, place: float) -> np.ndarray:
    picked = np.zeros_like(weights)
    picked[min(int(np.searchsorted(np.cumsum(weights), place, side="right")), len(weights) - 1)] = 1.0
    return picked


def _deranged(grouped: Sequence[Group], stream: np.random.Generator) -> list[Group]:
    """Every group moved to another's place: none stays (unless alone), and none within its family unless that holds more than half.

    Families stand side by side in random order, and all move on by the size of the largest."""
    shuffled = stream.permutation(len(grouped)).tolist()
    rank: dict[str, int] = {}
    for i in shuffled:
        rank.setdefault(grouped[i].triple.family, len(rank))
    order = sorted(shuffled, key=lambda i: rank[grouped[i].triple.family])
    largest = max(Counter(group.triple.family for group in grouped).values(), default=0)
    follower = dict(zip(order, np.roll(order, -min(largest, len(order) // 2)).tolist(), strict=True))
    return [grouped[follower[i]] for i in range(len(grouped))]


def greedy_selection(triple: Triple, row: Draw, round: int) -> Selection:
    """A draw that the generator is fitted on as it is, with weight 1."""
    return _selection(triple, row, 1.0, Weights(np.ones(1), 1.0, 1.0), "generator", round)


def _selection(triple: Triple, candidate: Draw, weight: float, weights: Weights, role: str, round: int) -> Selection:
    return Selection(
        id=record_id("selection", (triple.id, candidate.id), 0, role),
        parents=(triple.id, candidate.id),
        **inherited(triple),
        round=round,
        role=role,
        triple=triple.id,
        ids=candidate.ids,
        rationale=candidate.rationale,
        weight=weight,
        tau=weights.tau,
        ess=weights.ess,
    )
