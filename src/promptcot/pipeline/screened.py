"""Which problems are kept, and what stands beside them."""

from __future__ import annotations

from functools import cached_property, partial

from promptcot import (
    judging,
    screening,
    semantic,
)
from promptcot.errors import UsageError
from promptcot.evaluation_texts import evaluation_digest
from promptcot.executors import Rows, Table, each
from promptcot.pipeline.generated import Generated
from promptcot.recipe import Screen
from promptcot.records import (
    Judgment,
    Neighbors,
    Problem,
    Resemblance,
)
from promptcot.roles import resolve
from promptcot.seeds.families import by_hash
from promptcot.store import StepSpec

SCHEMA = {"screen": 2, "resemblances": 1, "neighbors": 1}


class Screened(Generated):
    """The sieves, the judge, evaluation texts side by side, neighbors."""

    @property
    def _screen(self) -> Screen:
        if self.recipe.screen is None:
            raise UsageError("the recipe has no `screen`", where="screen")
        return self.recipe.screen

    @cached_property
    def resemblances(self) -> Table[Resemblance]:
        """What the problems share with evaluation texts, both side by side."""
        settings, written, human = self._screen, self.problems.rows, self.human
        facts = settings.model_dump(mode="json", include={"ngram", "near_duplicate", "phrases", "against"})
        inputs = {"problems": self.problems.digest, "humans": human.digest if human else ""}
        inputs |= {f"against_{n}": evaluation_digest(name) for n, name in enumerate(settings.against)}
        spec = StepSpec("screen/resemblances", Resemblance, SCHEMA["resemblances"], facts, inputs)

        def make(rows: tuple[Problem, ...]) -> Rows:
            return screening.evaluation_resemblances(rows, human.rows if human else [], settings)

        items = [tuple(written)] if written and settings.against else []
        return self.place.rows(spec, items, partial(each, make=make), shard_rows=1, fan=None)

    def _sieved(self, name: str) -> Table[Problem]:
        """What the rules leave, as the step `name`."""
        settings, written, human, found = self._screen, self.problems.rows, self.human, self.resemblances
        inputs = {"problems": self.problems.digest, "humans": human.digest if human else "", "resemblances": found.digest}
        facts = settings.model_dump(mode="json", exclude={"judge", "neighbors", "against", "phrases"})
        spec = StepSpec(name, Problem, SCHEMA["screen"], facts, inputs)

        def make(rows: tuple[Problem, ...]) -> Rows:
            use = self.concept_use([c for p in rows for c in p.concepts])
            done = screening.screen(rows, human.rows if human else [], settings, found.rows, use)
            return [*done.kept, *done.dropped]

        return self.place.rows(spec, [tuple(written)] if written else [], partial(each, make=make), shard_rows=1, fan=0)

    @cached_property
    def judgments(self) -> Table[Judgment]:
        """What the judge says of the problems that the rules leave."""
        judge = self._screen.judge
        if judge is None:
            raise UsageError("the recipe has no `screen.judge`", where="screen.judge")
        sieved = self._sieved("screen/sieved")
        return judging.judgments(self.place, sieved.rows, sieved.digest, resolve(self.recipe, judge.model), judge, seed=self.recipe.seed)

    @cached_property
    def screened(self) -> Table[Problem]:
        """The problems that pass the screens; the others with their reasons."""
        judge = self._screen.judge
        if judge is None:
            return self._sieved("screen")
        said, sieved = self.judgments, self._sieved("screen/sieved")
        inputs = {"sieved": sieved.digest, "judgments": said.digest}
        spec = StepSpec("screen", Problem, SCHEMA["screen"], {"least": judge.least}, inputs)

        def make(rows: tuple[Problem, ...]) -> Rows:
            done = screening.judged(sieved.rows, said.rows, judge.least)
            return [*done.kept, *sieved.drops, *done.dropped]

        written = self.problems.rows
        return self.place.rows(spec, [tuple(written)] if written else [], partial(each, make=make), shard_rows=1, fan=0)

    @cached_property
    def neighbors(self) -> Table[Neighbors]:
        """The nearest neighbors of kept problems by embedding, for the report."""
        count, kept, human = self._screen.neighbors, self.screened, self.human
        embedder, digest = self._embedder
        inputs = {"problems": kept.digest, "humans": human.digest if human else "", "embedder": digest}
        spec = StepSpec("screen/neighbors", Neighbors, SCHEMA["neighbors"], {"count": count, "seed": self.recipe.seed}, inputs)
        drawn = by_hash([p.id for p in kept.rows], count, self.recipe.seed)

        def make(rows: tuple[Problem, ...]) -> Rows:
            return semantic.neighbors(rows, human.rows if human else [], embedder)

        items = [tuple(p for p in kept.rows if p.id in drawn)] if count and kept.rows else []
        return self.place.rows(spec, items, partial(each, make=make), shard_rows=1, fan=0)

    @property
    def kept(self) -> Table[Problem]:
        """The problems that go on to their labels: those that pass the screens, or all without any."""
        return self.screened if self.recipe.screen is not None else self.problems
