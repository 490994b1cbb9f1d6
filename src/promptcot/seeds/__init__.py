"""The outside world as records: seeds, triples, concept sets, problems and what belongs to them (labels, attempts, pairs,
traces) out of files, packages and the hub.

    reading = read_seeds([Input(path="builtin:starter", rows=60)], domain="math", seed=0)
    reading.rows      # Seed records with family and split
    reading.dropped   # every row that could not be used, with FILE:LINE, key and reason

`sources` opens an input, `files` reads files, `formats` knows the shapes, `rows` checks values, `reading` joins these, `kinds` builds
the records and `families` places them. Optional packages (datasets, reasoning-gym, champ-dataset) are needed only by their inputs.
"""

from promptcot.seeds.kinds import (
    READERS,
    UNRATED,
    read_attempts,
    read_concept_sets,
    read_labels,
    read_pairs,
    read_problems,
    read_seeds,
    read_traces,
    read_triples,
)
from promptcot.seeds.reading import Reading

__all__ = [
    "READERS",
    "UNRATED",
    "Reading",
    "read_attempts",
    "read_concept_sets",
    "read_labels",
    "read_pairs",
    "read_problems",
    "read_seeds",
    "read_traces",
    "read_triples",
]
