"""What the arms write: a problem for each of the same unseen concept sets, and what can be measured of it without a reader."""

from __future__ import annotations

from functools import cache
from typing import Any

from benchmarks.em_study.arms import WITHOUT_RATIONALE, Bench, Path
from promptcot import models, synthesis
from promptcot.concept_use import ConceptUse
from promptcot.engines import open_embedder
from promptcot.engines.protocol import Embedder
from promptcot.executors import Table
from promptcot.records import ConceptSet, Triple
from promptcot.words import words


def rows(bench: Bench, walk: Path, count: int) -> list[dict[str, Any]]:
    """One row a concept set: the problem (None where the completion did not parse) and its measures."""
    settings = bench.recipe.synthesize
    assert settings is not None
    sets = concept_sets(bench, count)
    table = synthesis.problems(
        bench.place,
        "written",
        walk.rounds[-1].generator,
        sets.rows,
        sets.digest,
        sample=settings.sample,
        passes=1,
        seed=bench.seed,
        with_rationale=walk.arm not in WITHOUT_RATIONALE,
    )
    kept = {row.parents[0]: row for row in table.rows}
    use = ConceptUse.fit(bench.corpus.train.rows, concepts=[c for s in sets.rows for c in s.concepts], embedder=embedder(bench))
    uses = dict(zip(kept, use.uses(list(kept.values())), strict=True))
    seeds = Runs(bench.corpus.all_rows)
    out = []
    for item in sets.rows:
        row: dict[str, Any] = {"seed": bench.seed, "arm": walk.arm, "concepts": item.concepts, "level": item.level}
        if problem := kept.get(item.id):
            text = problem.problem
            row |= {
                "problem": text,
                "rationale": problem.rationale,
                "uses": uses[item.id],
                "copied": seeds.longest(text),
                "words": len(words(text)),
            }
        out.append(row | {"parsed": item.id in kept})
    return out


def concept_sets(bench: Bench, count: int) -> Table[ConceptSet]:
    """The same sets for every arm and training seed."""
    assert bench.recipe.synthesize is not None
    settings = bench.recipe.synthesize.model_copy(update={"concept_sets": count})
    rows = bench.corpus.all_rows
    return synthesis.concept_sets(bench.place, rows, f"starter:{len(rows)}", embedder(bench), "embedder", settings, seed=0)


def embedder(bench: Bench) -> Embedder:
    """The recipe's sentence embedder, opened once."""
    return _embedder(str(bench.recipe.model("embedder").path))


@cache
def _embedder(name: str) -> Embedder:
    return open_embedder(models.resolve(name, None))


class Runs:
    """The longest run of words that a text shares with any of some problems."""

    def __init__(self, triples: tuple[Triple, ...]) -> None:
        self.seen: dict[int, set[tuple[str, ...]]] = {}
        self.texts = [words(t.problem) for t in triples]

    def longest(self, text: str) -> int:
        """In words, by growing n until no n-gram of the text is known."""
        own, n = words(text), 0
        while n < len(own) and any(gram in self._grams(n + 1) for gram in zip(*(own[i:] for i in range(n + 1)), strict=False)):
            n += 1
        return n

    def _grams(self, n: int) -> set[tuple[str, ...]]:
        if n not in self.seen:
            self.seen[n] = {tuple(t[i : i + n]) for t in self.texts for i in range(len(t) - n + 1)}
        return self.seen[n]
