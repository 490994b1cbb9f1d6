"""The verbs as Python functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from promptcot import code_suites, exporting, inspection, planning, screening
from promptcot.errors import UsageError
from promptcot.evaluation import asked, beside, standings, stored
from promptcot.evaluation.beside import Beside
from promptcot.evaluation.contest_rank import ContestElo, contest_elo
from promptcot.evaluation.stage import Evaluated
from promptcot.evaluation.tasks import stored as stored_questions
from promptcot.evaluation.tasks import writing
from promptcot.evaluation_texts import hashed_sets
from promptcot.executors import Watch
from promptcot.exporting.formats import Exported, Options
from promptcot.hashed_texts import HashedTexts
from promptcot.hashed_texts import write as write_hashes
from promptcot.inspection import Found, rows_of
from promptcot.lines import read_lines, read_text, write_lines
from promptcot.planning import Plan
from promptcot.planning.machines import planned_machine
from promptcot.planning.probe import probe as run_probe
from promptcot.previewing import Preview, preview_recipe
from promptcot.recipe import Evaluate, Input, Recipe, Sample, Screen
from promptcot.recipes import load, overridden, validate
from promptcot.records import CorpusFigure, Problem, Score
from promptcot.running import limited, open_recipe, report_beside, run_recipe
from promptcot.sandbox.limits import Limits
from promptcot.sandbox.runners import runner_at
from promptcot.screening import Screened, evaluation_resemblances
from promptcot.seeds import read_problems
from promptcot.store import Run
from promptcot.trials import Outcome, outcome
from promptcot.trials import asked as asked_trial
from promptcot.verify.algebra import where_possible
from promptcot.verify.answers import Policy, Verifier
from promptcot.verify.calibration import Threshold, calibrate
from promptcot.verify.programs import Judged, judge
from promptcot.verify.rows import compared, judged, voted
from promptcot.verify.suites import program_of, read_tests
from promptcot.verify.votes import Rule


@dataclass(frozen=True)
class OpenRun(Mapping[str, pa.Table]):
    """A run folder as a map from step (or stage: its last table) to Arrow table."""

    folder: Path

    def __getitem__(self, name: str) -> pa.Table:
        run = Run.open(self.folder)
        if name not in set(self) | {step.split("/")[0] for step in self}:
            raise KeyError(f"{name}; steps here: {', '.join(self)}")
        return inspection.table(run, name)

    def __iter__(self) -> Iterator[str]:
        return iter([step.name for step in inspection.steps(Run.open(self.folder)) if step.rows_in])

    def __len__(self) -> int:
        return sum(1 for _ in self)


def open(folder: str | Path) -> OpenRun:
    """Open a run folder for reading. Raises `UsageError` when it holds no run."""
    return OpenRun(Run.open(Path(folder)).path)


def run(
    recipe: str | Path,
    *,
    folder: str | Path | None = None,
    overrides: Sequence[str] = (),
    rows: int | None = None,
    only: str | None = None,
    until: str | None = None,
    keep: Sequence[str] = (),
    redo: Sequence[str] = (),
    watch: Watch | None = None,
) -> OpenRun:
    """Run or resume a recipe (a shipped name, a YAML file, or a run folder). Errors are `promptcot.errors`."""
    loaded, opened = open_recipe(str(recipe), Path(folder) if folder else None, overrides, rows)
    run_recipe(loaded, opened, only=only, until=until, keep=keep, redo=redo, watch=watch)
    return OpenRun(opened.path)


def status(folder: str | Path) -> dict[str, Any]:
    """The state of a run's stages; the `--json` output of `promptcot status`."""
    return inspection.status(Run.open(Path(folder)))


def explain(folder: str | Path, prefix: str) -> list[Found]:
    """The lineage of one row."""
    return inspection.explain(Run.open(Path(folder)), prefix)


def report(folder: str | Path, other: str | Path | None = None, *, out: str | Path | None = None) -> Path:
    """Write the report of a run anew, or with `other` a page that compares two runs (by default below the second). Returns the page's path.

    `out` names the page of a comparison; a run's own report has its place. Raises `UsageError`."""
    if other is not None:
        return report_beside(Path(folder), Path(other), out=Path(out) if out else None)
    if out is not None:
        raise UsageError("a run's own report has its place", where="out", remedy="leave it out, or name a second run")
    loaded, opened = open_recipe(str(Run.open(Path(folder)).path), None, (), None)
    run_recipe(loaded, opened, only="report")
    return opened.path / "report" / "index.html"


