"""The command line: thin shells over the Python functions. Results on stdout, talk on stderr, exit codes as `errors` says.

Everything heavy is imported inside the verbs, so that `--help` answers at once.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from promptcot import __version__, cli_analyze, cli_evaluate, cli_export, cli_verify
from promptcot.errors import PromptcotError

if TYPE_CHECKING:
    from promptcot.previewing import Preview

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help="PromptCoT 2.0: learn to write training problems."
)

RunOption = Annotated[Path | None, typer.Option("--run", help="Run folder; default runs/<name>.")]
RowsOption = Annotated[int | None, typer.Option("--rows", min=1, help="At most so many rows of every input, concept sets, and questions.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="Override a recipe key: em.rounds=2. Repeatable.")]
KeepOption = Annotated[list[str] | None, typer.Option("--keep", help="Keep a stage's result although its settings changed.")]
RedoOption = Annotated[list[str] | None, typer.Option("--redo", help="Redo a stage, and what follows, after its settings changed.")]
DataOption = Annotated[
    Path | None, typer.Option("--data", envvar="PROMPTCOT_DATA", help="Folder of outside data, searched after the current one.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
WatchOption = Annotated[bool, typer.Option("--watch", help="Again every 2 s until all is done.")]
DirArgument = Annotated[Path, typer.Argument(metavar="DIR", help="A run folder.")]


def say(text: str) -> None:
    """Talk to the person."""
    print(text, file=sys.stderr, flush=True)


@app.callback(invoke_without_command=True)
def version(show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """PromptCoT 2.0: learn to write training problems."""
    if show:
        print(__version__)
        raise typer.Exit


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE|DIR", help="A recipe by name or path, or a run folder to resume.")],
    folder: RunOption = None,
    only: Annotated[str | None, typer.Option(help="Run this stage alone; those before it must be done.")] = None,
    until: Annotated[str | None, typer.Option(help="Stop after this stage.")] = None,
    rows: RowsOption = None,
    overrides: SetOption = None,
    keep: KeepOption = None,
    redo: RedoOption = None,
    data: DataOption = None,
) -> None:
    """Run or resume a recipe."""
    _run(recipe, folder, only, until, rows, overrides, keep, redo, data)


@app.command()
def demo(
    folder: RunOption = None, rows: RowsOption = None, overrides: SetOption = None, keep: KeepOption = None, redo: RedoOption = None
) -> None:
    """Run the packaged recipe `demo` to its report: one round of EM with the embedded 135M model."""
    _run("demo", folder, None, None, rows, overrides, keep, redo, None)


def _run(
    recipe: str,
    folder: Path | None,
    only: str | None,
    until: str | None,
    rows: int | None,
    overrides: Sequence[str] | None,
    keep: Sequence[str] | None,
    redo: Sequence[str] | None,
    data: Path | None,
) -> None:
    _look_in(data)
    from promptcot.progress import ProgressPrinter, clock
    from promptcot.running import BANNERS, open_recipe, run_recipe

    loaded, opened = open_recipe(recipe, folder, overrides or (), rows)
    say(f"run folder: {opened.path}")
    if loaded.name in BANNERS:
        say(BANNERS[loaded.name])
    started = time.monotonic()
    run_recipe(loaded, opened, only=only, until=until, keep=keep or (), redo=redo or (), watch=ProgressPrinter(), say=say)
    say(f"done in {clock(time.monotonic() - started)}")
    page = opened.path / "report" / "index.html"
    print(page if page.is_file() and not only and not until else opened.path)


def _look_in(data: Path | None) -> None:
    if data is not None:
        os.environ["PROMPTCOT_DATA"] = str(data)


def _stage_verb(stage: str, text: str) -> None:
    def verb(
        recipe: Annotated[str, typer.Argument(metavar="RECIPE|DIR")],
        folder: RunOption = None,
        rows: RowsOption = None,
        overrides: SetOption = None,
        keep: KeepOption = None,
        redo: RedoOption = None,
        data: DataOption = None,
    ) -> None:
        _run(recipe, folder, stage, None, rows, overrides, keep, redo, data)

    verb.__doc__ = f"{text} The same as `run --only {stage}`."
    app.command(stage.replace("_", "-"))(verb)


_stage_verb("annotate", "Concepts and rationales for seeds.")
_stage_verb("cold_start", "Fit p0 and q0 on annotated triples.")
_stage_verb("em", "Expectation-maximization over rationales.")
_stage_verb("synthesize", "New problems over fresh concept sets.")
_stage_verb("distill", "Traces of a teacher for the run's problems, and a student fitted on them.")


@app.command()
def screen(
    recipe: Annotated[str | None, typer.Argument(metavar="[RECIPE|DIR]")] = None,
    source: Annotated[Path | None, typer.Option("--in", help="Screen the problems of a JSONL or parquet file instead of a run.")] = None,
    target: Annotated[Path | None, typer.Option("--out", help="Where kept problems go; dropped ones go to OUT.dropped.jsonl.")] = None,
    against: Annotated[list[str] | None, typer.Option(help="Evaluation sets beside --in: human-eval, JSONL, hashes. Repeatable.")] = None,
    seeds: Annotated[Path | None, typer.Option(help="Human problems beside --in that must not be copied.")] = None,
    folder: RunOption = None,
    rows: RowsOption = None,
    overrides: SetOption = None,
    keep: KeepOption = None,
    redo: RedoOption = None,
    data: DataOption = None,
) -> None:
    """Duplicates, contamination, leak and well-posedness: of a run (`run --only screen`) or of a file (--in, --out); with --against,
    OUT.evidence.jsonl has both texts of whatever touches an evaluation set."""
    from promptcot.errors import UsageError

    if not _of_file("screen", recipe, source, target):
        if against or seeds:
            raise UsageError(
                "--against and --seeds go with --in", where="screen", remedy="in a recipe they are screen.against and inputs.seeds"
            )
        _run(str(recipe), folder, "screen", None, rows, overrides, keep, redo, data)
    elif source and target:
        _look_in(data)
        _screen_file(source, target, against or [], seeds, overrides or [])


def _of_file(verb: str, recipe: str | None, source: Path | None, target: Path | None) -> bool:
    """Whether a verb is asked to work on a file, not on a run. Raises `UsageError` for half of one, or both."""
    from promptcot.errors import UsageError

    given = (recipe is not None, source is not None, target is not None)
    if given not in ((True, False, False), (False, True, True)):
        raise UsageError("give a recipe or run folder, or both --in and --out", where=verb)
    return recipe is None


@app.command()
def hash_texts(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Evaluation sets: human-eval or JSONL files.")],
    target: Annotated[Path, typer.Option("--out", help="A .parquet file, for `screen.against` or `--against`.")],
    ngram: Annotated[int, typer.Option(help="Length of the runs that mean contamination, as in `screen.ngram`.")] = 13,
    data: DataOption = None,
) -> None:
    """Hash evaluation sets, so that problems can be screened against them where the texts are not, or must not be."""
    from promptcot import api
    from promptcot.errors import UsageError

    _look_in(data)
    if target.suffix != ".parquet":
        raise UsageError(f"`{target}` would not be recognized", where="--out", remedy="name it *.parquet")
    for hashed in api.hash_texts(names, target, ngram=ngram):
        say(f"{hashed.name}: {hashed.count} texts")
    print(target)


def _screen_file(source: Path, target: Path, against: list[str], seeds: Path | None, overrides: list[str]) -> None:
    from promptcot import api
    from promptcot.recipes import overridden, validate
    from promptcot.records import Record
    from promptcot.tables import to_json

    bare = {"schema": 1, "name": "screen", "inputs": {}, "screen": {"against": against}}
    done = api.screen(source, settings=validate(overridden(bare, overrides), "--set").screen, seeds=seeds)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside: dict[str, Sequence[Record]] = {"": done.kept, ".dropped.jsonl": done.dropped}
    beside |= {".evidence.jsonl": done.resemblances} if against else {}
    for ending, found in beside.items():
        target.with_name(target.name + ending).write_text("".join(to_json(row) + "\n" for row in found), encoding="utf-8")
    reasons = Counter(row.reason for row in done.dropped)
    say(f"kept {len(done.kept)}, dropped {len(done.dropped)}" + "".join(f", {reason} {n}" for reason, n in sorted(reasons.items())))
    print(target)


@app.command()
def label(
    recipe: Annotated[str | None, typer.Argument(metavar="[RECIPE|DIR]")] = None,
    source: Annotated[Path | None, typer.Option("--in", help="Label a JSONL file: rows {id, samples}; for programs also `tests`.")] = None,
    target: Annotated[Path | None, typer.Option("--out", help="Where labels go, in order; rows without one say why.")] = None,
    folder: RunOption = None,
    rows: RowsOption = None,
    overrides: SetOption = None,
    keep: KeepOption = None,
    redo: RedoOption = None,
    data: DataOption = None,
) -> None:
    """Labels of a run (`run --only label`) or of a file (--in, --out): answers by vote over `samples`; for rows with `tests`, a list of
    {input, output?}, samples are programs, and the tests that they agree on are checked and kept. Settings: `--set label.agree=6`,
    `--set label.code.bars.tests=3`. Exit code 5 for rows with tests where there is no sandbox."""
    if not _of_file("label", recipe, source, target):
        _run(str(recipe), folder, "label", None, rows, overrides, keep, redo, data)
    elif source and target:
        from promptcot import api

        counts = Counter(row["status"] for row in api.label(source, target, overrides=overrides or [], say=say))
        say(", ".join(f"{status} {count}" for status, count in sorted(counts.items())))
        print(target)


_stage_verb("self_play", "The solver's attempts at labeled problems, pairs of them, and a better solver.")
_stage_verb("refine", "The generator fitted on its own problems that self-play found worth solving, for the next run.")


@app.command()
def preview(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE")],
    n: Annotated[int, typer.Option("-n", min=1, help="Rows per role.")] = 8,
    overrides: SetOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """A few rows through the real engines: the exact text, the loss mask, the raw completion, what was parsed."""
    from promptcot import api

    _look_in(data)
    shown = api.preview(recipe, n=n, overrides=overrides or ())
    if as_json:
        _json({"schema": 1, "rows": [row.__dict__ for row in shown]})
        return
    for row in shown:
        print(_preview_text(row))


@app.command()
def plan(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE|DIR", help="A recipe by name or path, or a run folder, whose rows are then used.")
    ],
    gpu: Annotated[str | None, typer.Option(help="H100, H200, A100-80, L40S or CPU; default: the recipe's, else what is here.")] = None,
    gpus: Annotated[int | None, typer.Option(min=1, help="How many of them.")] = None,
    probe: Annotated[bool, typer.Option("--probe", help="Send 64 rows through the engines here and plan with their speeds.")] = False,
    figures: Annotated[list[str] | None, typer.Option("--figure", help="Set a planning figure: rationale_tokens=400. Repeatable.")] = None,
    rows: RowsOption = None,
    overrides: SetOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tokens, hours, memory, disk and cost of a recipe, and what of it cannot be done: exit code 2 (the recipe), 5 (the machine) or 4 (a
    budget)."""
    from promptcot import api
    from promptcot.planning import beside, exit_code, shown
    from promptcot.store import Run

    _look_in(data)
    done = api.plan(recipe, gpu=gpu, gpus=gpus, rows=rows, overrides=overrides or (), figures=_figures(figures or ()), probe=probe, say=say)
    if as_json:
        _json(shown.as_json(done))
    else:
        print(shown.as_text(done))
        if (Path(recipe) / "run.json").is_file():
            print("\n".join(beside.lines(done, Run.open(Path(recipe)))))
    if code := exit_code(done.refusals):
        raise typer.Exit(code)


