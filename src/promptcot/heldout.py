"""The draws and scores behind the held-out bound and the probes, as steps of a run.

For a round: both posteriors draw for each dev problem, every draw is scored under both posteriors (for log m) and both generators, and
the probes score one draw again under another problem's rationale and concepts. Nothing is sampled or scored twice.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

import numpy as np

from promptcot.engines.protocol import Ids, Sampled, SampleRequest, Sampling, Scored, ScoreRequest
from promptcot.estep import to_draw
from promptcot.executors import Rows, Table, Task, Workplace, ask, each, side_by_side
from promptcot.outcomes import Drop
from promptcot.records import BoundRow, Draw, ProbeRow, ScoreRow, Triple, inherited, record_id
from promptcot.roles import Role
from promptcot.segments import Segmenter
from promptcot.store import StepSpec
from promptcot.triples import Pool

SCHEMA = 2
SHARD_SEEDS = 8
FIRST_DRAW = 1_000_000  # draws of the bound never coincide with those of the E-step
CAP = 4  # draws per wanted valid one, before a problem is given up


@dataclass(frozen=True)
class Pair:
    """The two models of one round of EM."""

    generator: Role
    posterior: Role


@dataclass(frozen=True)
class Compared:
    """The importance weights, and the first valid draw of the new posterior for each triple."""

    table: Table[BoundRow]
    first_draws: dict[str, Draw]


@dataclass(frozen=True)
class Asked:
    """A text to score: a triple with a rationale's ids (None for a generator without rationales)."""

    id: str
    triple: Triple
    ids: Ids | None


def draw_valid(place: Workplace, name: str, posterior: Role, pool: Pool, wanted: int, max_tokens: int, seed: int) -> Table[Draw]:
    """Draw from q at T = 1 until each triple has `wanted` valid rationales, at most `CAP` times as many. Invalid draws stay in the
    table, since their share corrects the density of the valid ones."""
    sampling = Sampling(1.0, 1.0, max_tokens)
    settings = {"wanted": wanted, "max_tokens": max_tokens, "seed": seed, "cap": CAP}
    spec = StepSpec(name, Draw, SCHEMA, settings, {"posterior": posterior.digest, "triples": pool.digest})

    def work(tasks: Iterator[Task[Triple]]) -> Iterator[tuple[int, Rows]]:
        with posterior.open(place.meter) as engine:
            segmenter, sample = posterior.segmenter(engine), partial(engine.sample, sampling=sampling, seed=seed)
            if posterior.served:
                draw = partial(_drawn, posterior, segmenter, sample, wanted)
                yield from side_by_side(tasks, draw, posterior.engine.width)
                return
            for _, shard in groupby(tasks, key=lambda task: task.group):
                open_tasks, got = list(shard), defaultdict[int, list[Draw]](list)
                for attempt in range(CAP):
                    short = [t for t in open_tasks if sum(d.invalid is None for d in got[t.index]) < wanted]
                    asked = partial(_draw_request, segmenter, _numbers(attempt, wanted))
                    for index, rows in ask(iter(short), asked, sample, partial(_draws_of, posterior)):
                        got[index] += [row for row in rows if isinstance(row, Draw)]
                yield from got.items()

    return place.rows(spec, pool.rows, work, shard_rows=SHARD_SEEDS, journal=posterior.served, fan=None)


def _drawn(posterior: Role, segmenter: Segmenter, sample: Callable[..., Iterator[Sampled]], wanted: int, triple: Triple) -> list[Draw]:
    """The draws of one triple, block after block."""
    got: list[Draw] = []
    for attempt in range(CAP):
        if sum(d.invalid is None for d in got) < wanted:
            (reply,) = sample([SampleRequest(triple.id, segmenter.posterior_prefix(triple), _numbers(attempt, wanted))])
            got += [to_draw(triple, completion, 0, posterior) for completion in reply.completions]
    return got


def _numbers(attempt: int, wanted: int) -> tuple[int, ...]:
    return tuple(range(FIRST_DRAW + attempt * wanted, FIRST_DRAW + (attempt + 1) * wanted))


def _draw_request(segmenter: Segmenter, numbers: tuple[int, ...], task: Task[Triple]) -> SampleRequest:
    return SampleRequest(task.item.id, segmenter.posterior_prefix(task.item), numbers, task.group)


def _draws_of(posterior: Role, triple: Triple, reply: Sampled) -> Rows:
    return [to_draw(triple, completion, 0, posterior) for completion in reply.completions]


