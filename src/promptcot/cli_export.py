"""The verb that exports: a run's rows and weights for trainers, servers and the hub."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from promptcot.errors import UsageError

TO = "trl-messages|trl-completions|trl-preference|trl-prompts|verl|openai-batch|dataset|promptcot|model"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("export")(export)


def export(
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="A run folder.")] = None,
    source: Annotated[Path | None, typer.Option("--in", help="Rows of a JSONL or parquet file instead: problems, pairs or traces.")] = None,
    to: Annotated[str, typer.Option("--to", metavar=TO, help="The format.")] = "dataset",
    out: Annotated[Path | None, typer.Option("--out", help="File, or folder for dataset, promptcot and model.")] = None,
    allow: Annotated[list[str] | None, typer.Option("--allow", help="Only rows of this license (`none`: without). Repeatable.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="openai-batch: the served model; default: the run's teacher.")] = None,
    temperature: Annotated[float, typer.Option(min=0.0, help="openai-batch.")] = 1.0,
    top_p: Annotated[float, typer.Option("--top-p", min=0.01, max=1.0, help="openai-batch.")] = 1.0,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, help="openai-batch.")] = 4096,
    role: Annotated[str | None, typer.Option("--role", help="model: student, solver, generator or posterior; default: the last.")] = None,
    domain: Annotated[str, typer.Option("--domain", help="Of rows of a file that do not say: math or code.")] = "math",
    data: Annotated[Path | None, typer.Option("--data", envvar="PROMPTCOT_DATA", help="Folder of outside data.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Write rows for TRL, verl, the OpenAI batch API, the Hugging Face hub (with a card) or in the release's own files; or copy weights."""
    from promptcot import api
    from promptcot.progress import say

    if (folder is None) == (source is None) or out is None:
        raise UsageError("give a run folder or --in FILE, and --out PATH", where="export")
    if domain not in ("math", "code"):
        raise UsageError(f"`{domain}` is no domain", where="--domain", remedy="math or code")
    if data is not None:
        os.environ["PROMPTCOT_DATA"] = str(data)
    given = folder or source
    assert given is not None
    sample = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens}
    done = api.export(given, to, out, allow=allow or (), model=model, sample=sample, role=role, domain=domain)
    if as_json:
        facts = {"path": str(done.path), "rows": dict(done.rows), "left_out": dict(done.left_out), "unlabeled": done.unlabeled}
        print(json.dumps({"schema": 1, **facts, "about": done.about}, ensure_ascii=False, indent=1))
        return
    told = [f"{count} {name}" for name, count in done.rows.items()] or [done.about]
    told += [f"left out: {count} rows of license {name}" for name, count in done.left_out.items()]
    told += [f"left out: {done.unlabeled} problems without a label"] * bool(done.unlabeled)
    say("\n".join(told))
    print(done.path)
