"""Verbs that evaluate: a model on benchmarks, two evaluations against each other, what benchmarks there are; benchmarks for other tools."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import Annotated

import typer

from promptcot.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("evaluate")(evaluate)
    app.command("compare")(compare)
    app.command("contest-rating")(contest_rating)
    app.command("benchmarks")(benchmarks)
    app.command("export-benchmark")(export_benchmark)


def evaluate(
    recipe: Annotated[str | None, typer.Argument(metavar="[RECIPE|DIR]", help="A recipe with `evaluate`, or a run folder.")] = None,
    benchmark: Annotated[
        list[str] | None,
        typer.Option("--benchmark", help="NAME (see `benchmarks`), reasoning-gym:TASK or FILE.jsonl. Repeatable."),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="A folder, an alias, a hub id, or a server's http://HOST:PORT/v1.")] = None,
    samples: Annotated[int, typer.Option("--samples", min=1, help="Attempts a question.")] = 1,
    rows: Annotated[int | None, typer.Option("--rows", min=1, help="At most so many questions of each benchmark.")] = None,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 is greedy.")] = 0.6,
    top_p: Annotated[float, typer.Option("--top-p", min=0.01, max=1.0, help="Nucleus.")] = 0.95,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, help="Longest attempt.")] = 4096,
    tries: Annotated[bool, typer.Option("--tries", help="One try after another; a question ends when it is solved.")] = False,
    corpus: Annotated[list[str] | None, typer.Option("--corpus", help="Training texts (JSONL) to look for the questions in.")] = None,
    chat: Annotated[bool, typer.Option(help="Use the model's chat template.")] = True,
    served: Annotated[str | None, typer.Option("--served", help="Which of a server's models; default: the first it lists.")] = None,
    key_env: Annotated[str | None, typer.Option("--key-env", help="Environment variable with the server's key.")] = None,
    seed: Annotated[int, typer.Option(help="All randomness derives from it.")] = 0,
    folder: Annotated[Path | None, typer.Option("--run", help="Run folder; default runs/evaluate-BENCHMARK-MODEL.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="A recipe key: evaluate.fallback=none. Repeatable.")] = None,
    keep: Annotated[list[str] | None, typer.Option("--keep", help="Keep a stage's result although its settings changed.")] = None,
    redo: Annotated[list[str] | None, typer.Option("--redo", help="Redo a stage, and what follows, after its settings changed.")] = None,
    data: Annotated[Path | None, typer.Option("--data", envvar="PROMPTCOT_DATA", help="Folder with benchmark files.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Score a model on benchmarks: attempts, verdicts, figures with intervals. Of a recipe or run, or by --benchmark and --model."""
    from promptcot import api
    from promptcot.evaluation import shown
    from promptcot.progress import ProgressPrinter, say

    if (recipe is None) == (benchmark is None) or (recipe is None) != (model is not None):
        raise UsageError("give a recipe or run folder, or both --benchmark and --model", where="evaluate")
    if data is not None:
        os.environ["PROMPTCOT_DATA"] = str(data)
    sample = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens}
    settings = {"samples": samples, "tries": tries, "corpus": corpus or [], "chat": chat, "sample": sample, "rows": rows}
    found = api.evaluate(
        recipe,
        model=model,
        benchmarks=benchmark or (),
        settings=settings,
        served=served,
        key_env=key_env,
        seed=seed,
        folder=folder,
        overrides=overrides or (),
        keep=keep or (),
        redo=redo or (),
        watch=ProgressPrinter(),
        say=say,
    )
    parts = (found.results, found.scores, found.settings)
    if as_json:
        print(json.dumps({**shown.as_json(*parts), "run": str(found.run.folder)}, ensure_ascii=False, indent=1))
    else:
        print(shown.as_text(*parts))


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="A run folder that has evaluated, or evaluations with --model-a.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another, or the same with another model.")],
    model_a: Annotated[str | None, typer.Option("--model-a", help="Which model of A, where it has several.")] = None,
    model_b: Annotated[str | None, typer.Option("--model-b", help="Which model of B.")] = None,
    level: Annotated[float, typer.Option(min=0.5, max=0.999, help="Of the intervals.")] = 0.95,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """B less A on the questions that both were asked, paired: the interval, the sign test, and whether it is a gain."""
    from promptcot import api
    from promptcot.evaluation import beside

    found = api.compare(a, b, model_a=model_a, model_b=model_b, level=level)
    if as_json:
        print(json.dumps(beside.as_json(found), ensure_ascii=False, indent=1))
    else:
        print(beside.as_text(found))


