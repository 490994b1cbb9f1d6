"""What is measured in the end, and the stages by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from promptcot import (
    validity,
)
from promptcot.analysis.corpora import Own, draw
from promptcot.analysis.difficulty import Climb
from promptcot.analysis.stage import Analysis
from promptcot.errors import UsageError
from promptcot.evaluation import scoring, stage
from promptcot.evaluation.stage import Evaluated
from promptcot.executors import Table
from promptcot.grading import Grader
from promptcot.pipeline.trained import Trained
from promptcot.recipe import SELF_PLAYED
from promptcot.records import (
    CorpusFigure,
    Score,
)
from promptcot.roles import Role, resolve
from promptcot.sandbox.runners import chosen
from promptcot.stages import DISTILLED, active, made_here
from promptcot.verify.algebra import where_possible
from promptcot.verify.answers import Algebra


class Session(Trained):
    """One recipe on one workplace, whole. Properties raise `UsageError` where the recipe lacks what they need."""

    def do(self, stage: str) -> None:
        """Make (or load) a stage's result."""
        results: dict[str, Callable[[], object]] = {
            "seeds": lambda: self.seeds,
            "annotate": lambda: self.triples,
            "cold_start": lambda: (self.start, self.gates),
            "em": lambda: self.em,
            "synthesize": lambda: self.problems,
            "problems": lambda: self.problems,
            "labels": lambda: self.labels,
            "attempts": lambda: self.attempts,
            "pairs": lambda: self.given_pairs,
            "traces": lambda: self.given_traces,
            "screen": self._screening,
            "label": lambda: (self.labels, self.validity),
            "self_play": lambda: self.self_played,
            "refine": lambda: self.refined,
            "distill": self._distill,
            "trial": lambda: self.tried,
            "evaluate": lambda: self.scores,
            "analyze": lambda: self.analyzed,
        }
        results[stage]()

    def _screening(self) -> object:
        more = [self.neighbors] if self._screen.neighbors else []
        return [self.screened, *more] if "label" in active(self.recipe) else [self.screened, *more, self.validity]

    def _distill(self) -> object:
        assert self.recipe.distill is not None
        return self.traces if self.recipe.distill.student is None else self.distilled

    def _made(self, name: str) -> Role:
        if name in (SELF_PLAYED, DISTILLED):
            return self.self_played if name == SELF_PLAYED else self.distilled
        return self.tried[name]

    @cached_property
    def evaluated(self) -> list[Evaluated]:
        """Every model's graded attempts at every benchmark."""
        r = self.recipe
        if r.evaluate is None:
            raise UsageError("the recipe has no `evaluate`", where="evaluate")
        stages = active(r)
        own: list[Table[Any]] = [self.kept] if {"synthesize", "problems"} & set(stages) else []
        own += [self.triples] if "annotate" in stages else []
        if r.self_play is not None:  # human ones and tasks are in neither of these
            own.append(self.given_pairs if r.inputs.pairs else self.played[0].questions)
        own += [self.given_traces] if r.inputs.traces else []
        own_models = made_here(r)
        roles = [self._made(name) if name in own_models else resolve(r, name) for name in r.evaluate.models]
        with where_possible(self.say) as helper:
            grader = Grader(r.evaluate, helper, chosen(r.evaluate.runner))
            paths = {name: self._model_path(name) for name in r.evaluate.models}
            found = stage.evaluate(
                self.place, r.evaluate, roles, paths, grader, stage.corpus_of(r.evaluate.corpus, own), domain=r.domain, seed=r.seed
            )
            return list(found)

    def _model_path(self, name: str) -> str:
        """The model of a role as people read it: one that the run made by what it was made from."""
        r = self.recipe
        if name == SELF_PLAYED and r.self_play is not None:
            return f"{r.model(r.self_play.solver).path}, self-played"
        if name == DISTILLED and r.distill is not None and r.distill.student is not None:
            return f"{r.model(r.distill.student).path}, distilled"
        if r.trial is not None and name in {student.name for student in r.trial.students}:
            return f"{r.model(r.trial.student).path}, {name}"
        return str(r.model(name).path)

    @cached_property
    def scores(self) -> Table[Score]:
        """What the attempts at the benchmarks come to."""
        assert self.recipe.evaluate is not None
        return scoring.table(self.place, self.evaluated, self.recipe.evaluate)

    @cached_property
    def analysis(self) -> Analysis:
        """The corpora of the section `analyze`, and what looks at them."""
        r = self.recipe
        if r.analyze is None:
            raise UsageError("the recipe has no `analyze`", where="analyze")
        human = self.human
        own = Own(lambda: self.kept.rows, lambda: human.rows if human else (), self._own_labels)
        corpora = draw(r.analyze, own, domain=r.domain, seed=r.seed)
        embedder = (lambda: self._embedder[0], self._embedder[1]) if "embedder" in r.models else None
        if embedder is None:
            self.say("no map and no spread of embeddings: the recipe names no `models.embedder`")
        valid = validity.best(self.validity.rows) if {"screen", "label"} & set(active(r)) else None
        return Analysis(self.place, r.analyze, corpora, human.rows if human else (), embedder, valid, r.seed)

    @cached_property
    def analyzed(self) -> Table[CorpusFigure]:
        """What corpora are like: every number but their distances."""
        with where_possible(self.say) as helper:
            return self.analysis.run(self._climb(helper))

    @property
    def distances(self) -> list[CorpusFigure]:
        """How far corpora are apart; empty without an embedder, or with one corpus."""
        return self.analysis.distances().rows if self.analysis.mapped else []

    def _climb(self, helper: Algebra | None) -> Climb | None:
        """The ladder of solvers that `analyze.difficulty` names."""
        ladder = self.recipe.analyze.difficulty if self.recipe.analyze is not None else None
        if ladder is None:
            return None
        solvers = [resolve(self.recipe, name) for name in ladder.solvers]
        reference = resolve(self.recipe, ladder.reference) if ladder.reference else None
        return Climb(self.place, ladder, solvers, reference, Grader(ladder, helper, chosen(ladder.runner)), self.recipe.seed)
