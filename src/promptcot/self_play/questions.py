"""What is attempted: labeled problems, human problems with an answer or tests, and procedural tasks, as one step of questions.

A question's `benchmark` says where it is from: `labeled`, `human`, or the procedural task. Its id is not the problem's, so that attempts
are not the draws that labeled it. Who brings nothing to be graded by is dropped, and so is what is beyond the wanted share or number.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from promptcot.executors import Table, Workplace, each
from promptcot.grading import question_of
from promptcot.outcomes import Drop, LabelKind, Split
from promptcot.procedural import Instances, version_here
from promptcot.recipe import SelfPlay
from promptcot.records import Dropped, Label, Problem, Question, Record, Seed, inherited, record_id
from promptcot.store import StepSpec

SCHEMA = 2
SHARD_ROWS = 2_000
LABELED, HUMAN = "labeled", "human"


@dataclass(frozen=True)
class Sources:
    """What questions are made of. `digest` stands for problems, labels and seeds."""

    problems: Sequence[Problem]
    labels: Sequence[Label]
    seeds: Sequence[Seed]
    digest: str


def questions(place: Workplace, sources: Sources, settings: SelfPlay, *, seed: int) -> Table[Question]:
    """The step `self_play/questions`, in the order of ids."""
    tasks = [Instances.of(name, None, f"self-play {seed}") for name in settings.tasks]
    facts = settings.model_dump(include={"human", "tasks", "rows"}) | {"seed": seed}
    if tasks:
        facts["package"] = version_here()
    spec = StepSpec("self_play/questions", Question, SCHEMA, facts, {"sources": sources.digest})
    made: list[Record] = [*_labeled(sources), *_human(sources.seeds)] if settings.human else _labeled(sources)
    made += [question for task in tasks for question in task.questions("math")]  # they want an answer, whatever the run is about
    rows = sorted(_mixed(made, settings, seed), key=lambda row: row.id)
    return place.rows(spec, rows, partial(each, make=lambda row: [row]), shard_rows=SHARD_ROWS)


def is_human(question: Question) -> bool:
    """Whether people wrote the problem."""
    return question.benchmark == HUMAN


def _labeled(sources: Sources) -> list[Record]:
    labels: dict[str, Label] = {}
    for label in sorted(sources.labels, key=lambda row: (row.kind != LabelKind.GOLD, row.id)):
        labels.setdefault(label.problem, label)
    rows = [_question(problem, LABELED, labels.get(problem.id)) for problem in sources.problems]
    known = {problem.id for problem in sources.problems}
    lost = [label for label in labels.values() if label.problem not in known]
    why = "it labels no problem that passes the screens"
    return [*rows, *(Dropped(id=row.id, parents=(row.id,), reason=Drop.BAD_ROW, detail=why, **inherited(row)) for row in lost)]


def _human(seeds: Sequence[Seed]) -> list[Record]:
    return [_question(seed, HUMAN, seed) for seed in seeds if seed.split == Split.TRAIN]


def _question(row: Problem | Seed, origin: str, known: Label | Seed | None) -> Question | Dropped:
    identity = record_id("question", (row.id,), 0, origin)
    found = question_of(row, known, id=identity, origin=origin) if known is not None else None
    if found is not None:
        return found
    answered = known is not None and bool(known.answer)
    why = "a program without tests" if row.domain == "code" and answered else "neither an answer nor tests"
    content = json.dumps({"problem": row.problem})
    return Dropped(id=identity, reason=Drop.NO_LABEL, detail=why, content=content, parents=(row.id,), **inherited(row))


def _mixed(made: Sequence[Record], settings: SelfPlay, seed: int) -> list[Record]:
    """The questions of the wanted mix; the others, dropped."""
    kept: dict[str, Question] = {row.id: row for row in made if isinstance(row, Question)}
    order = sorted(kept, key=lambda id_: hashlib.sha256(f"{seed} {id_}".encode()).hexdigest())
    groups = defaultdict[bool, list[str]](list)
    for id_ in order:
        groups[is_human(kept[id_])].append(id_)
    own, human = groups[False], groups[True]
    if settings.human == 1:
        own = []
    elif own:
        human = human[: round(len(own) * settings.human / (1 - settings.human))]
    chosen = {*own, *human}
    if settings.rows is not None and settings.rows < len(chosen):
        shared = round(settings.rows * len(human) / len(chosen))
        chosen = {*own[: settings.rows - shared], *human[:shared]}
    out: list[Record] = [row for row in made if not isinstance(row, Question)]
    return out + [row if row.id in chosen else _not_chosen(row) for row in kept.values()]


def _not_chosen(row: Question) -> Dropped:
    why = "beyond the wanted share or number of questions"
    return Dropped(id=row.id, reason=Drop.NOT_CHOSEN, detail=why, parents=row.parents, content=row.problem, **inherited(row))