def contest_rating(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run folder that has evaluated.")],
    standings: Annotated[Path, typer.Option("--standings", help='JSONL: {"contest", "problems": {NAME: POINTS}, "people": [...]}.')],
    benchmark: Annotated[str, typer.Option("--benchmark", help="Which of its benchmarks.")] = "codeforces",
    model: Annotated[str | None, typer.Option("--model", help="Which of its models, where it has several.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """A model's Elo from its places in contests of people, in the manner of CodeElo. The standings are yours: none are shipped."""
    from promptcot import api
    from promptcot.progress import say

    found = api.contest_rating(folder, standings, benchmark=benchmark, model=model)
    e = found.rating
    if as_json:
        rating = {"value": e.value, "low": e.low, "high": e.high, "n": e.n, "level": e.level}
        told = {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in rating.items()}
        rule = {"combine": found.combine, "level_counts": found.level_counts}
        print(json.dumps({"schema": 1, "rating": told, **rule, "places": [dataclasses.asdict(p) for p in found.places]}, indent=1))
        return
    print(f"elo {e.value:.0f} [{e.low:.0f}, {e.high:.0f}] ({e.n} contests, {e.level:.0%}; {found.combine} of the contests' ratings)")
    for place in found.places:
        print(f"  {place.contest}: {place.ahead:g} of {place.people} ahead, {place.points:g} points, rated {place.rating:.0f}")
    say("no time runs for a model, which flatters it; which contests are chosen moves such a rating by hundreds of points")


def benchmarks() -> None:
    """The benchmarks known by name, and where each is taken from."""
    from promptcot.evaluation.benchmarks import described

    for line in described():
        print(line)


def export_benchmark(
    benchmark: Annotated[str, typer.Option("--benchmark", help="NAME (see `benchmarks`), reasoning-gym:TASK or FILE.jsonl.")],
    to: Annotated[str, typer.Option("--to", metavar="lm-eval|inspect-ai", help="The tool that will run it.")],
    out: Annotated[Path, typer.Option("--out", help="New or empty folder.")],
    samples: Annotated[int, typer.Option("--samples", min=1, help="Attempts a question.")] = 1,
    rows: Annotated[int | None, typer.Option("--rows", min=1, help="At most so many questions.")] = None,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 is greedy.")] = 0.6,
    top_p: Annotated[float, typer.Option("--top-p", min=0.01, max=1.0, help="Nucleus.")] = 0.95,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, help="Longest attempt.")] = 4096,
    seed: Annotated[int, typer.Option(help="Chooses the rows.")] = 0,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="A recipe key: evaluate.fallback=none. Repeatable.")] = None,
    data: Annotated[Path | None, typer.Option("--data", envvar="PROMPTCOT_DATA", help="Folder with benchmark files.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Write a benchmark as a task for lm-evaluation-harness or inspect-ai: our questions, prompts and verifier in their evaluation."""
    from promptcot import api

    if data is not None:
        os.environ["PROMPTCOT_DATA"] = str(data)
    sample = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens}
    settings = {"samples": samples, "rows": rows, "sample": sample}
    found = api.export_benchmark(benchmark, to, out, settings=settings, seed=seed, overrides=overrides or ())
    if as_json:
        facts = {"task": found.task, "questions": found.questions, "folder": str(found.folder), "command": found.command}
        print(json.dumps(facts, ensure_ascii=False, indent=1))
    else:
        print(f"{found.questions} questions as {found.task} in {found.folder}; run it with\n  {found.command}")
