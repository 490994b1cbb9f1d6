"""What a solver or teacher reads: the problem, and the form its answer must have."""

from __future__ import annotations

SOLVING = {
    "math": "Solve the problem below. Reason step by step, then give the final answer, and nothing else, inside \\boxed{}.",
    "code": "Write a Python 3 program that solves the problem below. It reads standard input and writes standard output. Think first, then"
    " give the whole program in one ```python block.",
}


def solving_prompt(domain: str, problem: str) -> str:
    """The user's turn."""
    return f"{SOLVING[domain]}\n\nProblem:\n{problem}"


def function_prompt(problem: str, name: str) -> str:
    """The same for a problem whose tests call a function."""
    return (
        f"Write a Python 3 function `{name}` that solves the problem below. Think first, then give it, with all that it needs, in one"
        f" ```python block.\n\nProblem:\n{problem}"
    )
