"""The stage `analyze`: the corpora of the recipe as tables of numbers, each with its n and interval.

Steps: `analyze/corpora/NAME` (the draw), `analyze/embeddings/NAME`, `analyze/difficulty/NAME/SOLVER/...`, `analyze/difficulty/problems`,
`analyze/figures`, `analyze/distances`, `analyze/map`. Corpora are compared at equal numbers of texts: those of the smallest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from promptcot.analysis import corpus_map, diversity
from promptcot.analysis.affixes import stripped
from promptcot.analysis.corpora import Corpus, concepts_of
from promptcot.analysis.difficulty import Climb, Rungs, folder
from promptcot.analysis.halves import halves, over_halves
from promptcot.analysis.validity import HOW, well_posed
from promptcot.engines.protocol import Embedder
from promptcot.errors import UsageError
from promptcot.executors import Rows, Table, Workplace, each
from promptcot.intervals import Estimate, bounded_mean
from promptcot.recipe import Analyze
from promptcot.records import CorpusFigure, Embedding, MapPoint, ProblemDifficulty, Question, Seed, Triple, Validity, inherited, record_id
from promptcot.seeds.families import by_hash
from promptcot.store import StepSpec

SCHEMA = 1
SHARD_TEXTS = 256
DISTINCT = (1, 2, 3)
SEEDS = "seeds"
"""What novelty and the cover of concepts are held against."""
Found = tuple[str, str, str, str, int, Estimate]
"""Corpus, metric, against, model, k, number."""


@dataclass(frozen=True)
class Analysis:
    """An analysis under way. `embedder` opens the model of the map, with its fingerprint; None: no map and no spread. `valid`: the
    strongest evidence of how many of this run's problems are valid."""

    place: Workplace
    settings: Analyze
    corpora: Sequence[Corpus]
    human: Sequence[Seed | Triple]
    embedder: tuple[Callable[[], Embedder], str] | None
    valid: Validity | None
    seed: int

    def run(self, climb: Climb | None) -> Table[CorpusFigure]:
        """All steps; `climb` is the ladder of solvers, None without one. Raises `UsageError` for two corpora of one name."""
        names = [folder(c.name) for c in self.corpora]
        if len(set(names)) < len(names):
            raise UsageError("two corpora are called alike", where="analyze.corpora", remedy="rename one of the files")
        for corpus in self.corpora:
            self._draw(corpus)
        if self.mapped:
            self.distances()
            self._map()
        rungs = [climb.of(corpus) for corpus in self.corpora] if climb is not None else []
        if climb is not None:
            self._problems(rungs)
        return self._figures(climb, rungs)

    @property
    def mapped(self) -> bool:
        """Whether there is a map: with an embedder, and two corpora of four texts or more."""
        return self.embedder is not None and len(self.corpora) > 1 and self.size > 3

    @cached_property
    def size(self) -> int:
        """How many texts of each corpus are compared."""
        return min(len(c.questions) for c in self.corpora)

    @cached_property
    def even(self) -> list[list[int]]:
        """For each corpus the places of the texts that are compared, as many of each."""
        chosen = [by_hash((q.id for q in c.questions), self.size, self.seed) for c in self.corpora]
        return [[i for i, q in enumerate(c.questions) if q.id in ids] for c, ids in zip(self.corpora, chosen, strict=True)]

    @cached_property
    def texts(self) -> list[list[str]]:
        """The texts of each corpus as they are compared, without its templates."""
        return [stripped(c.texts)[0] if self.settings.strip else c.texts for c in self.corpora]

    @cached_property
    def vectors(self) -> list[np.ndarray]:
        """The embeddings of the texts that are compared, float [size, dimension] of each corpus."""
        tables = [self._embedded(corpus, texts) for corpus, texts in zip(self.corpora, self.texts, strict=True)]
        whole = [np.array(table.arrow["vector"].to_pylist(), float) for table in tables]
        return [own[places] for own, places in zip(whole, self.even, strict=True)]

    @cached_property
    def splits(self) -> list[corpus_map.Splits]:
        """Random halves of each corpus, its own."""
        return [halves(self.size, self.settings.halves, self.seed * 1000 + place) for place in range(len(self.corpora))]

    def _spec(self, name: str, record: type, keys: Sequence[str], more: dict[str, str] | None = None) -> StepSpec:
        facts = {**self.settings.model_dump(include=set(keys)), "seed": self.seed}
        inputs = {corpus.name: corpus.digest for corpus in self.corpora} | (more or {})
        return StepSpec(f"analyze/{name}", record, SCHEMA, facts, inputs)

    def _draw(self, corpus: Corpus) -> Table[Question]:
        spec = StepSpec(f"analyze/corpora/{folder(corpus.name)}", Question, SCHEMA, {"total": corpus.total}, {"draw": corpus.digest})
        return self.place.rows(spec, corpus.questions, partial(each, make=lambda q: [q]), shard_rows=2_000)

    def _embedded(self, corpus: Corpus, texts: Sequence[str]) -> Table[Embedding]:
        assert self.embedder is not None
        opened, fingerprint = self.embedder
        spec = StepSpec(
            f"analyze/embeddings/{folder(corpus.name)}",
            Embedding,
            SCHEMA,
            {"strip": self.settings.strip},
            {"draw": corpus.digest, "embedder": fingerprint},
        )
        items = list(zip(corpus.questions, texts, strict=True))
        shards = [items[i : i + SHARD_TEXTS] for i in range(0, len(items), SHARD_TEXTS)]

        def make(shard: Sequence[tuple[Question, str]]) -> Rows:
            vectors = opened().embed([text for _, text in shard])
            return [_embedding(question, vector) for (question, _), vector in zip(shard, vectors, strict=True)]

        return self.place.rows(spec, shards, partial(each, make=make), shard_rows=1, fan=0)

    def distances(self) -> Table[CorpusFigure]:
        """The step `analyze/distances`: every two corpora, what chance makes of it, and what is left."""
        assert self.embedder is not None
        spec = self._spec("distances", CorpusFigure, ("halves", "level", "strip"), {"embedder": self.embedder[1]})
        vectors = self.vectors  # steps of their own, so made before this one begins

        def make(size: int) -> Rows:
            names = [corpus.name for corpus in self.corpora]
            apart = corpus_map.distances_apart(vectors, self.splits, self.settings.level)
            return [
                self._row((names[one.a], metric, names[one.b], "", 0, found))
                for one in apart
                for metric, found in (("distance", one.distance), ("null", one.null), ("corrected", one.corrected))
            ]

        return self.place.rows(spec, [self.size], partial(each, make=make), shard_rows=1, fan=None)

    def _map(self) -> Table[MapPoint]:
        assert self.embedder is not None
        spec = self._spec("map", MapPoint, ("halves", "strip"), {"embedder": self.embedder[1]})
        return self.place.rows(spec, [self.size], partial(each, make=lambda size: self._points()), shard_rows=1, fan=None)

    def _points(self) -> Rows:
        drawn = corpus_map.drawn_map(self.vectors, self.splits)
        rows = list[MapPoint]()
        for corpus, at, cloud in zip(self.corpora, drawn.places, drawn.clouds, strict=True):
            for half, (x, y) in enumerate([at, *cloud]):
                identity = record_id("map_point", (), half, corpus.name)
                rows.append(MapPoint(id=identity, corpus=corpus.name, half=half, x=float(x), y=float(y)))
        return rows

    def _problems(self, rungs: Sequence[Rungs]) -> Table[ProblemDifficulty]:
        digests = {f"grades {r.corpus.name} {name}": repr([m.verdicts for m in marks]) for r in rungs for name, marks in r.marks.items()}
        spec = self._spec("difficulty/problems", ProblemDifficulty, ("difficulty",), _hashed(digests))
        return self.place.rows(spec, rungs, partial(each, make=lambda r: list(r.problems())), shard_rows=1, fan=None)

    def _figures(self, climb: Climb | None, rungs: Sequence[Rungs]) -> Table[CorpusFigure]:
        rows = [self._row(found) for found in self._found(climb, rungs)]
        content = {"figures": repr([(r.id, r.value, r.low, r.high, r.n) for r in rows])}
        spec = self._spec("figures", CorpusFigure, tuple(type(self.settings).model_fields), _hashed(content))
        return self.place.rows(spec, rows, partial(each, make=lambda row: [row]), shard_rows=10_000)

    def _found(self, climb: Climb | None, ladder: Sequence[Rungs]) -> Iterator[Found]:
        level = self.settings.level
        for place, corpus in enumerate(self.corpora):
            yield corpus.name, "well_posed", HOW, "", 0, well_posed(corpus.texts, level)
            if corpus.name == "problems" and (v := self.valid) is not None:
                yield corpus.name, "valid", v.basis, "", 0, Estimate(v.value, v.low, v.high, v.n, v.level)
            yield from self._diverse(place, corpus)
        for rungs in ladder:
            against = climb.reference.name if climb and climb.reference else "own answers"
            for metric, solver, found in rungs.figures(level):
                yield rungs.corpus.name, metric, against, solver, 0, found

    def _diverse(self, place: int, corpus: Corpus) -> Iterator[Found]:
        level, splits = self.settings.level, self.splits[place] if self.size > 3 else ()
        texts = [self.texts[place][i] for i in self.even[place]]
        for n in DISTINCT if splits else ():
            yield corpus.name, "distinct", "", "", n, over_halves(diversity.distinct(texts, n), splits, level)
        if self.embedder is not None and splits:
            yield corpus.name, "spread", "", "", 0, over_halves(diversity.spread(self.vectors[place]), splits, level)
        if not self.human or corpus.name == SEEDS:
            return
        n, whole = self.settings.novelty, self.texts[place]
        new = diversity.novelty(whole, [row.problem for row in self.human], n)
        if new:
            yield corpus.name, "novelty", SEEDS, "", n, bounded_mean(new, level)
        known = concepts_of(self.human)
        own = [corpus.concepts.get(q.id, ()) for q in corpus.questions]
        if known and any(own):
            yield corpus.name, "concepts", SEEDS, "", 0, over_halves(diversity.covered(own, known), halves(len(own), 50, self.seed), level)
        if known and (pairs := diversity.new_pairs(own, known)):
            yield corpus.name, "new_pairs", SEEDS, "", 0, bounded_mean(pairs, level)

    def _row(self, found: Found) -> CorpusFigure:
        corpus, metric, against, model, k, number = found
        low, high = (end if math.isfinite(end) else math.nan for end in (number.low, number.high))
        return CorpusFigure(
            id=record_id("corpus_figure", (), k, "\n".join((corpus, metric, against, model))),
            corpus=corpus,
            metric=metric,
            value=number.value,
            low=low,
            high=high,
            level=number.level,
            n=number.n,
            against=against,
            model=model,
            k=k,
        )


def _embedding(question: Question, vector: np.ndarray) -> Embedding:
    identity = record_id("embedding", (question.id,))
    return Embedding(id=identity, parents=(question.id,), vector=tuple(float(x) for x in vector), **inherited(question))


def _hashed(facts: dict[str, str]) -> dict[str, str]:
    return {name: record_id("digest", content=text) for name, text in facts.items()}
