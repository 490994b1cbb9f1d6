"""From triples to a generator, and from the generator to problems."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

from promptcot import (
    earlier,
    em,
    gates,
    handover,
    seeds,
    synthesis,
)
from promptcot.cold_start import cold_start
from promptcot.concept_use import ConceptUse
from promptcot.em import EmResult, Round, Setting
from promptcot.errors import UsageError
from promptcot.executors import Table
from promptcot.gates import Gate
from promptcot.heldout import Pair as Both
from promptcot.pipeline.given import Given
from promptcot.recipe import Em, Rule, Sample
from promptcot.records import (
    ConceptSet,
    Problem,
    Triple,
)
from promptcot.roles import Role, resolve
from promptcot.triples import Pool, held_out


class Generated(Given):
    """p0 and q0, the rounds of EM, and what the best generator writes."""

    @property
    def with_rationale(self) -> bool:
        """Whether the generator writes a rationale; the control `no_rationale` does not."""
        return self.recipe.em is None or self.recipe.em.rule is not Rule.NO_RATIONALE

    @cached_property
    def dev(self) -> Pool:
        """The held-out triples of the bound."""
        assert self.recipe.em is not None
        return held_out(self.triples.rows, self.triples.digest, self.recipe.em.bound.seeds, self.recipe.seed)

    @cached_property
    def start(self) -> Both:
        """p0 and q0: cold-started, or the recipe's models as they are."""
        r = self.recipe
        generator = resolve(r, "generator")
        posterior = resolve(r, "posterior") if "posterior" in r.models else generator
        if r.cold_start is None:
            return Both(generator, posterior)
        pair = cold_start(
            self.place, generator, posterior, self.train, r.cold_start, r.training, seed=r.seed, with_rationale=self.with_rationale
        )
        return Both(*pair)

    @cached_property
    def gates(self) -> list[Gate]:
        """What p0 writes for a few training concept sets, measured; raises `Stopped` when a gate fails."""
        r = self.recipe
        if r.cold_start is None or r.models["generator"].template == "plain":
            return []
        sets = [_set_of(t) for t in self.train.rows[: r.gates.probe]]
        sample = r.synthesize.sample if r.synthesize else Sample(temperature=0.8)
        table = synthesis.problems(
            self.place,
            "cold_start/probe",
            self.start.generator,
            sets,
            self.train.digest,
            sample=sample,
            passes=1,
            seed=r.seed,
            with_rationale=self.with_rationale,
        )
        measured = gates.measure(table.rows, table.drops, self.train.rows, self.concept_use(), r.gates)
        gates.check(measured, table.rows, table.drops)
        return measured

    @cached_property
    def em(self) -> EmResult:
        """All rounds of EM."""
        r = self.recipe
        if r.em is None:
            raise UsageError("the recipe has no `em`", where="em")
        _ = self.start, self.gates  # p0 and q0 first, and only if p0 writes what EM needs
        if self.with_rationale:
            handover.require_shared_tokens(self.start)
        return em.run(self.place, self.start, self.train, self.dev, Setting(r.em, r.training, r.seed), watch=self._tell_round)

    def _tell_round(self, done: Round) -> None:
        h = done.health
        gain = (
            f"bound {done.gain} nats per token of x against round {h.best_before}: {done.gain.verdict}" if done.gain else "no dev problems"
        )
        if not h.valid_share or math.isnan(h.valid_share[0]):
            self.say(f"round {h.round} ({h.rule}): {gain}")
            return
        self.say(
            f"round {h.round} ({h.rule}, K={h.candidates}): {gain}; ESS {h.ess:.1f}, tau {h.tau:.2f}, valid {h.valid_share[0]:.0%}, "
            f"leak {h.leak_share[0]:.0%}, {h.rationale_tokens:.0f} tokens a rationale, distinct {h.distinct_share:.0%}, "
            f"{h.sat_out} seeds sat out; uses rationale {h.uses_rationale[0]:+.2f}, concepts {h.uses_concepts[0]:+.2f}"
        )

    @cached_property
    def generator(self) -> Role:
        """The generator that synthesis uses: the best round's, or the start."""
        return self.em.best.generator if self.recipe.em is not None else self.start.generator

    def concept_use(self, names: Sequence[str] = ()) -> ConceptUse | None:
        """The rule whether a problem uses its concepts, learned from the training triples; None without any."""
        given = [t for t in self._annotated_train if t.concepts]
        return ConceptUse.fit(given, concepts=names, embedder=self._embedder[0]) if given else None

    @cached_property
    def concept_sets(self) -> Table[ConceptSet]:
        """Sampled concept sets, or given ones."""
        r = self.recipe
        if r.inputs.concept_sets:
            reading = seeds.read_concept_sets(r.inputs.concept_sets, domain=r.domain, seed=r.seed)
            return self._given("synthesize/concept_sets", ConceptSet, reading, [i.model_dump() for i in r.inputs.concept_sets])
        assert r.synthesize is not None
        embedder, digest = self._embedder
        found, weakness = self.triples, r.synthesize.weakness
        weak = synthesis.weak_concepts(self.place, found.rows, earlier.tried(weakness.rates), weakness) if weakness else None
        return synthesis.concept_sets(self.place, found.rows, found.digest, embedder, digest, r.synthesize, seed=r.seed, weak=weak)

    @cached_property
    def problems(self) -> Table[Problem]:
        """Synthesized problems, or given ones."""
        r = self.recipe
        if r.inputs.problems:
            reading = seeds.read_problems(r.inputs.problems, domain=r.domain, seed=r.seed)
            return self._given("problems", Problem, reading, [i.model_dump() for i in r.inputs.problems])
        if r.synthesize is None:
            raise UsageError("the recipe makes no problems", where="synthesize", remedy="add `synthesize:` or `inputs.problems`")
        if r.em is None and r.cold_start is not None:  # EM looks at what it is handed itself
            handover.agree(self.place, "synthesize", self.generator, self.train, rows=Em().check)
        return synthesis.problems(
            self.place,
            "synthesize/problems",
            self.generator,
            self.concept_sets.rows,
            self.concept_sets.digest,
            sample=r.synthesize.sample,
            passes=r.synthesize.passes,
            seed=r.seed,
            with_rationale=self.with_rationale,
            direct=r.synthesize.prompt == "direct",
        )


def _set_of(triple: Triple) -> ConceptSet:
    return ConceptSet(id=triple.id, domain=triple.domain, concepts=triple.concepts, level=triple.level, prompt=triple.prompt)
