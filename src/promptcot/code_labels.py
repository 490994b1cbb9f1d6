"""Labels of programming problems: a suite of unit tests, or the reason why there is none.

    problems --writer--> tests and generators --voter--> solutions --sandbox: vote, bars--> Label | dropped

What the writer says of outputs decides nothing, what solutions agree on does (`verify.unittests`). The vote table and the quality report
are the label's evidence, and a dropped row's content. The sandbox is tried before any model is asked.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial

from promptcot.attempts import by_problem, draws
from promptcot.code_suites import VALIDATED, limits_of, majority_of, programs_of, report, suite_of, tests_of
from promptcot.durable import canonical
from promptcot.engines.conversation import prompt_request
from promptcot.engines.protocol import Completion, Sampled, SampleRequest, Sampling
from promptcot.executors import Rows, Table, Task, Workplace, ask
from promptcot.labeling import Way, asking
from promptcot.licenses import combined
from promptcot.outcomes import Drop, LabelKind, Verdict, unfinished
from promptcot.recipe import Code
from promptcot.recipe import Label as Settings
from promptcot.records import Attempt, Dropped, Label, Problem, WrittenTests, inherited, record_id
from promptcot.roles import Role
from promptcot.sandbox.programs import Language, Program
from promptcot.sandbox.runners import Runner, chosen
from promptcot.statement_samples import samples
from promptcot.store import StepSpec
from promptcot.templates_annotation import Unusable
from promptcot.templates_tests import InputKind, asked_of, generator_prompt, parse_tests, writer_prompt
from promptcot.verify.ballots import Majority
from promptcot.verify.candidates import Candidate, generate
from promptcot.verify.program_text import extract
from promptcot.verify.unittests import Suite

SCHEMA = 1


def by_tests(
    place: Workplace, problems: Sequence[Problem], digest: str, voter: Role, writer: Role, settings: Settings, *, seed: int
) -> Way:
    """The writer's tests and the voter's solutions of these problems, made, and how they decide."""
    code, runner = settings.code, chosen(settings.code.runner)
    tests = written(place, problems, digest, writer, code, seed=seed, ready=runner)
    by_id = defaultdict[str, list[WrittenTests]](list)
    for row in tests.rows:
        by_id[row.problem].append(row)
    with_tests = [p for p in problems if p.id in by_id]
    solved = draws(
        place, "label/solutions", with_tests, tests.digest, voter, asking(settings), range(settings.votes), seed=seed, ready=runner
    )
    attempts = by_problem(solved.rows)
    license = combined(writer.license, voter.license)
    facts = {"code": code.model_dump(exclude={"runner", "writer"}), "seed": seed}

    def make(problem: Problem) -> Rows:
        if problem.id not in by_id:
            return [_dropped(problem, Drop.FEW_TESTS, "the writer gave no usable test", "{}")]
        trial = Trial(problem, by_id[problem.id], attempts[problem.id], code, seed)
        about = {"voter": voter.fingerprint, "writer": writer.fingerprint}
        return [trial.label(runner(), about, license or problem.license)]

    return Way(facts, {"tests": tests.digest, "solutions": solved.digest}, make)


# what the writer is asked


@dataclass(frozen=True)
class Wanted:
    """One reply to ask for: `count` tests of a kind, or a generator for so many seeds."""

    problem: Problem
    draw: int
    kind: InputKind
    count: int

    @property
    def prompt(self) -> str:
        """What the writer reads."""
        if self.kind is InputKind.GENERATED:
            return generator_prompt(self.problem.problem, self.count)
        return writer_prompt(self.problem.problem, self.kind, self.count)


def wanted(problem: Problem, code: Code) -> list[Wanted]:
    """The replies to ask for of a problem: the inputs spread over the rounds, then the generators."""
    asks = [*asked_of(code.tests), *[(InputKind.GENERATED, code.seeds)] * code.generators]
    return [Wanted(problem, draw, kind, count) for draw, (kind, count) in enumerate(asks)]


def written(
    place: Workplace, problems: Sequence[Problem], digest: str, writer: Role, code: Code, *, seed: int, ready: Callable[[], object]
) -> Table[WrittenTests]:
    """The step `label/tests_written`: every reply parsed, or dropped with the reason."""
    how = code.sample
    numbers = code.model_dump(include={"tests", "generators", "seeds", "chat"})
    facts = {"sample": how.model_dump(), **numbers, "seed": seed, "problems": [p.id for p in problems]}
    spec = StepSpec("label/tests_written", WrittenTests, SCHEMA, facts, {"writer": writer.digest, "problems": digest})

    def work(tasks: Iterator[Task[Wanted]]) -> Iterator[tuple[int, Rows]]:
        ready()
        with writer.open(place.meter) as engine:

            def request(task: Task[Wanted]) -> SampleRequest:
                item = task.item
                name = f"{item.problem.id} tests {item.draw}"
                return prompt_request(engine, name, item.prompt, (item.draw,), task.group, chat=code.chat)

            def rows(item: Wanted, reply: Sampled) -> Rows:
                return [written_of(item, reply.completions[0])]

            sampling = Sampling(how.temperature, how.top_p, how.max_tokens)
            yield from ask(tasks, request, partial(engine.sample, sampling=sampling, seed=seed), rows)

    items = [item for problem in problems for item in wanted(problem, code)]
    return place.rows(spec, items, work, shard_rows=max(1, writer.engine.committed_rows), journal=writer.served)


def written_of(item: Wanted, c: Completion) -> WrittenTests | Dropped:
    """A reply as a record, or why it cannot be used. Pairs beyond the number asked for are left out and count as malformed."""
    problem = item.problem
    facts = {**inherited(problem), "parents": (problem.id,)}
    identity = record_id("written_tests", (problem.id,), item.draw, c.text)
    made = partial(WrittenTests, id=identity, problem=problem.id, draw=item.draw, kind=item.kind.value, **facts)
    if why := unfinished(c.finish):
        unusable = Unusable(why, c.error or "cut by max_tokens")
    elif item.kind is InputKind.GENERATED:
        found = extract(c.text)
        if found is not None and found.language is Language.PYTHON:
            return made(program=found.source)
        unusable = Unusable(Drop.UNPARSABLE, "no Python program in a closed code block")
    else:
        parsed = parse_tests(c.text)
        if not isinstance(parsed, Unusable):
            pairs = [asdict(pair) for pair in parsed.pairs[: item.count]]
            extra = len(parsed.pairs) - len(pairs)
            return made(tests=canonical(pairs), malformed=parsed.malformed + extra)
        unusable = parsed
    detail = f"{item.kind}, draw {item.draw}: {unusable.why}"
    return Dropped(id=identity, reason=unusable.reason, detail=detail, content=c.text, **facts)


# what becomes of it


@dataclass(frozen=True)
class Trial:
    """One problem with what the models wrote for it."""

    problem: Problem
    written: Sequence[WrittenTests]
    attempts: Sequence[Attempt]
    code: Code
    seed: int

    def label(self, runner: Runner, about: Mapping[str, object], license: str) -> Label | Dropped:
        """Run, vote, examine."""
        problem, code = self.problem, self.code
        limits = limits_of(code)
        programs, silent = programs_of({a.draw: None if a.verdict == Verdict.TRUNCATED else a.text for a in self.attempts})
        generators = [Program(row.program, Language.PYTHON) for row in self.written if row.program]
        generated = generate(generators, range(1, code.seeds + 1), limits, runner, InputKind.GENERATED)
        suite = suite_of([*self._pairs(), *generated.candidates], programs, code, runner, seed=self.seed)
        sources = {
            "replies": len(self.written),
            "malformed": sum(row.malformed for row in self.written),
            "duplicates": suite.duplicates,
            "too_long": suite.too_long,
            "generator_runs": dict(generated.runs),
        }
        evidence = canonical({**about, **report(suite), "written": sources, "silent": silent})
        if against := contradicted(suite, majority_of(code)):
            return _dropped(problem, Drop.CONTRADICTION, against, evidence)
        if suite.why is not None:
            return _dropped(problem, suite.why, suite.detail, evidence)
        tests = canonical(tests_of(suite))
        return Label(
            id=record_id("label", (problem.id,), 0, tests),
            parents=(problem.id,),
            problem=problem.id,
            kind=LabelKind.TESTS,
            tests=tests,
            evidence=evidence,
            status=VALIDATED,
            **{**inherited(problem), "license": license},
        )

    def _pairs(self) -> list[Candidate]:
        shown = [Candidate(s.input, InputKind.SAMPLE, s.output) for s in samples(self.problem.problem) if s.from_stdin]
        return shown + [Candidate(t["input"], row.kind, t["output"]) for row in self.written if row.tests for t in json.loads(row.tests)]


def contradicted(suite: Suite, majority: Majority) -> str:
    """The first sample of the statement whose output is not what the solutions agree on; empty where there is none.

    An output that goes on where the sample ends is none: the reader of samples may have cut it."""
    for ballot in suite.poll.ballots:
        pile, claimed = ballot.winner(majority), (ballot.candidate.expected or "").split()
        if ballot.candidate.kind == InputKind.SAMPLE and pile is not None and pile.output.split()[: len(claimed)] != claimed:
            said, agreed = " ".join(claimed)[:80], " ".join(pile.output.split())[:80]
            return f"for its sample `{' '.join(ballot.candidate.input.split())[:80]}` it says `{said}`, its solutions `{agreed}`"
    return ""


def _dropped(problem: Problem, why: Drop, detail: str, evidence: str) -> Dropped:
    identity = record_id("dropped", (problem.id,), 0, f"{why} {evidence}")
    return Dropped(id=identity, parents=(problem.id,), reason=why, detail=detail, content=evidence, **inherited(problem))