def score_texts(place: Workplace, name: str, role: Role, asked: Sequence[Asked], *, as_posterior: bool, source: str) -> dict[str, ScoreRow]:
    """log p of each text's segments under a role, by the text's id; texts of one id (draws of two posteriors that came out alike) are one.
    `source` is the digest of what the texts were made of."""
    asked = list({text.id: text for text in asked}.values())
    spec = StepSpec(name, ScoreRow, SCHEMA, {"as_posterior": as_posterior}, {"role": role.digest, "texts": source})

    def work(tasks: Iterator[Task[Asked]]) -> Iterator[tuple[int, Rows]]:
        with role.open(place.meter) as engine:
            segmenter = role.segmenter(engine)

            def request(task: Task[Asked]) -> ScoreRequest:
                item = task.item
                if as_posterior:
                    assert item.ids is not None
                    return ScoreRequest(item.id, segmenter.posterior(item.triple, item.ids), task.group)
                return ScoreRequest(item.id, segmenter.generator(item.triple, item.ids), task.group)

            def rows(item: Asked, reply: Scored) -> Rows:
                tokens = segmenter.posterior(item.triple, item.ids or ()) if as_posterior else segmenter.generator(item.triple, item.ids)
                lengths, t = tuple(map(len, tokens.segments)), item.triple
                return [ScoreRow(id=item.id, parents=(t.id,), log_p=reply.log_p, tokens=lengths, **inherited(t))]

            yield from ask(tasks, request, engine.score, rows)

    table: Table[ScoreRow] = place.rows(spec, asked, work, shard_rows=SHARD_SEEDS * 8, journal=role.served)
    return {row.id: row for row in table.rows}


@dataclass(frozen=True)
class Stratum:
    """The valid draws of one posterior by triple, and the log of their share among all its draws."""

    posterior: Role
    draws: dict[str, list[Draw]]
    log_valid: dict[str, float]
    made: dict[str, int]
    digest: str


def stratum(place: Workplace, name: str, posterior: Role, pool: Pool, wanted: int, max_tokens: int, seed: int) -> Stratum:
    """The first `wanted` valid draws of q for each triple."""
    table = draw_valid(place, name, posterior, pool, wanted, max_tokens, seed)
    made: dict[str, list[Draw]] = defaultdict(list)
    for row in table.rows:
        if row.invalid != Drop.FAILED:  # an answer that never came says nothing about q
            made[row.parents[0]].append(row)
    valid = {key: sorted((d for d in rows if d.invalid is None), key=lambda d: d.draw) for key, rows in made.items()}
    with np.errstate(divide="ignore"):
        share = {key: float(np.log(len(valid[key]) / len(rows))) for key, rows in made.items()}
    counts = {key: len(rows) for key, rows in made.items()}
    return Stratum(posterior, {key: rows[:wanted] for key, rows in valid.items()}, share, counts, table.digest)


