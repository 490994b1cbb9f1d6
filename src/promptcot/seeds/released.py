"""The public PromptCoT 2.0 files for self-play and SFT: problems inside prompts, with what a solution must reach or with a solution.

    {"source": "PromptCoT-Math", "prompt": "Find n.\\nPlease reason step by step, ...", "answer": "7"}   ->  problem "Find n.", label "7"
    {"prompt": "<|im_start|>user\\nFind n.<|im_end|>\\n<|im_start|>assistant", "completion": "<think>..."}  ->  problem, attempt

A label or an attempt names its problem by the id that the problem has when the same row is read as one. `completions` and `test_results`,
which the release's scripts add while they run, are not read: they are of their models' attempts, several to a row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from promptcot.records import content_hash, record_id
from promptcot.seeds.rows import BadRow, named
from promptcot.templates_solving import BOXED_SUFFIX, SOLVING

Values = dict[str, Any]

_CHATML = re.compile(r"\A\s*<\|im_start\|>user\n(.*?)<\|im_end\|>\s*(?:<\|im_start\|>assistant\s*)?\Z", re.DOTALL)
_PROGRAM = re.compile(
    r"\AYou will be given a question \(problem specification\)[^\n]*\n\n(.*?)\n\nRead the inputs from stdin solve the problem",
    re.DOTALL,
)
_OURS = tuple(f"{text}\n\nProblem:\n" for text in SOLVING.values())


def tagged(theirs: Mapping[str, Any]) -> bool:
    """Whether a row is the generator's: its completion, if it has one, holds tags."""
    completion = theirs.get("completion")
    return not isinstance(completion, str) or "<!-- BEGIN" in completion


def asks(theirs: Mapping[str, Any]) -> bool:
    """Whether a row asks for a solution: a problem of its own, a rationale or tags would make it something else."""
    return not {"problem", "completion", "foundational_concepts", "rationale", "chosen"} & set(theirs)


def problem_in(prompt: str) -> tuple[str, bool]:
    """The problem in a prompt, without the words around it, and whether those ask for a program."""
    text = found[1] if (found := _CHATML.match(prompt)) else prompt
    if program := _PROGRAM.match(text):
        return program[1].strip(), True
    text = text.strip().removesuffix(BOXED_SUFFIX.strip()).strip()
    for words in _OURS:
        if text.startswith(words):
            return text.removeprefix(words).strip(), words is not _OURS[0]
    return text, False


def _known(theirs: Mapping[str, Any]) -> Values:
    prompt = theirs.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise BadRow("prompt", f"a text is wanted, this is {named(prompt)}")
    problem, program = problem_in(prompt)
    source = theirs.get("source")
    if not problem:
        raise BadRow("prompt", "holds no problem")
    coded = program or theirs.get("test_cases") is not None or (isinstance(source, str) and source.endswith("-Code"))
    domain = "code" if coded else "math"
    return {"problem": problem, "domain": domain, **({"source": source} if source else {})}


def _id(values: Values) -> str:
    return record_id("problem", (), 0, f"{values['domain']} {content_hash(values['problem'])}")


def self_play(theirs: Mapping[str, Any]) -> Values:
    """A problem with its answer or tests."""
    values = _known(theirs)
    reached = {"answer": theirs.get("answer"), "tests": theirs.get("test_cases")}
    values |= {name: value for name, value in reached.items() if value is not None}
    return values


def label(theirs: Mapping[str, Any]) -> Values:
    """The same as a label."""
    values = self_play(theirs)
    return {**values, "problem": _id(values), "kind": "tests" if "tests" in values else "gold"}


def sft(theirs: Mapping[str, Any]) -> Values:
    """A problem whose solution is beside it."""
    return _known(theirs)


def attempt(theirs: Mapping[str, Any]) -> Values:
    """The solution."""
    values = _known(theirs)
    completion = theirs.get("completion")
    if not isinstance(completion, str) or not completion.strip():
        raise BadRow("completion", f"a text is wanted, this is {named(completion)}")
    return {**values, "problem": _id(values), "text": completion.strip()}
