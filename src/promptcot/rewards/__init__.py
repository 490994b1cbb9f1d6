"""The verifier where others train and evaluate: one module for each of TRL, verl, inspect_ai and verifiers.

They share `Grader`, which turns the table of verdicts into numbers. A fault of ours (`verifier_error`) is never a wrong answer: where the
consumer knows "no reward", that is what it gets. Only the module for a package imports it, so all of this works without torch.
"""

from promptcot.rewards.grading import Grader, Judgement

__all__ = ["Grader", "Judgement"]
