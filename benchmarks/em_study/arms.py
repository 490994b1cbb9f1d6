"""The arms of the real-model study: how each trains p and q from the same p0 and q0.

All arms of a training seed work in one run folder. A step's key is made of what it reads and of its settings, so what arms have in
common (the cold start, the first round's candidates) is computed once and what differs lies side by side.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace

from benchmarks.em_study.corpus import Corpus
from promptcot import em
from promptcot.cold_start import cold_start
from promptcot.em import Setting, Trained
from promptcot.errors import Stopped
from promptcot.executors import Workplace
from promptcot.fitting import annotated_examples, fit_role
from promptcot.heldout import Pair
from promptcot.recipe import Fit, Recipe, Rule
from promptcot.roles import Role, resolve

COLD, CONTINUED, SHOTS = "cold", "continued", "no_cold_start"
ARMS = (COLD, CONTINUED, "fixed", "uniform", "argmax", "paper", "snis", "shuffled", "no_rationale", SHOTS)
"""The cold start as it is; more of it on the annotated quarter; the rules of `promptcot.recipe.Rule`; and `snis` from the base model with
three annotated triples in its prompt as p0 and q0."""
WITHOUT_RATIONALE = ("no_rationale",)
PROPOSERS = ("uniform", "snis")
"""The arms whose q, beside q_0, draw the rationales that all arms are judged on: of the others nobody reads the last q."""


def base_of(recipe: Recipe) -> Pair:
    """The recipe's models before any fit."""
    return Pair(resolve(recipe, "generator"), resolve(recipe, "posterior"))


def rule_of(arm: str) -> Rule:
    """The rule an arm's E-step follows."""
    return Rule.SNIS if arm == SHOTS else Rule(arm)


@dataclass(frozen=True)
class Path:
    """An arm's models: `rounds[0]` is where it starts, `rounds[r]` what round r leaves; `trained` what the rounds drew and chose.

    Fewer rounds than asked for: q wrote nothing usable in the next one."""

    arm: str
    rounds: tuple[Pair, ...]
    trained: tuple[Trained, ...] = ()


@dataclass(frozen=True)
class Bench:
    """One training seed's workplace, recipe, data, and the models before any fit."""

    place: Workplace
    recipe: Recipe
    corpus: Corpus
    seed: int
    base: Pair

    def start(self, *, with_rationale: bool = True, shots: int = 0) -> Pair:
        """p0 and q0, fitted on the annotated quarter; without rationales p0(x|c) on the same problems; or with `shots` in the prompt."""
        r = self.recipe
        assert r.cold_start is not None
        pair = cold_start(
            self.place,
            self.base.generator,
            self.base.posterior,
            self.corpus.annotated,
            r.cold_start.model_copy(update={"shots": shots}),
            r.training,
            seed=self.seed,
            with_rationale=with_rationale,
        )
        return Pair(*pair)

    def walk(self, arm: str, rounds: int) -> Path:
        """Train an arm for so many rounds (or load it)."""
        start = self.start(with_rationale=arm not in WITHOUT_RATIONALE, shots=3 if arm == SHOTS else 0)
        if arm == COLD:
            return Path(arm, (start,))
        if arm == CONTINUED:
            return self._continued(start, rounds)
        return self._rounds(arm, start, rounds)

    def _rounds(self, arm: str, start: Pair, rounds: int) -> Path:
        setting = self.setting(rule_of(arm))
        pairs, trained = [start], Trained(start)
        done: list[Trained] = []
        for number in range(1, rounds + 1):
            first = done[0] if done else trained
            read = number < rounds or arm in PROPOSERS
            try:
                trained = em.one_round(self.place, number, start, trained.pair, first, self.corpus.train, setting, fit_posterior=read)
            except Stopped as stopped:  # q wrote nothing usable: the arm ends with the round before, which is its result
                if not done:
                    raise
                print(f"{arm} ends after round {number - 1}: {stopped}", file=sys.stderr)
                break
            done.append(trained)
            pairs.append(trained.pair)
        return Path(arm, tuple(pairs), tuple(done))

    def setting(self, rule: Rule) -> Setting:
        """The recipe's EM under a rule. Without rationales there is no replay to add, so the fit is longer by its share."""
        r = self.recipe
        assert r.em is not None
        settings = r.em.model_copy(update={"rule": rule})
        if rule is Rule.NO_RATIONALE:
            longer = settings.fit.epochs * (1 + self._replayed / len(self.corpus.train.rows))
            settings = settings.model_copy(update={"fit": settings.fit.model_copy(update={"epochs": longer})})
        return Setting(settings, r.training, self.seed)

    @property
    def _replayed(self) -> int:
        assert self.recipe.em is not None
        return min(len(self.corpus.annotated.rows), round(self.recipe.em.fit.replay * len(self.corpus.train.rows)))

    def _continued(self, start: Pair, rounds: int) -> Path:
        """As many examples per round as the other arms see, all of them annotated."""
        assert self.recipe.em is not None
        annotated, fit = self.corpus.annotated.rows, self.recipe.em.fit
        as_many = fit.epochs * (len(self.corpus.train.rows) + self._replayed) / len(annotated)
        longer: Fit = fit.model_copy(update={"epochs": as_many})
        pairs = [start]
        for number in range(1, rounds + 1):
            pairs.append(replace(start, generator=self._more(pairs[-1].generator, longer, number)))
        return Path(CONTINUED, tuple(pairs))

    def _more(self, role: Role, fit: Fit, number: int) -> Role:
        with role.open() as engine:
            examples = annotated_examples(role.name, self.corpus.annotated.rows, role.segmenter(engine))
        return fit_role(self.place, f"em/{number}/{role.name}", role, examples, fit, self.recipe.training, seed=self.seed + number)
