"""The stage `refine`: the generator, fitted on those of its own problems that are worth solving, for the next run.

    problems that pass the screens --label, band--> refine/in_band --diversity floor--> refine/chosen --fit, with replay--> refine/generator

A problem is worth fitting where it has a label and self-play's last round solved it as often as the band asks; that an attempt must be
firmly wrong is a need of pairs, not of problems. `refine/diversity` says how diverse they are before and after some are left out. Chosen
rows are triples (c, z, x): the next run can also take them as `inputs.triples`.

Unlike EM, whose candidates keep the ids that were sampled, the texts of problems are tokenized again: their table holds texts.
The paper does not refine its generator.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from promptcot.diversity import Balanced, Diversity, Item, Reference, rebalanced
from promptcot.errors import Stopped
from promptcot.executors import Table, Workplace, each
from promptcot.fitting import annotated_examples, fit_role
from promptcot.outcomes import Drop
from promptcot.recipe import Refine, Training
from promptcot.records import ChoiceDiversity, ConceptSet, Dropped, Label, PassRate, Problem, Question, Record, Triple, inherited, record_id
from promptcot.roles import Role
from promptcot.store import StepSpec
from promptcot.tables import dropped, to_json
from promptcot.triples import replayed

SCHEMA = 1
SHARD_ROWS = 2_000


@dataclass(frozen=True)
class Solved:
    """What is known of a run's problems: who has a label, the pass rates by problem, and the generator inputs that were given with concept
    sets, by the set. `digest` stands for problems, labels and rates."""

    problems: Sequence[Problem]
    labeled: frozenset[str]
    rates: Mapping[str, PassRate]
    prompts: Mapping[str, str]
    digest: str

    @classmethod
    def of(
        cls,
        problems: Table[Problem],
        labels: Table[Label] | None,
        questions: Table[Question],
        rates: Table[PassRate],
        sets: Sequence[ConceptSet],
    ) -> Solved:
        """From the tables of a round: a question's first parent is its problem."""
        of = {question.id: question.parents[0] for question in questions.rows if question.parents}
        by_problem = {of[rate.question]: rate for rate in rates.rows if rate.question in of}
        labeled = frozenset(row.problem for row in labels.rows) if labels else frozenset[str]()
        prompts = {row.id: row.prompt for row in sets if row.prompt is not None}
        return cls(problems.rows, labeled, by_problem, prompts, f"{problems.digest} {labels.digest if labels else '-'} {rates.digest}")


@dataclass(frozen=True)
class Choice:
    """The chosen triples, those in the band before some were left out, and how diverse both are."""

    in_band: Table[Triple]
    chosen: Table[Triple]
    figures: Table[ChoiceDiversity]

    def __str__(self) -> str:
        out = self.chosen.dropped.num_rows
        found = [f"{of.of}: repeated {of.repeated:.2f}, distinct {of.distinct:.2f}, pairs {of.pairs:.2f}" for of in self.figures.rows]
        return (
            f"refine: {self.in_band.arrow.num_rows} problems in the band, {out} of them left out as too alike, "
            f"{self.chosen.arrow.num_rows} chosen; {'; '.join(found)}"
        )


def choose(place: Workplace, solved: Solved, reference: Reference, settings: Refine, *, seed: int, with_rationale: bool = True) -> Choice:
    """The steps `refine/in_band`, `refine/diversity` and `refine/chosen`. Raises `Stopped` where nothing is in the band, and where the
    choice is below the floor and stays there; what came before is kept for a look."""
    rows = [_in_band(problem, solved, with_rationale=with_rationale) for problem in solved.problems]
    in_band: Table[Triple] = _step(place, "refine/in_band", Triple, rows, {"with_rationale": with_rationale}, solved.digest)
    if not in_band.arrow.num_rows:
        why = ", ".join(f"{reason} {n}" for reason, n in sorted(Counter(row.reason for row in in_band.drops).items()))
        raise Stopped(
            f"no problem to refine the generator on ({why or 'none was written'})", where="refine", remedy="more problems or attempts"
        )
    triples = {row.id: row for row in in_band.rows}
    floor = settings.floor
    done = rebalanced([Item(t.id, t.problem, t.concepts) for t in triples.values()], reference, floor, seed=seed)
    facts, digest = floor.model_dump() | {"seed": seed}, f"{in_band.digest} {reference.digest}"
    figures: Table[ChoiceDiversity] = _step(place, "refine/diversity", ChoiceDiversity, _figures(done), facts, digest)
    _require_floor(done, settings)
    made: list[Record] = [_crowded(row, done.left_out[id_]) if id_ in done.left_out else row for id_, row in triples.items()]
    return Choice(in_band, _step(place, "refine/chosen", Triple, made, facts, digest), figures)


