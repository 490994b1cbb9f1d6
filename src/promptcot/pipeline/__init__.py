"""A run, stage by stage: each property of a `Session` is a stage's result, made on first use or loaded when it is done.

    seeds -> triples -> start (p0, q0) -> em (best p) -> problems -> screened -> report

A stage is active when its section is in the recipe. Rows given in `inputs` are a stage too (`seeds`, `problems`, `labels`, `attempts`,
`pairs`, `traces`; triples under `annotate`, concept sets under `synthesize`) and take the place of the one that would make them. What is
finished loads from the run folder, so a session is also how finished runs are read.

A class for each part of the way, each built on the one before it:

    Given -> Generated -> Screened -> Labeled -> Trained -> Session
"""

from promptcot.pipeline.session import Session

__all__ = ["Session"]
