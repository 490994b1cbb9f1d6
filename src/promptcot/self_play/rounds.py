"""The rounds of self-play: attempts, pass rates, pairs, and a fit of the newest solver on them; the next round draws from the result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import promptcot.self_play.choosing as choosing
from promptcot.errors import Stopped
from promptcot.executors import Table, Workplace, each
from promptcot.grading import Grader
from promptcot.recipe import SelfPlay, Training
from promptcot.records import Attempt, Pair, PassRate, Question, inherited, record_id
from promptcot.roles import Role
from promptcot.self_play.choosing import Tried
from promptcot.self_play.fits import fitted, opening
from promptcot.self_play.questions import is_human
from promptcot.self_play.waves import Drawn, draw, round_seed
from promptcot.store import StepSpec

SCHEMA = 2
SHARD_ROWS = 256


@dataclass(frozen=True)
class Played:
    """A round: the questions' pass rates, the pairs or right attempts that came of them, and the solver that was fitted on these."""

    number: int
    questions: Table[Question]
    rates: Table[PassRate]
    chosen: Table[Any]
    solver: Role

    def __str__(self) -> str:
        rows = self.chosen.rows
        human = {q.id for q in self.questions.rows if is_human(q)}
        of = [row.question if isinstance(row, Pair) else row.problem for row in rows]
        kept, shared = sum(rate.kept for rate in self.rates.rows), sum(name in human for name in of)
        kind = "pairs" if self.chosen.record is Pair else "right attempts"
        share = f" ({shared / len(of):.0%} from human problems)" if of else ""
        return (
            f"round {self.number}: {len(self.rates.rows)} questions, {len(human)} of them human; {kept} in the band, "
            f"{sum(rate.censored for rate in self.rates.rows)} not drawn to the end; {len(rows)} {kind}{share}"
        )


def play(
    place: Workplace,
    questions: Table[Question],
    solver: Role,
    settings: SelfPlay,
    training: Training,
    grader: Grader,
    *,
    seed: int,
    watch: Callable[[Played], None] = lambda played: None,
) -> list[Played]:
    """All rounds. A round after the first that finds nothing to train on is the last, and keeps its solver.

    Raises `Stopped` where the first finds nothing, `UsageError` for a solver that cannot be trained."""
    if settings.method != "none":
        solver.require_trainable()
    done: list[Played] = []
    for number in range(1, settings.rounds + 1):
        done.append(_round(place, number, questions, solver, settings, training, grader, seed))
        watch(done[-1])
        if not done[-1].chosen.arrow.num_rows:
            break
        solver = done[-1].solver
    return done


def _round(
    place: Workplace,
    number: int,
    questions: Table[Question],
    solver: Role,
    settings: SelfPlay,
    training: Training,
    grader: Grader,
    seed: int,
) -> Played:
    name, firm, own = f"self_play/{number}", settings.method != "sft", round_seed(seed, number)
    drawn = draw(place, name, questions, solver, settings, grader, firm=firm, seed=own)
    rates = pass_rates(place, f"{name}/pass_rates", questions, drawn, settings, number, firm=firm)
    chosen = choice(place, name, questions, drawn, rates, solver, settings, seed=own)
    if settings.method == "none" or (number > 1 and not chosen.arrow.num_rows):
        return Played(number, questions, rates, chosen, solver)
    if not chosen.arrow.num_rows:
        raise Stopped(
            f"nothing to train on: of {len(rates.rows)} questions {sum(r.kept for r in rates.rows)} are in the band",
            where=name,
            remedy="more questions or attempts, another `band` or `form`, or a better solver; `promptcot rows DIR self_play --dropped all`",
        )
    weights = {rate.question: choosing.weight(rate, settings) for rate in rates.rows}
    trained = fitted(place, f"{name}/solver", solver, questions.rows, chosen.rows, weights, settings, training, seed=own)
    return Played(number, questions, rates, chosen, trained)


def pass_rates(
    place: Workplace, name: str, questions: Table[Question], drawn: Drawn, settings: SelfPlay, number: int, *, firm: bool
) -> Table[PassRate]:
    """A row for every question, in the band or not."""
    facts = {"band": settings.band.model_dump(), "attempts": settings.attempts, "firm": firm, "round": number}
    spec = StepSpec(name, PassRate, SCHEMA, facts, {"questions": questions.digest, **drawn.digests})
    make = partial(_rate, drawn=drawn, settings=settings, number=number, firm=firm)
    return place.rows(spec, questions.rows, partial(each, make=lambda q: [make(q)]), shard_rows=SHARD_ROWS)


def _rate(question: Question, *, drawn: Drawn, settings: SelfPlay, number: int, firm: bool) -> PassRate:
    tally = drawn.tally(question.id, settings.attempts)
    rate, why = tally.rate, tally.lost(settings.band, firm=firm)
    return PassRate(
        id=record_id("pass_rate", (question.id,), number, f"{tally}"),
        parents=(question.id,),
        question=question.id,
        round=number,
        solved=tally.solved,
        counted=tally.counted,
        planned=settings.attempts,
        rate=rate.value,
        low=rate.low,
        high=rate.high,
        censored=tally.rest > 0,
        kept=why is None,
        why=why or "",
        **inherited(question),
    )


def choice(
    place: Workplace,
    name: str,
    questions: Table[Question],
    drawn: Drawn,
    rates: Table[PassRate],
    solver: Role,
    settings: SelfPlay,
    *,
    seed: int,
) -> Table[Any]:
    """The step `NAME/pairs`, or for rejection sampling `NAME/right`: what is trained on, and why the rest is not."""
    sft = settings.method == "sft"
    facts = settings.model_dump(include={"form", "right"} if sft else {"form", "pairs", "weigh"}) | {"seed": seed, "chat": settings.chat}
    inputs = {"questions": questions.digest, "pass_rates": rates.digest, "solver": f"{solver.digest} {solver.license}", **drawn.digests}
    spec = StepSpec(f"{name}/right", Attempt, SCHEMA, facts, inputs) if sft else StepSpec(f"{name}/pairs", Pair, SCHEMA, facts, inputs)
    by_question = {rate.question: rate for rate in rates.rows}
    make, opened = choosing.right if sft else choosing.pairs, cache(partial(opening, solver, settings))

    def chosen(question: Question) -> Sequence[Any]:
        own = drawn.attempts[question.id]
        tag = opened() if settings.form == "think" or any(attempt.reasoning for attempt in own) else ""
        return make(Tried(question, own, drawn.verdicts(question.id), by_question[question.id], tag, solver.license), settings, seed)

    def work(tasks: Iterator[Any]) -> Iterator[tuple[int, Sequence[Any]]]:
        return each(tasks, chosen)

    return place.rows(spec, questions.rows, work, shard_rows=SHARD_ROWS, fan=None)
