"""What is trained on labeled problems: solver, generator, student."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from promptcot import (
    distill,
    refining,
    self_play,
)
from promptcot.diversity import Reference
from promptcot.errors import Stopped, UsageError
from promptcot.evaluation import stage
from promptcot.executors import Table
from promptcot.grading import Grader
from promptcot.pipeline.labeled import Labeled
from promptcot.recipe import SELF_PLAYED
from promptcot.records import (
    Question,
    Trace,
)
from promptcot.roles import Role, resolve
from promptcot.sandbox.runners import chosen
from promptcot.self_play import Played
from promptcot.stages import active
from promptcot.trials import Trying
from promptcot.verify.algebra import where_possible


class Trained(Labeled):
    """Self-play, refinement, distillation and trials."""

    @cached_property
    def questions(self) -> Table[Question]:
        """What the solver attempts."""
        r = self.recipe
        if r.self_play is None:
            raise UsageError("the recipe has no `self_play`", where="self_play")
        return self_play.questions(self.place, self._sources(), r.self_play, seed=r.seed)

    @cached_property
    def played(self) -> list[Played]:
        """The rounds of self-play."""
        r = self.recipe
        if r.self_play is None:
            raise UsageError("the recipe has no `self_play`", where="self_play")
        questions = self.questions
        if not questions.arrow.num_rows:
            raise Stopped(
                "there is no question to attempt",
                where="self_play",
                remedy="problems with `label:` or `inputs.labels`; `human: 1` and `inputs.seeds` that bring answers or tests; or `tasks`",
            )
        with where_possible(self.say) as helper:
            grader = Grader(r.self_play, helper, chosen(r.self_play.runner))
            solver = resolve(r, r.self_play.solver)
            return self_play.play(
                self.place, questions, solver, r.self_play, r.training, grader, seed=r.seed, watch=lambda done: self.say(str(done))
            )

    def _sources(self) -> self_play.Sources:
        stages = set(active(self.recipe))
        problems = self.kept if {"synthesize", "problems"} & stages else None
        found = self._found_labels
        human = self.seeds if "seeds" in stages else None
        digest = " ".join(table.digest if table else "-" for table in (problems, found, human))
        return self_play.Sources(problems.rows if problems else (), found.rows if found else (), human.rows if human else (), digest)

    @cached_property
    def self_played(self) -> Role:
        """The solver of the last round, or the one fitted on given pairs, by the name that `evaluate.models` has for it."""
        r = self.recipe
        if not r.inputs.pairs or r.self_play is None:
            return replace(self.played[-1].solver, name=SELF_PLAYED)
        solver = resolve(r, r.self_play.solver)
        return replace(self_play.learn(self.place, self.given_pairs, solver, r.self_play, r.training, seed=r.seed), name=SELF_PLAYED)

    @cached_property
    def refined(self) -> Role:
        """The generator, fitted on its own problems that are worth solving; the next run begins with it."""
        r = self.recipe
        if r.refine is None:
            raise UsageError("the recipe has no `refine`", where="refine")
        last, human = self.played[-1], self._annotated_train
        sets = self.concept_sets.rows if "synthesize" in active(r) else []
        solved = refining.Solved.of(self.kept, self._found_labels, last.questions, last.rates, sets)
        texts, asked = human or solved.problems, sets or solved.problems
        reference = Reference(tuple(row.problem for row in texts), tuple(row.concepts for row in asked))
        choice = refining.choose(self.place, solved, reference, r.refine, seed=r.seed, with_rationale=self.with_rationale)
        self.say(str(choice))
        return refining.refined(
            self.place,
            self.generator,
            choice,
            solved.rates,
            human,
            r.refine,
            r.training,
            seed=r.seed,
            with_rationale=self.with_rationale,
        )

    @cached_property
    def traces(self) -> Table[Trace]:
        """The teacher's solutions that are kept, or given ones."""
        r = self.recipe
        if r.distill is None:
            raise UsageError("the recipe has no `distill`", where="distill")
        if r.inputs.traces:
            return distill.given(self.place, self.given_traces, r.distill)
        labels = self.labels if r.distill.verify else None
        problems, teacher = distill.chosen(self.kept.rows, labels.rows if labels else None, r.distill), resolve(r, r.distill.teacher)
        by_problem = {label.problem: label for label in labels.rows} if labels else {}
        with where_possible(self.say) as helper:
            grader = Grader(r.distill, helper, chosen(r.distill.runner))
            digests = self.kept.digest, labels.digest if labels else ""
            teaching = distill.Teaching(self.place, r.distill, teacher, problems, digests[0], by_problem, digests[1], grader, r.seed)
            drawn = teaching.drawn()
            traces = teaching.traces(drawn)
        self.say(distill.told(teaching.figures(drawn, traces).rows[0]))
        return traces

    @cached_property
    def distilled(self) -> Role:
        """The student fitted on the teacher's traces."""
        r = self.recipe
        if r.distill is None or r.distill.student is None:
            raise UsageError("the recipe fits no student", where="distill.student", remedy="name the role of `models` to fit")
        return distill.student(self.place, resolve(r, r.distill.student), self.traces, r.distill, r.training, seed=r.seed)

    @cached_property
    def tried(self) -> dict[str, Role]:
        """The students of the trial, by name."""
        r = self.recipe
        if r.trial is None:
            raise UsageError("the recipe has no `trial`", where="trial")
        found = stage.loaded(r.evaluate, r.domain, r.seed) if r.evaluate else []
        held_out = [question for _, benchmark in found for question in benchmark.questions]
        return Trying(self.place, r.trial, r.training, resolve(r, r.trial.student), held_out, r.domain, r.seed).students()
