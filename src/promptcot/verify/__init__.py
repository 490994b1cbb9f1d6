"""Whether an answer is right. Model text is hostile here: never evaluated, run in the sandbox only."""
