"""Pairs from outside in place of attempts: the solver is fitted on them as if it had drawn them.

The public pairs write the whole thought, `<think>...</think>`. Behind a chat template that itself opens the thought the solver would read
the tag twice, so there it is left to the template.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial

from promptcot.errors import Stopped
from promptcot.executors import Rows, Table, Workplace, each
from promptcot.outcomes import Drop, Grading
from promptcot.recipe import SelfPlay, Training
from promptcot.records import Dropped, Pair, inherited, record_id
from promptcot.roles import Role
from promptcot.self_play.fits import fitted, opening
from promptcot.self_play.form import OPEN, malformed
from promptcot.self_play.waves import round_seed
from promptcot.store import StepSpec
from promptcot.tables import to_json

SCHEMA = 1
SHARD_ROWS = 256


def learn(place: Workplace, given: Table[Pair], solver: Role, settings: SelfPlay, training: Training, *, seed: int) -> Role:
    """The solver fitted on given pairs, in the steps `self_play/1/pairs` and `self_play/1/solver`.

    Raises `Stopped` where none is built as `settings.form` asks, `UsageError` for a solver that cannot be trained."""
    solver.require_trainable()
    usable = pairs(place, given, solver, settings)
    if not usable.arrow.num_rows:
        raise Stopped(
            f"nothing to train on: none of {given.arrow.num_rows} given pairs is built as `form: {settings.form}` asks",
            where="self_play/1/pairs",
            remedy="`promptcot rows DIR self_play/1/pairs --dropped all` shows them; another `form`",
        )
    return fitted(place, "self_play/1/solver", solver, (), usable.rows, {}, settings, training, seed=round_seed(seed, 1))


def pairs(place: Workplace, given: Table[Pair], solver: Role, settings: SelfPlay) -> Table[Pair]:
    """The step `self_play/1/pairs`: the given pairs that are built as `settings.form` asks, as they go on after the solver's prompt."""
    facts = settings.model_dump(include={"form", "chat"})
    spec = StepSpec("self_play/1/pairs", Pair, SCHEMA, facts, {"pairs": given.digest, "solver": solver.digest})
    begun = cache(partial(opening, solver, settings))

    def make(pair: Pair) -> Rows:
        return [_usable(pair, settings, opened=bool(begun()))]

    return place.rows(spec, given.rows, partial(each, make=make), shard_rows=SHARD_ROWS)


def _usable(pair: Pair, settings: SelfPlay, *, opened: bool) -> Pair | Dropped:
    grading = Grading.TESTS if pair.domain == "code" else Grading.ANSWER
    chosen, rejected = (_continued(text) if opened else text for text in (pair.chosen, pair.rejected))
    for side, text in (("chosen", chosen), ("rejected", rejected)):
        if why := malformed(text, grading, settings.form, opened=opened):
            identity = record_id("dropped", (pair.id,), 0, f"{Drop.MALFORMED} {side}")
            facts = {**inherited(pair), "parents": (pair.id,)}
            return Dropped(id=identity, reason=Drop.MALFORMED, detail=f"{side}: {why}", content=to_json(pair), **facts)
    return replace(pair, id=record_id("pair", (pair.id,), 1), parents=(pair.id,), round=1, chosen=chosen, rejected=rejected)


def _continued(text: str) -> str:
    """A completion without the tag that its prompt already ends with, and the line break after it."""
    began = text.lstrip()
    return began.removeprefix(OPEN).removeprefix("\n") if began.startswith(OPEN) else text