def compare(
    place: Workplace,
    round: int,
    best_round: int,
    best: Pair,
    new: Pair,
    pool: Pool,
    *,
    k: int,
    max_tokens: int,
    seed: int,
    first_use: Callable[[Role], None] = lambda role: None,
) -> Compared:
    """The importance weights of both generators on each held-out triple, under the mixture of both posteriors.

    Each step continues with the weights of the one before where it can, since a server has to be started for others. `first_use` hears of a
    new model just before it is first asked.

    A triple for which a posterior wrote fewer than its share of valid rationales, or a score could not be had, leaves both models."""
    folder = f"em/{round}/bound"
    posteriors = {"best": best.posterior, "new": new.posterior}
    if best.posterior.fingerprint == new.posterior.fingerprint:
        del posteriors["best"]
    wanted = -(-k // len(posteriors))
    first_use(new.posterior)
    drawn = [(f"{folder}/draws_{which}", role) for which, role in reversed(posteriors.items())]
    strata = [stratum(place, name, role, pool, wanted, max_tokens, seed) for name, role in drawn][::-1]
    kept = [t for t in pool.rows if all(len(s.draws.get(t.id, ())) == wanted for s in strata)]
    source = "+".join(s.digest for s in strata)
    log_m = _mixture(place, folder, strata, kept, source)
    asked = [Asked(d.id, t, d.ids) for t in kept for d in _interleaved(strata, t)]
    log_p_best = score_texts(place, f"{folder}/log_p_best", best.generator, asked, as_posterior=False, source=source)
    first_use(new.generator)
    log_p_new = score_texts(place, f"{folder}/log_p_new", new.generator, asked, as_posterior=False, source=source)
    kept = [t for t in kept if not any(_unknown(d.id, log_m, log_p_best, log_p_new) for d in _interleaved(strata, t))]

    def rows(triple: Triple) -> Rows:
        draws = _interleaved(strata, triple)
        return [
            BoundRow(
                id=record_id("bound", (triple.id,), round),
                parents=(triple.id,),
                round=round,
                best=best_round,
                log_p_best=tuple(sum(log_p_best[d.id].log_p) for d in draws),
                log_p_new=tuple(sum(log_p_new[d.id].log_p) for d in draws),
                log_m=tuple(log_m[d.id] for d in draws),
                tokens_problem=log_p_new[draws[0].id].tokens[-1],
                draws=sum(s.made[triple.id] for s in strata),
                **inherited(triple),
            )
        ]

    table = _table(place, folder, {"round": round, "best": best_round, "k": k}, source, best.generator, new.generator, kept, rows)
    return Compared(table, {t.id: strata[-1].draws[t.id][0] for t in kept})


def _unknown(draw: str, log_m: dict[str, float], *scores: dict[str, ScoreRow]) -> bool:
    """Whether a number of a draw is NaN: a server failed to give it."""
    return math.isnan(log_m[draw] + sum(sum(of[draw].log_p) for of in scores))


def _interleaved(strata: Sequence[Stratum], triple: Triple) -> list[Draw]:
    """The draws of a triple, posteriors in turn, so that every block of draws holds equal parts of both."""
    return [d for several in zip(*(s.draws[triple.id] for s in strata), strict=True) for d in several]


def _mixture(place: Workplace, folder: str, strata: Sequence[Stratum], kept: Sequence[Triple], source: str) -> dict[str, float]:
    """log m of every draw: the mean over posteriors of q(z|c,x, valid). A posterior's own draws bring their log q along,
    if the sampler knew it."""
    log_q: dict[str, list[float]] = defaultdict(list)
    for number, judge in enumerate(strata):
        foreign = [
            Asked(d.id, t, d.ids) for t in kept for other in strata for d in other.draws[t.id] if other is not judge or math.isnan(d.log_q)
        ]
        name = f"{folder}/log_q_{number}"
        scored = score_texts(place, name, judge.posterior, foreign, as_posterior=True, source=source) if foreign else {}
        for t in kept:
            for d in _interleaved(strata, t):
                value = scored[d.id].log_p[0] if d.id in scored else d.log_q
                log_q[d.id].append(value - judge.log_valid[t.id])
    return {key: float(np.logaddexp.reduce(values) - np.log(len(values))) for key, values in log_q.items()}


def compare_exact(place: Workplace, round: int, best_round: int, best: Role, new: Role, pool: Pool) -> Table[BoundRow]:
    """The same table for generators without rationales: log p(x|c) is exact, one "draw" with log m = 0."""
    asked = [Asked(t.id, t, None) for t in pool.rows]
    folder = f"em/{round}/bound"
    of_best = score_texts(place, f"{folder}/log_p_best", best, asked, as_posterior=False, source=pool.digest)
    of_new = score_texts(place, f"{folder}/log_p_new", new, asked, as_posterior=False, source=pool.digest)

    def rows(triple: Triple) -> Rows:
        return [
            BoundRow(
                id=record_id("bound", (triple.id,), round),
                parents=(triple.id,),
                round=round,
                best=best_round,
                log_p_best=of_best[triple.id].log_p,
                log_p_new=of_new[triple.id].log_p,
                log_m=(0.0,),
                tokens_problem=of_new[triple.id].tokens[-1],
                draws=0,
                **inherited(triple),
            )
        ]

    return _table(place, folder, {"round": round, "best": best_round}, pool.digest, best, new, pool.rows, rows)


def _table(
    place: Workplace,
    folder: str,
    settings: dict[str, int],
    source: str,
    best: Role,
    new: Role,
    kept: Sequence[Triple],
    rows: Callable[[Triple], Rows],
) -> Table[BoundRow]:
    inputs = {"draws": source, "best": best.digest, "new": new.digest}
    spec = StepSpec(f"{folder}/weights", BoundRow, SCHEMA, settings, inputs)
    return place.rows(spec, kept, partial(each, make=rows), shard_rows=max(1, len(kept)))


def probe(place: Workplace, round: int, generator: Role, draws: dict[str, Draw], pool: Pool, source: str) -> Table[ProbeRow]:
    """log p(x|z,c) with a triple's own draw and concepts, and with those of the next triple of another family."""
    rows = [t for t in pool.rows if t.id in draws]
    partners = {t.id: _other_family(rows, i) for i, t in enumerate(rows)}
    asked = [
        view
        for t in rows
        for other in [partners[t.id]]
        for view in (
            Asked(f"{t.id}:own", t, draws[t.id].ids),
            Asked(f"{t.id}:rationale", t, draws[other.id].ids),
            Asked(f"{t.id}:concepts", replace(t, concepts=other.concepts, level=other.level, prompt=other.prompt), draws[t.id].ids),
        )
    ]
    scored = score_texts(place, f"em/{round}/probe/scores", generator, asked, as_posterior=False, source=source)

    rows = [t for t in rows if not any(math.isnan(sum(scored[f"{t.id}:{view}"].log_p)) for view in ("own", "rationale", "concepts"))]

    def row(t: Triple) -> Rows:
        own, rationale, concepts = (scored[f"{t.id}:{view}"] for view in ("own", "rationale", "concepts"))
        return [
            ProbeRow(
                id=record_id("probe", (t.id, partners[t.id].id), round),
                parents=(t.id, partners[t.id].id),
                round=round,
                own=own.log_p[1],
                other_rationale=rationale.log_p[1],
                other_concepts=concepts.log_p[1],
                tokens_problem=own.tokens[1],
                **inherited(t),
            )
        ]

    spec = StepSpec(f"em/{round}/probe/rows", ProbeRow, SCHEMA, {"round": round}, {"texts": source, "generator": generator.digest})
    return place.rows(spec, rows, partial(each, make=row), shard_rows=max(1, len(rows)))


def _other_family(rows: Sequence[Triple], index: int) -> Triple:
    """The next triple, in a circle, whose family is another one; the next at all when there is only one family."""
    following = [*rows[index + 1 :], *rows[:index]] or [rows[index]]
    return next((t for t in following if t.family != rows[index].family), following[0])
