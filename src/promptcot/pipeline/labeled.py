"""Labels of the kept problems, and how many problems are valid."""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any

from promptcot import (
    code_labels,
    labeling,
    labels,
    seeds,
    validity,
)
from promptcot.errors import UsageError
from promptcot.executors import Rows, Table, each
from promptcot.pipeline.screened import Screened
from promptcot.records import (
    Label,
    Validity,
)
from promptcot.roles import resolve
from promptcot.stages import active
from promptcot.store import StepSpec
from promptcot.verify.algebra import where_possible
from promptcot.verify.answers import Verifier

SCHEMA = 1


class Labeled(Screened):
    """Answers by vote and suites of tests, made or given."""

    @cached_property
    def labels(self) -> Table[Label]:
        """Labels of the kept problems: answers by vote and suites of tests, made here; or given."""
        r = self.recipe
        if not r.inputs.labels:
            return self._labeled()
        reading = seeds.read_labels(r.inputs.labels, domain=r.domain, seed=r.seed)
        return self._given("labels", Label, reading, [i.model_dump() for i in r.inputs.labels])

    def _labeled(self) -> Table[Label]:
        settings = self.recipe.label
        if settings is None:
            raise UsageError("the recipe has no `label`", where="label", remedy="add `label:` or `inputs.labels`")
        kept = self.kept
        problems = labeling.chosen(kept.rows, settings)
        coded = [p for p in problems if p.domain == "code"]
        voted = [p for p in problems if p.domain != "code"]
        voter = resolve(self.recipe, settings.voter)
        ways: dict[str, labeling.Way] = {}
        if coded:  # first: whether programs can run here is known before any model is asked
            writer = resolve(self.recipe, settings.code.writer or settings.voter)
            ways["code"] = code_labels.by_tests(self.place, coded, kept.digest, voter, writer, settings, seed=self.recipe.seed)
        with where_possible(self.say) as helper:
            if voted or not coded:
                ways["math"] = labels.by_vote(
                    self.place, voted, kept.digest, voter, settings, Verifier(algebra=helper), seed=self.recipe.seed
                )
            return labeling.decided(self.place, problems, kept.digest, ways)

    @property
    def _found_labels(self) -> Table[Label] | None:
        return self.labels if {"label", "labels"} & set(active(self.recipe)) else None

    def _own_labels(self) -> dict[str, Label]:
        known = {"label", "labels"} & set(active(self.recipe))
        return {label.problem: label for label in self.labels.rows} if known else {}

    @cached_property
    def validity(self) -> Table[Validity]:
        """The share of valid problems by every kind of evidence that the run has, to stand beside its difficulty."""
        stages, made = set(active(self.recipe)), dict[str, Table[Any]]()
        if "screen" in stages:
            made["screened"] = self.screened
            if self._screen.judge is not None:
                made["judgments"] = self.judgments
        if "label" in stages:
            made["labels"] = self.labels
        step = f"{'label' if 'label' in stages else 'screen'}/validity"
        spec = StepSpec(step, Validity, SCHEMA, {}, {name: table.digest for name, table in made.items()})
        screened, said, labels = (made.get(name) for name in ("screened", "judgments", "labels"))

        def make(_: int) -> Rows:
            return validity.validity(
                kept=screened.arrow.num_rows if screened else 0,
                screened_out=screened.drops if screened else None,
                judgments=said.rows if said else None,
                labels=labels.rows if labels else None,
                unlabeled=labels.drops if labels else (),
            )

        return self.place.rows(spec, [0] if made else [], partial(each, make=make), shard_rows=1, fan=None)
