"""Expectation-maximization over design rationales: rounds of E-step, M-step and a held-out bound that stops them.

One round: q draws K rationales per (c, x); p scores them; the rule weighs them; q, then p, are fitted to the selection; the
bound compares the new p with the best so far on dev problems. Round 0 is the cold start and a candidate for the best. Unlike the
paper, which alternates "until convergence" and conditions its curve on rationales that have seen x, EM stops when
the 90 % interval of the difference lies wholly below 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from promptcot import estep, handover, heldout, mstep
from promptcot.executors import Table, Workplace, each
from promptcot.fitting import annotated_examples, fit_role
from promptcot.health import Evidence, gain_of, summarize
from promptcot.heldout import Pair
from promptcot.intervals import Estimate
from promptcot.recipe import Em, Rule, Training
from promptcot.records import Candidate, Draw, Health, Selection
from promptcot.roles import Role
from promptcot.store import StepSpec
from promptcot.triples import Pool, replayed

SCHEMA = 1


@dataclass(frozen=True)
class Setting:
    """What all rounds share. `exact` enumerates the draws of a tabular posterior instead of sampling them."""

    em: Em
    training: Training
    seed: int
    exact: bool = False


@dataclass(frozen=True)
class Trained:
    """What E- and M-step of a round leave: the models, and the rows that say how they came about."""

    pair: Pair
    draws: tuple[Draw, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    selections: tuple[Selection, ...] = ()
    log_q_gap: float = math.nan


@dataclass(frozen=True)
class Round:
    """A finished round: its models and its health."""

    number: int
    pair: Pair
    health: Health

    @property
    def gain(self) -> Estimate | None:
        """The bound's gain over the best before it, None when nothing is held out."""
        return gain_of(self.health)


@dataclass(frozen=True)
class EmResult:
    """All rounds, and the models that synthesis uses."""

    best_round: int
    best: Pair
    rounds: tuple[Round, ...] = field(default=())
    stopped: str = ""


def run(
    place: Workplace, start: Pair, train: Pool, dev: Pool, setting: Setting, *, watch: Callable[[Round], None] | None = None
) -> EmResult:
    """All rounds from p0 and q0 to the best of them. `watch` hears of each as it ends."""
    if setting.em.rounds:
        start.generator.require_trainable()
    result = EmResult(0, start)
    trained = first = Trained(start)
    for number in range(1, setting.em.rounds + 1):
        trained = one_round(place, number, start, trained.pair, first, train, setting)
        first = trained if number == 1 else first
        latest = judge(place, number, result, trained, train, dev, setting)
        result = replace(result, rounds=(*result.rounds, latest))
        if watch is not None:
            watch(latest)
        if latest.health.is_best:
            result = replace(result, best_round=number, best=latest.pair)
        if latest.gain is not None and latest.gain.verdict == "worse":
            return replace(result, stopped=f"round {number} is worse than round {latest.health.best_before}: {latest.gain}")
    return replace(result, stopped=f"all {setting.em.rounds} rounds done")


def one_round(
    place: Workplace,
    number: int,
    start: Pair,
    current: Pair,
    first: Trained,
    train: Pool,
    setting: Setting,
    *,
    fit_posterior: bool = True,
) -> Trained:
    """E-step and M-step. `first` is round 1, whose selection the rule `fixed` keeps. Without `fit_posterior` q stays as it is, for a last
    round whose q nobody reads (the rule `paper` reads it)."""
    em, folder = setting.em, f"em/{number}"
    base = start if em.init == "cold_start" else current
    fitted = partial(_fit, place, number, train=train, setting=setting)
    if em.rule is Rule.NO_RATIONALE:
        return Trained(replace(current, generator=fitted(base.generator, None)))
    if em.rule is Rule.FIXED and first.selections:
        return replace(first, pair=replace(current, generator=fitted(base.generator, first.selections)))
    scorers = (current.generator, current.posterior)
    name = f"{folder}/draws"
    if number == 1:
        handover.agree(place, "em/0", current.posterior, train, rows=em.check)
    draws = estep.draw(place, name, current.posterior, train, em, round=number, seed=setting.seed, exact=setting.exact, scorers=scorers)
    checked = handover.check(place, folder, current.posterior, draws, train, rows=0 if setting.exact else em.check)
    draws = checked.draws
    if number == 1:
        handover.agree(place, "em/0", current.generator, train, rows=em.check)
    candidates = estep.score(place, f"{folder}/candidates", current.generator, draws, train, em.reject)
    selections = _select(place, f"{folder}/selections", candidates, train, setting, number)
    frozen = em.rule is Rule.FIXED or em.freeze_posterior or not (fit_posterior or em.rule is Rule.PAPER)
    posterior = current.posterior if frozen else fitted(base.posterior, selections)
    if em.rule is Rule.PAPER:
        selections += _greedy(place, f"{folder}/greedy", posterior, train, setting, number)
    generator = fitted(base.generator, selections)
    return Trained(Pair(generator, posterior), tuple(draws.rows), tuple(candidates.rows), tuple(selections), checked.gap)