def _figures(given: Sequence[str]) -> dict[str, float]:
    from promptcot.errors import UsageError

    found = {}
    for text in given:
        name, _, value = text.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            raise UsageError(f"`{text}` is not NAME=NUMBER", where="--figure", remedy="for example --figure rationale_tokens=400") from None
    return found


def _preview_text(row: Preview) -> str:
    rule = f"--- {row.role}  {row.id}  prefix {row.tokens[0]} tokens, scored {row.tokens[1]} tokens "
    parts = (("trained on (only what follows a bar `|` is scored)", row.trained), ("reads", row.prefix), ("answers", row.completion))
    body = "\n".join(f"[{name}]\n{text}" for name, text in parts if text)
    return f"{rule}\n{body}\n[parsed]\n{row.parsed}\n"


@app.command()
def status(folder: DirArgument, as_json: JsonOption = False, watch: WatchOption = False) -> None:
    """The stages of a run, their rows and drops, and what they have used."""
    from promptcot import api

    while True:
        found = api.status(folder)
        if as_json:
            _json(found)
        else:
            _print_status(found)
        if not watch or all(stage["state"] == "done" for stage in found["stages"]):
            return
        time.sleep(2)


def _print_status(found: dict[str, Any]) -> None:
    used = f"{'tokens':>11} {'usd':>8} {'gpu h':>7} {'hours':>7}"
    print(f"{'stage':<12} {'state':<8} {'in':>7} {'out':>7} {'seconds':>9} {used}  dropped")
    for stage in found["stages"]:
        drops = ", ".join(f"{reason} {n}" for reason, n in stage["dropped"].items())
        counts = f"{stage['rows_in']:>7} {stage['rows_out']:>7} {stage['seconds']:>9.1f}"
        print(f"{stage['name']:<12} {stage['state']:<8} {counts} {_used_text(stage['usage'])}  {drops}".rstrip())
    print(f"{'in all':<46} {_used_text(found['usage'])}")
    for limit in found["budget"]:
        print(f"{limit['limit']}: {limit['used']:,.4g} of {limit['allowed']:,.4g} used")


