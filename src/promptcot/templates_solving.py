"""What a solver or teacher reads: the problem, and the form its answer must have."""

from __future__ import annotations

SOLVING = {
    "math": "Solve the problem below. Reason step by step, then give the final answer, and nothing else, inside \\boxed{}.",
    "code": "Write a Python 3 program that solves the problem below. It reads standard input and writes standard output. Think first, then"
    " give the whole program in one ```python block.",
    "method": "Write Python 3 code that solves the problem below, going on from the starter code. Keep its names. Think first, then give"
    " the whole code in one ```python block.",
    "function": "Complete the Python function below. Think first, then give the whole function, with all that it needs, in one"
    " ```python block.",
}

BOXED_SUFFIX = "\nPlease reason step by step, and put your final answer within \\boxed{}."
"""What the prompts of the public PromptCoT files end with."""


def solving_prompt(kind: str, problem: str) -> str:
    """The user's turn. `kind`: `math`, `code` (a program), `method` (code from a starter), `function` (the problem is its beginning)."""
    return f"{SOLVING[kind]}\n\nProblem:\n{problem}"


def starter_prompt(problem: str, starter: str) -> str:
    """The user's turn where a solution goes on from given code."""
    return f"{solving_prompt('method', problem)}\n\nStarter code:\n```python\n{starter.strip()}\n```"


def completion_prompt(starter: str) -> str:
    """The user's turn where the problem is the beginning of a function."""
    return f"{SOLVING['function']}\n\n```python\n{starter.strip()}\n```"


def function_prompt(problem: str, name: str) -> str:
    """The same for a problem whose tests call a function."""
    return (
        f"Write a Python 3 function `{name}` that solves the problem below. Think first, then give it, with all that it needs, in one"
        f" ```python block.\n\nProblem:\n{problem}"
    )