def _select(place: Workplace, name: str, candidates: Table[Candidate], train: Pool, setting: Setting, number: int) -> list[Selection]:
    em = setting.em
    settings = em.model_dump(mode="json", include={"rule", "ess", "data", "length_normalized", "freeze_posterior"})
    inputs = {"candidates": candidates.digest, "triples": train.digest}
    spec = StepSpec(name, Selection, estep.SCHEMA, {**settings, "round": number, "seed": setting.seed}, inputs)
    chosen = estep.select(estep.groups(candidates.rows, train), em, round=number, seed=setting.seed)
    table: Table[Selection] = place.rows(spec, chosen, partial(each, make=lambda row: [row]), shard_rows=max(1, len(chosen)))
    return table.rows


def _greedy(place: Workplace, name: str, posterior: Role, train: Pool, setting: Setting, number: int) -> list[Selection]:
    """The paper's M-step data: one greedy rationale of the updated q per triple."""
    sample = setting.em.sample.model_copy(update={"temperature": 0.0, "top_p": 1.0})
    one = setting.em.model_copy(update={"candidates": 1, "sample": sample})
    draws = estep.draw(place, name, posterior, train, one, round=number, seed=setting.seed)
    triples = {t.id: t for t in train.rows}
    return [estep.greedy_selection(triples[d.parents[0]], d, number) for d in draws.rows if d.invalid is None]


def _fit(place: Workplace, number: int, start: Role, selections: Sequence[Selection] | None, *, train: Pool, setting: Setting) -> Role:
    """Fit a role to the selections and the replayed triples, or (selections None) to p(x|c) alone."""
    fit, seed = setting.em.fit, setting.seed + number
    with start.open() as engine:
        segmenter = start.bare.segmenter(engine)
        if selections is None:
            examples = annotated_examples(start.name, train.rows, segmenter, with_rationale=False)
        else:
            examples = mstep.selected_examples(start.name, selections, train, segmenter)
            replay = replayed(train.rows, fit.replay, len(examples), seed)
            examples += annotated_examples(start.name, replay, segmenter)
    return fit_role(place, f"em/{number}/{start.name}", start, examples, fit, setting.training, seed=seed)


def judge(place: Workplace, number: int, so_far: EmResult, trained: Trained, train: Pool, dev: Pool, setting: Setting) -> Round:
    """Compare a round with the best so far on dev problems, and store its health."""
    em, best, new = setting.em, so_far.best, trained.pair
    known = {best.generator.fingerprint, best.posterior.fingerprint}

    def agree(role: Role) -> None:
        if role.fingerprint not in known:
            handover.agree(place, f"em/{number}", role, train, rows=em.check)

    evidence = Evidence(len(train.rows), trained.draws, trained.candidates, trained.selections, (), (), len(dev.rows), trained.log_q_gap)
    if dev.rows and em.rule is Rule.NO_RATIONALE:
        agree(new.generator)
        table = heldout.compare_exact(place, number, so_far.best_round, best.generator, new.generator, dev)
        evidence = replace(evidence, bound=table.rows)
    elif dev.rows:
        held = heldout.compare(
            place,
            number,
            so_far.best_round,
            best,
            new,
            dev,
            k=max(em.bound.k),
            max_tokens=em.sample.max_tokens,
            seed=setting.seed,
            first_use=agree,
        )
        probe = heldout.probe(place, number, new.generator, held.first_draws, dev, held.table.digest)
        evidence = replace(evidence, bound=held.table.rows, probe=probe.rows)
    else:
        agree(new.posterior)
        agree(new.generator)
    health = summarize(number, so_far.best_round, em, evidence)
    models = {"generator": new.generator, "posterior": new.posterior, "best": best.generator, "best_posterior": best.posterior}
    inputs = {"dev": dev.digest, **{name: role.digest for name, role in models.items()}}
    settings = {**em.model_dump(mode="json"), "seed": setting.seed}
    spec = StepSpec(f"em/{number}/health", Health, SCHEMA, settings, inputs)
    stored: Table[Health] = place.rows(spec, [health], partial(each, make=lambda row: [row]), shard_rows=1)
    return Round(number, new, stored.rows[0])