def _used_text(stored: dict[str, float]) -> str:
    """Tokens, dollars, GPU-hours and hours of work in columns; blank what was not used."""
    from promptcot.budgets import measured
    from promptcot.usage import Usage

    used, widths = measured(Usage.of(stored)), {"tokens": "11,.0f", "usd": "8,.2f", "gpu_hours": "7,.2f", "wall_hours": "7,.2f"}
    return " ".join(format(used[unit], width) if used[unit] else " " * int(width.partition(",")[0]) for unit, width in widths.items())


@app.command()
def rows(
    folder: DirArgument,
    step: Annotated[str, typer.Argument(metavar="STAGE", help="A stage or step, as `status --json` names them.")],
    dropped: Annotated[str | None, typer.Option(help="Show the rows dropped for this reason (`all`: any).")] = None,
    n: Annotated[int, typer.Option("-n", min=1, help="How many.")] = 10,
) -> None:
    """Rows of a stage as JSON lines, or what it dropped and why."""
    import pyarrow.compute as pc

    from promptcot import inspection
    from promptcot.store import Run

    found = inspection.table(Run.open(folder), step, dropped=dropped is not None)
    if dropped is not None:
        reasons = Counter(found["reason"].to_pylist())
        say("dropped here: " + (", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items())) or "nothing"))
        if dropped != "all":
            found = found.filter(pc.field("reason") == dropped)
    for row in found.slice(0, n).to_pylist():
        print(json.dumps(row, ensure_ascii=False))
    say(f"{min(n, found.num_rows)} of {found.num_rows} rows")


@app.command()
def explain(folder: DirArgument, row_id: Annotated[str, typer.Argument(metavar="ID", help="An id or the beginning of one.")]) -> None:
    """A row and all it descends from."""
    from promptcot import api
    from promptcot.inspection import shown

    for found in api.explain(folder, row_id):
        print(f"--- {found.step}{' (dropped)' if found.dropped else ''}\n{shown(found.row)}")


@app.command()
def report(
    folder: DirArgument,
    other: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="A second run: compare it with the first, on one page.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Of a comparison: the page (default SECOND/report/beside-FIRST.html).")] = None,
) -> None:
    """Write the report of a run anew, or a page that compares two runs, and print its path."""
    from promptcot import api

    print(api.report(folder, other, out=out))


