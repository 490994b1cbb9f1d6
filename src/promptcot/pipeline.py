"""A run, stage by stage: each property of a `Session` is a stage's result, made on first use or loaded when it is done.

    seeds -> triples -> start (p0, q0) -> em (best p) -> problems -> screened -> report

A stage is active when its section is in the recipe. Rows given in `inputs` are a stage too (`seeds`, `problems`, `labels`, `attempts`,
`pairs`, `traces`; triples under `annotate`, concept sets under `synthesize`) and take the place of the one that would make them. What is
finished loads from the run folder, so a session is also how finished runs are read.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

from promptcot import (
    annotate,
    code_labels,
    distill,
    earlier,
    em,
    gates,
    handover,
    judging,
    labeling,
    labels,
    models,
    refining,
    screening,
    seeds,
    self_play,
    semantic,
    synthesis,
    validity,
)
from promptcot.analysis.corpora import Own, draw
from promptcot.analysis.difficulty import Climb
from promptcot.analysis.stage import Analysis
from promptcot.cold_start import cold_start
from promptcot.concept_use import ConceptUse, WordingEmbedder
from promptcot.diversity import Reference
from promptcot.em import EmResult, Round, Setting
from promptcot.engines import open_embedder
from promptcot.engines.protocol import Embedder
from promptcot.errors import Stopped, UsageError
from promptcot.evaluation import scoring, stage
from promptcot.evaluation.stage import Evaluated
from promptcot.evaluation_texts import evaluation_digest
from promptcot.executors import LocalWorkplace, Rows, Table, Task, each, side_by_side
from promptcot.gates import Gate
from promptcot.grading import Grader
from promptcot.heldout import Pair as Both
from promptcot.intervals import wilson
from promptcot.outcomes import Drop, Split
from promptcot.recipe import SELF_PLAYED, Em, Recipe, Rule, Sample, Screen
from promptcot.records import (
    Attempt,
    ConceptSet,
    CorpusFigure,
    Dropped,
    Judgment,
    Label,
    Neighbors,
    Pair,
    Problem,
    Question,
    Record,
    Resemblance,
    Score,
    Seed,
    Trace,
    Triple,
    Validity,
)
from promptcot.roles import Role, resolve
from promptcot.sandbox.runners import chosen
from promptcot.seeds import Reading
from promptcot.seeds.families import by_hash
from promptcot.self_play import Played
from promptcot.stages import DISTILLED, active, made_here
from promptcot.store import StepSpec
from promptcot.tables import to_json
from promptcot.trial import Trying
from promptcot.triples import Pool, held_out, of_split
from promptcot.verify.algebra import where_possible
from promptcot.verify.answers import Algebra, Verifier

SCHEMA = {"seeds": 1, "annotate": 1, "screen": 2, "resemblances": 1, "neighbors": 1, "validity": 1}
SHARD_ROWS = 2_000
ANNOTATE_SHARD = 16


class Session:
    """One recipe on one workplace. Properties raise `UsageError` where the recipe lacks what they need."""

    def __init__(self, recipe: Recipe, place: LocalWorkplace, *, say: Callable[[str], None] = lambda text: None) -> None:
        self.recipe, self.place, self.say = recipe, place, say

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

    # rows from outside

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
        spec = StepSpec(step, record, SCHEMA["seeds"], settings, {"rows": _digest(rows)})
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

    # models

    @cached_property
    def train(self) -> Pool:
        """The training triples."""
        return of_split(self.triples.rows, Split.TRAIN, self.triples.digest)

    @cached_property
    def dev(self) -> Pool:
        """The held-out triples of the bound."""
        assert self.recipe.em is not None
        return held_out(self.triples.rows, self.triples.digest, self.recipe.em.bound.seeds, self.recipe.seed)

    @property
    def with_rationale(self) -> bool:
        """Whether the generator writes a rationale; the control `no_rationale` does not."""
        return self.recipe.em is None or self.recipe.em.rule is not Rule.NO_RATIONALE

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
        self.do("cold_start")
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

    # problems

    @cached_property
    def _embedder(self) -> tuple[Embedder, str]:
        if "embedder" in self.recipe.models:
            spec = self.recipe.model("embedder")
            path = models.resolve(str(spec.path), spec.revision)
            return open_embedder(path), models.fingerprint(path)
        return WordingEmbedder.fit([t.problem for t in self.triples.rows]), f"wording:{self.triples.digest}"

    @property
    def human(self) -> Table[Any] | None:
        """The human problems of the run, of every split, that no synthesized one may copy; None without any."""
        given = self.recipe.inputs
        return self.triples if given.triples else self.seeds if given.seeds else None

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

    @cached_property
    def labels(self) -> Table[Label]:
        """Labels of the kept problems: answers by vote and suites of tests, made here; or given."""
        r = self.recipe
        if not r.inputs.labels:
            return self._labeled()
        reading = seeds.read_labels(r.inputs.labels, domain=r.domain, seed=r.seed)
        return self._given("labels", Label, reading, [i.model_dump() for i in r.inputs.labels])

    @property
    def kept(self) -> Table[Problem]:
        """The problems that go on to their labels: those that pass the screens, or all without any."""
        return self.screened if self.recipe.screen is not None else self.problems

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

    @property
    def _annotated_train(self) -> tuple[Triple, ...]:
        return self.train.rows if self.recipe.inputs.seeds or self.recipe.inputs.triples else ()

    @property
    def _found_labels(self) -> Table[Label] | None:
        return self.labels if {"label", "labels"} & set(active(self.recipe)) else None

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

    def _distill(self) -> object:
        assert self.recipe.distill is not None
        return self.traces if self.recipe.distill.student is None else self.distilled

    @cached_property
    def tried(self) -> dict[str, Role]:
        """The students of the trial, by name."""
        r = self.recipe
        if r.trial is None:
            raise UsageError("the recipe has no `trial`", where="trial")
        found = stage.loaded(r.evaluate, r.domain, r.seed) if r.evaluate else []
        held_out = [question for _, benchmark in found for question in benchmark.questions]
        return Trying(self.place, r.trial, r.training, resolve(r, r.trial.student), held_out, r.domain, r.seed).students()

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
        own += [self.played[0].questions] if r.self_play is not None else []  # human ones and tasks are in neither of these
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

    def _own_labels(self) -> dict[str, Label]:
        known = {"label", "labels"} & set(active(self.recipe))
        return {label.problem: label for label in self.labels.rows} if known else {}

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

    @property
    def _screen(self) -> Screen:
        if self.recipe.screen is None:
            raise UsageError("the recipe has no `screen`", where="screen")
        return self.recipe.screen

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

    def _screening(self) -> object:
        more = [self.neighbors] if self._screen.neighbors else []
        return [self.screened, *more] if "label" in active(self.recipe) else [self.screened, *more, self.validity]

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
        spec = StepSpec(step, Validity, SCHEMA["validity"], {}, {name: table.digest for name, table in made.items()})
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


def _own_triple(seed: Seed) -> Rows:
    if seed.concepts:
        return [annotate.from_source(seed)]
    why = "it brings no concepts, and the recipe has no `annotate`"
    return [Dropped(id=seed.id, parents=(seed.id,), reason=Drop.BAD_ROW, detail=why, content=to_json(seed))]


def _set_of(triple: Triple) -> ConceptSet:
    return ConceptSet(id=triple.id, domain=triple.domain, concepts=triple.concepts, level=triple.level, prompt=triple.prompt)


def _digest(rows: Sequence[Record]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(to_json(row).encode(errors="surrogatepass"))
    return digest.hexdigest()[:32]
