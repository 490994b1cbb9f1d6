"""The public PromptCoT 2.0 files for self-play, DPO and SFT: problems inside prompts, with what a solution must reach or with solutions.

    {"source": "PromptCoT-Math", "prompt": "Find n.\\nPlease reason step by step, ...", "answer": "7"}   ->  problem "Find n.", label "7"
    {"prompt": "<|im_start|>user\\nFind n.<|im_end|>\\n<|im_start|>assistant", "completion": "<think>..."}  ->  problem, attempt, trace
    {"source": ..., "prompt": "<|im_start|>user...", "chosen": "\\n<think>...", "rejected": ...}              ->  pair, prompt "Find n."

A label, an attempt, a pair or a trace names its problem by the id that the problem has when the same row is read as one. Who is fitted
on a pair or a trace reads the prompt in its own chat template, so only the release's markup is taken off, not the words around the problem.
`completions` and `test_results`, which the release's scripts add while they run, are not read: they are of their models' attempts, several
to a row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from promptcot.engines.chat_reply import parted
from promptcot.outcomes import Drop
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
    text = turn_in(prompt).strip()
    for words in _OURS:
        if text.startswith(words):
            return text.removeprefix(words).strip(), words is not _OURS[0]
    if text.endswith(BOXED_SUFFIX.strip()):
        return text.removesuffix(BOXED_SUFFIX.strip()).strip(), False
    program = _PROGRAM.match(text)
    return (program[1].strip(), True) if program else (text, False)


def turn_in(prompt: str) -> str:
    """What the user says in a prompt: the prompt itself, unless chat markup is around it."""
    found = _CHATML.match(prompt)
    return found[1] if found else prompt


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


def pair(theirs: Mapping[str, Any]) -> Values:
    """A right and a wrong completion."""
    values = _asked(theirs)
    return {**values, **{side: _completion(theirs, side) for side in ("chosen", "rejected")}}


def trace(theirs: Mapping[str, Any]) -> Values:
    """The solution as a student learns it, reasoning and answer apart."""
    values, found = _asked(theirs), parted(_completion(theirs, "completion"))
    if isinstance(found, Drop):
        raise BadRow(
            "completion", "a <think> or </think> without its other half" if found is Drop.UNPARSABLE else "no answer after </think>"
        )
    return {**values, "reasoning": found.reasoning, "answer": found.answer}


def _asked(theirs: Mapping[str, Any]) -> Values:
    """A prompt as a solver or student reads it, and the problem in it by its id."""
    values = _known(theirs)
    id_ = _id(values)
    del values["problem"]
    return {**values, "question": id_, "prompt": turn_in(theirs["prompt"])}


def _completion(theirs: Mapping[str, Any], key: str) -> str:
    """A completion. Behind chat markup it begins with the line break that ends the assistant's header."""
    text = theirs.get(key)
    if not isinstance(text, str) or not text.strip():
        raise BadRow(key, f"a text is wanted, this is {named(text) if not isinstance(text, str) else 'blank'}")
    return text.removeprefix("\n") if _CHATML.match(theirs["prompt"]) else text
