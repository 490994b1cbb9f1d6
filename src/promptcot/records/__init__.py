"""The rows that travel, in the order they travel: seed, triple, draw, candidate, selection, bound, concept set, problem.

Every record is frozen and flat, so that its table is readable without this package: a `str` column is a string, a
`tuple` a list. Worked example: a `Seed` read from a file becomes a `Triple` when concepts and a rationale are known; the
posterior writes `Draw`s for it, the generator's scores turn each into a `Candidate`, and `Selection`s say what is fitted.

Ids are 128 bits of sha256 over kind, sorted parent ids, draw and content, so the same work has the same id on any machine.
"""

from promptcot.records.identity import Record, content_hash, inherited, record_id
from promptcot.records.learning import Agreement, BoundRow, Candidate, Draw, Health, ProbeRow, ScoreRow, Seed, Selection, Triple
from promptcot.records.measured import CorpusFigure, Embedding, MapPoint, Overlap, ProblemDifficulty, Score, TrialStudent
from promptcot.records.problems import ConceptRate, ConceptSet, Dropped, Judgment, Neighbors, Problem, Resemblance, Validity
from promptcot.records.solving import Attempt, ChoiceDiversity, Grade, Label, Pair, PassRate, Question, Trace, TraceFigures, WrittenTests

__all__ = [
    "Agreement",
    "Attempt",
    "BoundRow",
    "Candidate",
    "ChoiceDiversity",
    "ConceptRate",
    "ConceptSet",
    "CorpusFigure",
    "Draw",
    "Dropped",
    "Embedding",
    "Grade",
    "Health",
    "Judgment",
    "Label",
    "MapPoint",
    "Neighbors",
    "Overlap",
    "Pair",
    "PassRate",
    "ProbeRow",
    "Problem",
    "ProblemDifficulty",
    "Question",
    "Record",
    "Resemblance",
    "Score",
    "ScoreRow",
    "Seed",
    "Selection",
    "Trace",
    "TraceFigures",
    "TrialStudent",
    "Triple",
    "Validity",
    "WrittenTests",
    "content_hash",
    "inherited",
    "record_id",
]
