"""Verbs that analyze: corpora beside one another, finished runs beside one another, a trial of corpora on a small student."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("analyze")(analyze)
    app.command("curves")(curves)
    app.command("trial")(trial)


def trial(
    a: Annotated[str, typer.Argument(metavar="A|DIR", help="A corpus: a run folder or a file with solutions. Or a trial's folder alone.")],
    b: Annotated[str | None, typer.Argument(metavar="B", help="Another; without it, a curve over --share of A.")] = None,
    seeds: Annotated[int, typer.Argument(metavar="[SEEDS]", min=1, help="How many draws and fits of each.")] = 3,
    benchmark: Annotated[list[str] | None, typer.Option("--benchmark", help="Held-out questions; see `benchmarks`. Repeatable.")] = None,
    student: Annotated[str, typer.Option("--student", help="Alias, folder or hub id of the model that learns.")] = "smollm2-135m-instruct",
    tokens: Annotated[int | None, typer.Option("--tokens", min=1, help="Tokens of solutions of each; default: the smaller one's.")] = None,
    share: Annotated[list[float] | None, typer.Option("--share", help="A part of the tokens, for a curve: 0.25. Repeatable.")] = None,
    epochs: Annotated[float, typer.Option("--epochs", help="Passes over the texts.")] = 2.0,
    lr: Annotated[float, typer.Option("--lr", help="Peak learning rate.")] = 2e-5,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Texts per optimizer step.")] = 16,
    rows: Annotated[int | None, typer.Option("--rows", min=1, help="At most so many questions of each benchmark.")] = None,
    samples: Annotated[int, typer.Option("--samples", min=1, help="Attempts a question.")] = 4,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, help="Of an attempt.")] = 512,
    folder: Annotated[Path | None, typer.Option("--run", help="Run folder; default runs/trial-A-B.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="Override a recipe key: training.max_tokens=512.")] = None,
    redo: Annotated[list[str] | None, typer.Option("--redo", help="Redo a stage, and what follows, after its settings changed.")] = None,
    data: Annotated[Path | None, typer.Option("--data", envvar="PROMPTCOT_DATA", help="Folder of outside data.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Is a corpus worth it? The same student fitted on equal tokens of A and of B, and B less A on the same held-out questions, paired.

    Interrupted, the same command goes on; with a trial's folder alone its outcome is printed again."""
    from promptcot import api
    from promptcot.progress import ProgressPrinter, say
    from promptcot.trials import as_json as json_of
    from promptcot.trials import as_text

    if data is not None:
        os.environ["PROMPTCOT_DATA"] = str(data)
    settings = {"tokens": tokens, "epochs": epochs, "lr": lr, "batch": batch, "shares": sorted({*(share or ()), 1.0})}
    if share:
        settings["same"] = ["epochs", "steps"]
    found = api.trial(
        [name for name in (a, b) if name is not None],
        benchmarks=benchmark or (),
        student=student,
        seeds=range(seeds),
        settings=settings,
        evaluate={"samples": samples, "rows": rows, "sample": {"temperature": 0.6, "top_p": 0.95, "max_tokens": max_tokens}},
        folder=folder,
        overrides=overrides or (),
        redo=redo or (),
        watch=ProgressPrinter(),
        say=say,
    )
    print(json.dumps(json_of(found), ensure_ascii=False, indent=1) if as_json else as_text(found))


def analyze(
    recipe: Annotated[str | None, typer.Argument(metavar="[RECIPE|DIR]")] = None,
    corpus: Annotated[list[str] | None, typer.Option("--corpus", help="Without a recipe: a benchmark, file or run folder.")] = None,
    embedder: Annotated[str | None, typer.Option("--embedder", help="With --corpus: the model of the map.")] = "all-minilm-l6-v2",
    rows: Annotated[int | None, typer.Option("--rows", min=4, help="At most so many texts of each corpus.")] = None,
    folder: Annotated[Path | None, typer.Option("--run", help="Run folder; default runs/<name>.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="Override a recipe key: analyze.halves=50. Repeatable.")] = None,
    redo: Annotated[list[str] | None, typer.Option("--redo", help="Redo a stage, and what follows, after its settings changed.")] = None,
    data: Annotated[Path | None, typer.Option("--data", envvar="PROMPTCOT_DATA", help="Folder of outside data.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Difficulty, diversity and a map of corpora: those of a recipe with `analyze`, or those named by --corpus."""
    from promptcot import api
    from promptcot.analysis.shown import as_json as json_of
    from promptcot.analysis.shown import as_text
    from promptcot.progress import ProgressPrinter, say

    if data is not None:
        os.environ["PROMPTCOT_DATA"] = str(data)
    found = api.analyze(
        recipe,
        corpora=corpus or (),
        embedder=embedder,
        rows=rows,
        folder=folder,
        overrides=overrides or (),
        redo=redo or (),
        watch=ProgressPrinter(),
        say=say,
    )
    print(json.dumps(json_of(found), ensure_ascii=False, indent=1) if as_json else as_text(found))


def curves(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Run folders; the others are held against the first.")],
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """EM by round, and what cold start and EM did: finished runs beside one another."""
    from promptcot.analysis import curves as shown
    from promptcot.store import Run

    runs = [Run.open(folder) for folder in folders]
    print(json.dumps(shown.as_json(runs), ensure_ascii=False, indent=1) if as_json else shown.as_text(runs))
