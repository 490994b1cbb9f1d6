"""Small whole runs without a language model, for tests of the outside contract."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from promptcot import cli
from promptcot.templates import TAGGED

RATIONALE = "Two boats of unequal load make the order of comparing and dividing the real question."
PROBLEM = "Harbor {id} moves 200 crates by boats that carry 14 and 9. After draw {draw} trips of each, how many crates are left?"
REPLY = TAGGED.render_rationale(RATIONALE) + TAGGED.render_problem(PROBLEM)
NO_REPLY = "I would rather talk about the weather."


def script(folder: Path, *replies: tuple[str, str], default: str = REPLY) -> Path:
    """A scripted model in `folder`: (part of the prompt, reply) pairs, else `default`."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"replies": [{"contains": part, "text": text} for part, text in replies], "default": default}
    (folder / "script.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """The rows as a file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def concept_sets(path: Path, count: int) -> Path:
    """`count` distinct concept sets."""
    return jsonl(path, [{"concepts": [f"concept {n}", "equal groups"], "level": "AMC8"} for n in range(count)])


def recipe(folder: Path, **sections: Any) -> Path:
    """A recipe in `folder` that synthesizes and screens with a scripted generator; `sections` replace its own."""
    folder.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {"schema": 1, "name": "small", "engines": {"default": {"kind": "scripted"}}}
    if "models" not in sections:
        content["models"] = {"generator": str(script(folder / "model"))}
    if "inputs" not in sections:
        content["inputs"] = {"concept_sets": [str(concept_sets(folder / "sets.jsonl", 12))]}
    content |= {"synthesize": {"concept_sets": 12, "sample": {"max_tokens": 2000}}, "screen": {"near_duplicate": 1.0}} | sections
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not None}), encoding="utf-8")
    return path


class Ran:
    """What a command left: exit code, results, talk."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


class Shell:
    """Runs `promptcot ...` through its real entry point, in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def __call__(self, *arguments: str | Path, code: int = 0) -> Ran:
        """Run a command that must leave with `code`."""
        self.capsys.readouterr()
        self.monkeypatch.setattr(sys, "argv", ["promptcot", *map(str, arguments)])
        left = 0
        try:
            cli.main()
        except SystemExit as error:
            left = error.code if isinstance(error.code, int) else 0
        out, err = self.capsys.readouterr()
        assert left == code, f"exit code {left}\n{out}\n{err}"
        return Ran(left, out, err)


def process(*arguments: str | Path, before: str = "pass", folder: Path | None = None) -> "subprocess.Popen[str]":
    """`promptcot ...` as a process of its own, after the statements `before`."""
    program = f"import sys; {before}; sys.argv[0] = 'promptcot'; from promptcot.cli import main; main()"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=folder)