@app.command()
def models(fetch: Annotated[list[str] | None, typer.Option(help="Fetch and convert this alias now (`all`: every one).")] = None) -> None:
    """The models known by a short name; any folder or hub id works as well."""
    from promptcot import models as store

    for alias in store.aliases():
        if fetch and (alias.name in fetch or "all" in fetch):
            say(f"fetching {alias.name} ...")
            store.fetch(alias.name)
    unknown = set(fetch or ()) - {alias.name for alias in store.aliases()} - {"all"}
    for name in unknown:
        store.fetch(name)
    for alias in store.aliases():
        print(f"{alias.name:<24} {alias.license:<12} {alias.size // 1_000_000:>4} MB  {store.status(alias.name):<7} {alias.folder}")


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """What works on this machine, and the command that mends what does not. Exit code 5 when something the demo needs is missing."""
    from promptcot.doctor import SCHEMA, checks

    found = checks()
    if as_json:
        _json({"schema": SCHEMA, "checks": [check.__dict__ for check in found]})
    else:
        for check in found:
            print(f"{'ok' if check.ok else 'NO' if check.required else '--'}  {check.name:<24} {check.found}")
            if not check.ok:
                print(f"      for {check.needed_for}: {check.remedy}")
    if not all(check.ok for check in found if check.required):
        raise typer.Exit(5)


cli_verify.register(app)
cli_evaluate.register(app)
cli_analyze.register(app)
cli_export.register(app)


def _json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=1))


def main() -> None:
    """Entry point: known errors become a message and their exit code."""
    import logging

    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("promptcot").setLevel(logging.INFO)
    try:
        app()
    except PromptcotError as error:
        say(f"error: {error}")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