def preview(recipe: str | Path, *, n: int = 8, overrides: Sequence[str] = ()) -> list[Preview]:
    """A few rows through the real engines: what is read, what is scored, what comes back."""
    loaded: Recipe = load(recipe, overrides)
    return list(preview_recipe(loaded, n))


def plan(
    recipe: str | Path,
    *,
    gpu: str | None = None,
    gpus: int | None = None,
    rows: int | None = None,
    overrides: Sequence[str] = (),
    figures: Mapping[str, float] | None = None,
    probe: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> Plan:
    """What a recipe (a shipped name, a YAML file, or a run folder, whose rows are then used) will take, and what of it cannot be done.

    `gpu` is H100, H200, A100-80, L40S or CPU (default: the recipe's `plan`, else what is here), `figures` are values in place of the plan's
    own constants. `probe` sends 64 rows through the engines here and plans with the speeds found. Refusals are part of the plan
    (`Plan.refusals`, `planning.exit_code`). Raises `UsageError` for inputs that can neither be read nor counted."""
    known = None
    if (Path(recipe) / "run.json").is_file():
        opened = Run.open(Path(recipe))
        loaded = validate(overridden(opened.recipe, overrides), f"{recipe}/run.json")
        known = rows_of(opened)
    else:
        loaded = load(recipe, overrides)
    if rows is not None:
        loaded = limited(loaded, rows)
    machine = planned_machine(loaded, gpu, gpus)
    measured = None
    if probe:
        if machine != planning.here():
            raise UsageError(f"a probe measures this machine ({planning.here()}), not {machine}", where="--probe", remedy="leave one out")
        measured = run_probe(loaded, say=say)
    return planning.plan_recipe(loaded, machine, figures=figures, rows=known, measured=measured)


def screen(file: str | Path, *, settings: Screen | None = None, seeds: str | Path | None = None, domain: str = "math") -> Screened:
    """Screen the problems of a JSONL or parquet file, against human problems of another file where given.

    Rows that cannot be read are among the dropped ones; `resemblances` are what touches the evaluation sets. A judge and neighbors by
    embedding want a run."""
    settings = settings or Screen()
    given = read_problems([Input(path=str(file))], domain=domain, seed=0)
    humans: Sequence[Problem] = read_problems([Input(path=str(seeds))], domain=domain, seed=0).rows if seeds else ()
    found = evaluation_resemblances(given.rows, humans, settings)
    done = screening.screen(given.rows, humans, settings, found)
    return Screened(done.kept, [*given.dropped, *done.dropped], found)


def hash_texts(names: Sequence[str], out: str | Path, *, ngram: int = 13) -> list[HashedTexts]:
    """Hash evaluation sets into a parquet file that `screen.against` can name in their place, and that can be shared without the texts."""
    hashed = [one for name in names for one in hashed_sets(name, ngram)]
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    write_hashes(Path(out), hashed)
    return hashed


def _silent(text: str) -> None:
    pass


def verify_answers(
    rows: Iterable[Mapping[str, Any]], *, policy: Policy | None = None, say: Callable[[str], None] = _silent
) -> Iterator[dict[str, Any]]:
    """Verdicts on rows `{id, a, b}` (a reference, b prediction), in order: `equal`, `different`, `unknown`."""
    with where_possible(say) as algebra:
        yield from compared(rows, Verifier(policy or Policy(), algebra))


def calibrate_votes(
    rows: Iterable[Mapping[str, Any]], precision: float, *, policy: Policy | None = None, say: Callable[[str], None] = _silent
) -> Threshold:
    """From rows `{id, answer, samples}`, two at least: how many samples must agree for a wanted precision, and what that keeps."""
    with where_possible(say) as algebra:
        return calibrate(judged(rows, Verifier(policy or Policy(), algebra)), precision)


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found: every model at every benchmark with its attempts and grades, the scores, the settings, the run folder."""

    results: Sequence[Evaluated]
    scores: Sequence[Score]
    settings: Evaluate
    run: OpenRun


def evaluate(
    recipe: str | Path | None = None,
    *,
    model: str | None = None,
    benchmarks: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    served: str | None = None,
    key_env: str | None = None,
    seed: int = 0,
    folder: str | Path | None = None,
    overrides: Sequence[str] = (),
    keep: Sequence[str] = (),
    redo: Sequence[str] = (),
    watch: Watch | None = None,
    say: Callable[[str], None] = _silent,
) -> Evaluation:
    """Evaluate, or resume, by a recipe (or run folder) with a section `evaluate`; or a `model` on `benchmarks`, by `settings` as that
    section has them. `model` is a folder, an alias, a hub id or a server's address (`served` and `key_env` may name its model and key)."""
    target = Path(folder) if folder else None
    if recipe is not None:
        loaded, opened = open_recipe(str(recipe), target, overrides, None)
        until = "evaluate"
    else:
        named = [{"name": name} for name in benchmarks]
        loaded = asked.recipe(str(model), named, settings or {}, key_env=key_env, served=served, overrides=overrides, seed=seed)
        opened = Run.create(target or Path("runs") / loaded.name, loaded.model_dump(mode="json", by_alias=True))
        until = None
    say(f"run folder: {opened.path}")
    session = run_recipe(loaded, opened, until=until, keep=keep, redo=redo, watch=watch, say=say)
    assert loaded.evaluate is not None
    return Evaluation(session.evaluated, session.scores.rows, loaded.evaluate, OpenRun(opened.path))


def analyze(
    recipe: str | Path | None = None,
    *,
    corpora: Sequence[str] = (),
    embedder: str | None = "all-minilm-l6-v2",
    rows: int | None = None,
    folder: str | Path | None = None,
    overrides: Sequence[str] = (),
    redo: Sequence[str] = (),
    watch: Watch | None = None,
    say: Callable[[str], None] = _silent,
) -> list[CorpusFigure]:
    """What corpora are like, every number: those of a recipe (or run folder) with a section `analyze`, or `corpora` (benchmarks, files, run
    folders) by name, with a map by `embedder` where one is given. Raises `UsageError` for neither, or both."""
    if (recipe is None) == (not corpora):
        raise UsageError("give a recipe or run folder, or corpora", where="analyze", remedy="--corpus NAME, repeatable")
    target = Path(folder) if folder else None
    if recipe is not None:
        loaded, opened = open_recipe(str(recipe), target, overrides, None)
    else:
        section: dict[str, Any] = {"corpora": list(corpora)} | ({"rows": rows} if rows else {})
        models = {"embedder": {"path": embedder}} if embedder else {}
        data = {"schema": 1, "name": "analyze", "models": models, "inputs": {}, "analyze": section}
        loaded = validate(overridden(data, overrides), "analyze")
        opened = Run.create(target or Path("runs") / "analyze", loaded.model_dump(mode="json", by_alias=True))
    say(f"run folder: {opened.path}")
    session = run_recipe(loaded, opened, until="analyze" if recipe is not None else None, redo=redo, watch=watch, say=say)
    return [*session.analyzed.rows, *session.distances]


def trial(
    corpora: Sequence[str],
    *,
    benchmarks: Sequence[str] = (),
    student: str = "smollm2-135m-instruct",
    seeds: Sequence[int] = (0, 1, 2),
    settings: Mapping[str, Any] | None = None,
    evaluate: Mapping[str, Any] | None = None,
    folder: str | Path | None = None,
    overrides: Sequence[str] = (),
    redo: Sequence[str] = (),
    watch: Watch | None = None,
    say: Callable[[str], None] = _silent,
) -> Outcome:
    """Fit the same student on equal tokens of each corpus (run folders or files) and evaluate all on the same benchmarks; or resume.

    `settings` and `evaluate` are as those sections of a recipe have them. One corpus that is a finished trial's folder is read alone.
    Raises `UsageError` without a benchmark, and for a corpus that teaches nothing."""
    first = Path(corpora[0])
    if len(corpora) == 1 and not benchmarks and (first / "run.json").is_file():
        return outcome(Run.open(first))
    if not benchmarks:
        raise UsageError("a trial needs questions that no corpus holds", where="trial", remedy="--benchmark NAME; `promptcot benchmarks`")
    loaded = asked_trial.recipe(corpora, benchmarks, student, seeds, settings or {}, evaluate or {}, overrides)
    opened = Run.create(Path(folder) if folder else Path("runs") / loaded.name, loaded.model_dump(mode="json", by_alias=True))
    say(f"run folder: {opened.path}")
    run_recipe(loaded, opened, redo=redo, watch=watch, say=say)
    return outcome(opened, loaded.evaluate.level if loaded.evaluate else 0.95)


def compare(a: str | Path, b: str | Path, *, model_a: str | None = None, model_b: str | None = None, level: float = 0.95) -> Beside:
    """Two evaluations on the questions that both were asked, B less A, paired. Raises `UsageError` where they share no benchmark."""
    first, second = (stored.read(Run.open(Path(folder)), model) for folder, model in ((a, model_a), (b, model_b)))
    return beside.compare(first, second, level=level)


def contest_rating(
    folder: str | Path, standings_file: str | Path, *, benchmark: str, model: str | None = None, level: float = 0.95
) -> ContestElo:
    """The rating of an evaluated model from its place in contests of people, whose standings a file has (see `evaluation.standings`)."""
    found = {one.benchmark: one for one in stored.read(Run.open(Path(folder)), model)}
    if benchmark not in found:
        raise UsageError(f"no benchmark `{benchmark}` was evaluated", where=str(folder), remedy=f"here: {', '.join(found)}")
    contests = standings.read(Path(standings_file))
    return contest_elo(standings.played(contests, found[benchmark].questions, found[benchmark]), level=level)


def export_benchmark(
    benchmark: str,
    to: str,
    folder: str | Path,
    *,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    domain: str = "math",
    overrides: Sequence[str] = (),
) -> writing.Exported:
    """Write a benchmark as a task for another tool, `lm-eval` or `inspect-ai`, with our prompts and our verifier.

    `settings` and `overrides` are of a recipe's section `evaluate`: samples, rows, sample, fallback, limits. Raises `UsageError` for a
    benchmark that cannot be graded."""
    found = stored_questions.evaluate_settings([benchmark], settings or {}, overrides, where="evaluate")
    return writing.export(found, to, Path(folder), seed=seed, domain=domain)


def export(
    source: str | Path,
    to: str,
    out: str | Path,
    *,
    allow: Sequence[str] = (),
    model: str | None = None,
    sample: Mapping[str, Any] | None = None,
    role: str | None = None,
    domain: str = "math",
) -> Exported:
    """Write what a run folder or a file holds as `to` (see `exporting.FORMATS`; `model`: the weights of `role`), with only the licenses in
    `allow` where it names some. `model` and `sample` are of an OpenAI batch. Raises `UsageError` where there is nothing to write."""
    options = Options(model, Sample(**{"max_tokens": 4096, **(sample or {})}), role)
    return exporting.export(Path(source), to, Path(out), allow=allow, options=options, domain=domain)


def label(
    source: str | Path, target: str | Path, *, overrides: Sequence[str] = (), say: Callable[[str], None] = _silent
) -> list[dict[str, Any]]:
    """Label the rows of a JSONL file and write what comes out, in order: votes over `{id, samples}`, each with its whole table, and suites
    of unit tests from `{id, samples, tests}`, each with its evidence (see `code_suites`). `overrides` are a recipe's: `label.agree=6`.

    Raises `UsageError` naming the line, `MissingHere` where rows have tests and there is no sandbox; nothing is written then."""
    bare = {"schema": 1, "name": "label", "inputs": {}, "label": {}}
    settings = validate(overridden(bare, overrides), "--set").label
    assert settings is not None
    given = list(read_lines(Path(source), {"id": (str, int), "samples": list}, code_suites.wrong_with))
    runner = runner_at(settings.code.runner or "") if any(map(code_suites.is_code, given)) else None
    with where_possible(say) as algebra:
        votes = voted(
            (row for row in given if not code_suites.is_code(row)), Rule(settings.agree, settings.margin), Verifier(algebra=algebra)
        )
        found = [code_suites.labeled(row, settings.code, runner) if runner and code_suites.is_code(row) else next(votes) for row in given]
    write_lines(Path(target), found)
    return found


def run_program(
    program: str | Path,
    tests: object,
    *,
    language: str = "auto",
    function: str = "",
    limits: Limits | None = None,
    runner: str = "",
) -> Judged:
    """Run an untrusted program on all its tests, in the sandbox of this machine or at a `runner`'s address.

    `program` is source text, or the `Path` of a file; `tests` are in a form of `verify.suites` (a list of `{"input", "output"}`, JSON text,
    ...), or the `Path` of a file. `language` is `auto`, `python` or `cpp17`; `function` is a Python function that is called in place of
    stdin and stdout. Raises `UsageError` for what cannot be read, `MissingHere` where there is no sandbox."""
    source = read_text(program) if isinstance(program, Path) else program
    suffix = program.suffix if isinstance(program, Path) else ""
    given, where = (read_text(tests), str(tests)) if isinstance(tests, Path) else (tests, "tests")
    found = read_tests(given, function=function, where=where)
    chosen = program_of(source, language=language, function=found.function, suffix=suffix)
    return judge(chosen, found.rows, limits or Limits(), runner=runner_at(runner))
