"""Benchmarks as tasks of other evaluation tools: our questions, prompts and verdicts, their models and logs.

    export_benchmark("math500", to="lm-eval", folder="math500-lm-eval", settings={"samples": 16})

A folder holds the questions and a few lines of code that call back here: `lm_eval` and `inspect_ai` are what they call, `stored` is the
questions' file. Whatever grades is `grading`, so a completion gets the verdict that `promptcot evaluate` gives it.
"""
