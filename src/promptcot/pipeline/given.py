"""Rows from outside, and the models that all stages share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import cached_property, partial
from typing import Any

from promptcot import (
    annotate,
    models,
    seeds,
)
from promptcot.concept_use import WordingEmbedder
from promptcot.engines import open_embedder
from promptcot.engines.protocol import Embedder
from promptcot.errors import Stopped, UsageError
from promptcot.executors import LocalWorkplace, Rows, Table, Task, each, side_by_side
from promptcot.intervals import wilson
from promptcot.outcomes import Drop, Split
from promptcot.recipe import Recipe
from promptcot.records import (
    Attempt,
    Dropped,
    Pair,
    Record,
    Seed,
    Trace,
    Triple,
)
from promptcot.roles import resolve
from promptcot.seeds import Reading
from promptcot.store import StepSpec
from promptcot.tables import digest_of, to_json
from promptcot.triples import Pool, of_split

SCHEMA = {"seeds": 1, "annotate": 1}
SHARD_ROWS = 2_000
ANNOTATE_SHARD = 16


class Given:
    """One recipe on one workplace: what it is given. Properties raise `UsageError` where the recipe lacks what they need."""

    def __init__(self, recipe: Recipe, place: LocalWorkplace, *, say: Callable[[str], None] = lambda text: None) -> None:
        self.recipe, self.place, self.say = recipe, place, say

    def _given(self, step: str, record: type[Record], reading: Reading[Any], settings: Any) -> Table[Any]:
        rows = [*reading.rows, *reading.dropped]
        bad = [row for row in reading.dropped if row.reason == Drop.BAD_ROW]
        rate = wilson(len(bad), reading.rows_in)
        if bad and rate.value > self.recipe.gates.error_rate:
            raise Stopped(
                f"{len(bad)} of {reading.rows_in} rows cannot be read: {'; '.join(row.detail for row in bad[:5])}",
                where="gates.error_rate",
                remedy="mend the file or its `fields` map, or raise the gate",
            )
        spec = StepSpec(step, record, SCHEMA["seeds"], settings, {"rows": digest_of(rows)})
        return self.place.rows(spec, rows, partial(each, make=lambda row: [row]), shard_rows=SHARD_ROWS)

    @cached_property
    def seeds(self) -> Table[Seed]:
        """Human problems with their split."""
        r = self.recipe
        reading = seeds.read_seeds(r.inputs.seeds, domain=r.domain, seed=r.seed)
        return self._given("seeds", Seed, reading, {"inputs": [i.model_dump() for i in r.inputs.seeds], "seed": r.seed})

    @cached_property
    def triples(self) -> Table[Triple]:
        """Annotated seeds: from the annotators, from the seeds' own source, or given."""
        r = self.recipe
        if r.inputs.triples:
            reading = seeds.read_triples(r.inputs.triples, domain=r.domain, seed=r.seed)
            return self._given("annotate", Triple, reading, {"inputs": [i.model_dump() for i in r.inputs.triples], "seed": r.seed})
        if not r.inputs.seeds:
            raise UsageError("the recipe has neither seeds nor triples", where="inputs", remedy="add inputs.seeds or inputs.triples")
        found: list[Seed] = self.seeds.rows
        if r.annotate is None:
            spec = StepSpec("annotate", Triple, SCHEMA["annotate"], {}, {"seeds": self.seeds.digest})
            return self.place.rows(spec, found, partial(each, make=_own_triple), shard_rows=SHARD_ROWS)
        return self._annotated(found)

    def _annotated(self, found: Sequence[Seed]) -> Table[Triple]:
        settings = self.recipe.annotate
        assert settings is not None
        roles = [resolve(self.recipe, a.model) for a in settings.annotators]
        inputs = {"seeds": self.seeds.digest, **{f"annotator_{n}": role.digest for n, role in enumerate(roles)}}
        spec = StepSpec("annotate", Triple, SCHEMA["annotate"], {**settings.model_dump(mode="json"), "seed": self.recipe.seed}, inputs)
        served = all(role.served for role in roles)
        size = 1 if served else ANNOTATE_SHARD
        shards = [tuple(found[i : i + size]) for i in range(0, len(found), size)]

        def work(tasks: Iterator[Task[tuple[Seed, ...]]]) -> Iterator[tuple[int, Rows]]:
            with ExitStack() as stack:
                opened = [(a, stack.enter_context(role.open(self.place.meter))) for a, role in zip(settings.annotators, roles, strict=True)]

                def annotated(rows: tuple[Seed, ...]) -> Rows:
                    done = annotate.annotate(rows, opened, settings, self.recipe.seed)
                    return [*done.triples, *done.failures, *done.not_chosen]

                if served:
                    yield from side_by_side(tasks, annotated, max(role.engine.width for role in roles))
                else:
                    yield from each(tasks, annotated)

        return self.place.rows(spec, shards, work, shard_rows=ANNOTATE_SHARD if served else 1, journal=served, fan=None)

    @cached_property
    def attempts(self) -> Table[Attempt]:
        """Attempts given for problems."""
        r = self.recipe
        reading = seeds.read_attempts(r.inputs.attempts, domain=r.domain, seed=r.seed)
        return self._given("attempts", Attempt, reading, [i.model_dump() for i in r.inputs.attempts])

    @cached_property
    def given_pairs(self) -> Table[Pair]:
        """Pairs from outside."""
        r = self.recipe
        reading = seeds.read_pairs(r.inputs.pairs, domain=r.domain, seed=r.seed)
        return self._given("pairs", Pair, reading, [i.model_dump() for i in r.inputs.pairs])

    @cached_property
    def given_traces(self) -> Table[Trace]:
        """Solutions from outside, to learn from."""
        r = self.recipe
        reading = seeds.read_traces(r.inputs.traces, domain=r.domain, seed=r.seed)
        return self._given("traces", Trace, reading, [i.model_dump() for i in r.inputs.traces])

    @property
    def human(self) -> Table[Any] | None:
        """The human problems of the run, of every split, that no synthesized one may copy; None without any."""
        given = self.recipe.inputs
        return self.triples if given.triples else self.seeds if given.seeds else None

    @cached_property
    def train(self) -> Pool:
        """The training triples."""
        return of_split(self.triples.rows, Split.TRAIN, self.triples.digest)

    @property
    def _annotated_train(self) -> tuple[Triple, ...]:
        return self.train.rows if self.recipe.inputs.seeds or self.recipe.inputs.triples else ()

    @cached_property
    def _embedder(self) -> tuple[Embedder, str]:
        if "embedder" in self.recipe.models:
            spec = self.recipe.model("embedder")
            path = models.resolve(str(spec.path), spec.revision)
            return open_embedder(path), models.fingerprint(path)
        return WordingEmbedder.fit([t.problem for t in self.triples.rows]), f"wording:{self.triples.digest}"


def _own_triple(seed: Seed) -> Rows:
    if seed.concepts:
        return [annotate.from_source(seed)]
    why = "it brings no concepts, and the recipe has no `annotate`"
    return [Dropped(id=seed.id, parents=(seed.id,), reason=Drop.BAD_ROW, detail=why, content=to_json(seed))]