def _step(
    place: Workplace, name: str, record: type[Record], rows: Sequence[Record], facts: Mapping[str, object], digest: str
) -> Table[Any]:
    spec = StepSpec(name, record, SCHEMA, dict(facts), {"rows": digest})
    ordered = sorted(rows, key=lambda row: row.id)
    return place.rows(spec, ordered, partial(each, make=lambda row: [row]), shard_rows=SHARD_ROWS)


def _in_band(problem: Problem, solved: Solved, *, with_rationale: bool) -> Triple | Dropped:
    rate, prompt = solved.rates.get(problem.id), next((solved.prompts[p] for p in problem.parents if p in solved.prompts), None)
    if problem.id not in solved.labeled:
        return dropped(problem, Drop.NO_LABEL, "it has no label")
    if rate is None:
        return dropped(problem, Drop.NOT_CHOSEN, "self-play did not attempt it")
    if why := _outside(rate):
        return dropped(problem, why, f"{rate.solved} of {rate.counted} attempts that count are right, {rate.planned} were planned")
    if not (problem.concepts or prompt) or (with_rationale and not problem.rationale):
        return dropped(problem, Drop.NO_DESIGN, "no rationale" if problem.concepts or prompt else "no concepts")
    return Triple(
        id=record_id("refined", (problem.id,), 0, problem.rationale),
        parents=(problem.id, rate.id),
        family=problem.id,
        concepts=problem.concepts,
        level=problem.level,
        rationale=problem.rationale if with_rationale else None,
        problem=problem.problem,
        annotator=problem.generator or "source",
        prompt=prompt,
        **inherited(problem),
    )


def _outside(rate: PassRate) -> Drop | None:
    """Why a problem is not in the band of difficulty. A band's last question is whether an attempt is firmly wrong, so where that is the
    reason and nothing is left to be drawn, the difficulty is right."""
    if rate.kept or (rate.why == Drop.NO_FIRM_FAILURE and not rate.censored):
        return None
    return Drop(rate.why)


def _figures(done: Balanced) -> list[ChoiceDiversity]:
    return [_row("in the band", done.before, len(done.left_out)), _row("chosen", done.after, 0)]


def _row(of: str, found: Diversity, left_out: int) -> ChoiceDiversity:
    return ChoiceDiversity(
        id=record_id("diversity", (), 0, of),
        of=of,
        problems=found.problems,
        left_out=left_out,
        repeated=found.repeated,
        distinct=found.distinct,
        pairs=found.pairs,
    )


def _require_floor(done: Balanced, settings: Refine) -> None:
    refuse = settings.floor.below == "refuse"
    misses = (done.before if refuse else done.after).misses(settings.floor)
    if misses:
        tried = "" if refuse else f", with {len(done.left_out)} of {done.before.problems} left out"
        raise Stopped(
            f"the problems to refine the generator on are too alike: {'; '.join(misses)}{tried}",
            where="refine.floor",
            remedy="`promptcot rows DIR refine/in_band` shows them; write more problems over more concepts, or lower the floor",
        )


def _crowded(row: Triple, why: str) -> Dropped:
    return Dropped(id=row.id, parents=(row.id,), reason=Drop.CROWDED, detail=why, content=to_json(row), **inherited(row))


def refined(
    place: Workplace,
    generator: Role,
    choice: Choice,
    rates: Mapping[str, PassRate],
    annotated: Sequence[Triple],
    settings: Refine,
    training: Training,
    *,
    seed: int,
    with_rationale: bool = True,
) -> Role:
    """The step `refine/generator`: p fitted to the chosen problems and a share of the `annotated` human triples, which keep weight 1 while
    those of the chosen have mean 1."""
    rows, start = choice.chosen.rows, generator.bare
    weight = _weights(rows, rates, settings)
    with start.open() as engine:
        segmenter = start.segmenter(engine)
        own = annotated_examples("generator", rows, segmenter, with_rationale=with_rationale)
        examples = [replace(example, weight=weight[example.id]) for example in own]
        replay = replayed(annotated, settings.replay, len(examples), seed)
        examples += annotated_examples("generator", replay, segmenter, with_rationale=with_rationale)
    return fit_role(place, "refine/generator", start, examples, settings.fit, training, seed=seed)


def _weights(rows: Sequence[Triple], rates: Mapping[str, PassRate], settings: Refine) -> dict[str, float]:
    """By the id of a chosen triple. p (1 - p) is 0 only where all attempts are right, which a band may allow; then all weigh alike."""
    if settings.weigh == "none":
        return {row.id: 1.0 for row in rows}
    raw = {row.id: (p := rates[row.parents[0]].rate) * (1 - p) for row in rows}
    mean = sum(raw.values()) / len(raw)
    return {id_: value / mean if mean else 1.0 for id_, value in raw.items()}
