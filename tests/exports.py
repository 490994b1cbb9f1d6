"""A run to export, made without a language model: two labeled problems (math and code), one without a label, and traces."""

import json
from pathlib import Path
from typing import Any

from promptcot import api
from promptcot.recipe import Input
from promptcot.seeds import read_problems
from tests.runs import jsonl, script

PROBLEMS = [
    {"problem": "Add one to six.", "license": "MIT", "level": "AMC8", "concepts": ["sums"], "rationale": "One step."},
    {"problem": "Read n, print n.", "license": "Apache-2.0", "domain": "code", "concepts": ["echo"], "level": "easy", "rationale": "r"},
    {"problem": "How many lakes? Nobody knows.", "license": "CC-BY-4.0", "concepts": ["lakes"], "level": "AMC8", "rationale": "r"},
]
TESTS = [{"input": "4\n", "output": "4\n"}]
REPLIES = (
    ("Add one", "<think>\n6 + 1\n</think>\n\n\\boxed{7}"),
    ("print n", "```python\nprint(input())\n```"),
    ("lakes", r"\boxed{3}"),
)
PAIRS = [{"prompt": "Add one to six.", "chosen": "<think>\n6 + 1\n</think>\n\n\\boxed{7}", "rejected": r"\boxed{8}", "license": "MIT"}]


def ids() -> list[str]:
    """The ids of `PROBLEMS`."""
    from promptcot.records import content_hash, record_id

    return [record_id("problem", (), 0, f"{p.get('domain', 'math')} {content_hash(str(p['problem']))}") for p in PROBLEMS]


def recipe(folder: Path, **sections: Any) -> Path:
    """The recipe of the run."""
    problems = jsonl(folder / "problems.jsonl", PROBLEMS)
    found = {p.problem: p.id for p in read_problems([Input(path=str(problems))], domain="math", seed=0).rows}
    labels: list[dict[str, Any]] = [
        {"problem": found["Add one to six."], "answer": "7", "license": "MIT"},
        {"problem": found["Read n, print n."], "kind": "tests", "tests": TESTS, "license": "Apache-2.0", "domain": "code"},
    ]
    content = {
        "schema": 1,
        "name": "exported",
        "engines": {"default": {"kind": "scripted"}},
        "models": {"teacher": {"path": str(script(folder / "teacher", *REPLIES)), "license": "Apache-2.0", "revision": "abc"}},
        "inputs": {"problems": [str(problems)], "labels": [str(jsonl(folder / "labels.jsonl", labels))]},
        "distill": {"student": None},
        **sections,
    }
    (folder / "exported.yaml").write_text(json.dumps(content), encoding="utf-8")
    return folder / "exported.yaml"


def run(folder: Path, **sections: Any) -> Path:
    """The finished run."""
    return api.run(recipe(folder, **sections), folder=folder / "run").folder


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
