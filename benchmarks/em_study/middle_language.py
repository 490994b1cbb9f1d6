"""A synthetic language of (c, z, x) whose every probability is known: p*(z|c), p*(x|z,c), so p*(x|c) and the posterior q*(z|c,x).

c is two concepts (a, b); z is a kind s, a value d, sometimes a detail e, and a stop: three or four words; x is `LENGTH` words. Each place
of x belongs to s and d together, or to s, d, e or a alone, whose values name the word there in the place's own codebook; with
probability `knob` that word is written, else one drawn from a law of b alone. So with `knob` near 1 the rationale decides the problem,
and at 0 it says nothing about it. A word of a joint place fits four of the 32 pairs (s, d): easy to write for one who knows z, hard to
guess from the words before it. The last places give s and d away, so that a posterior, which reads all of x, can be learned.

Worked example: `a2 b5` and `s1 d6 e0` give `x0.3 x1.1 x2.7 ...`; the same rationale without `e0` differs at the places of e.

A detail is one of two equally long words or none: of the rationales that explain x alike the short one is the most likely,
though most of the mass is on longer ones. That is where an argmax and a posterior part.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from promptcot.records import Triple, record_id

CONCEPTS, KINDS, VALUES, DETAILS, WORDS, LENGTH = 6, 4, 8, 3, 8, 12
OWNERS = "jjajjjejjsde"
"""Whose word stands at each place of x; j is s and d together."""
STOP = "."
"""Ends every z: without it, a rationale would be the beginning of a longer one and p(z|c) no law."""
NO_DETAIL = (0.4, 0.3, 0.3)
"""Mean p*(e|s): none, e0, e1."""


@dataclass(frozen=True)
class Language:
    """One language, drawn from a seed. `knob` in [0, 1]: how much z decides x."""

    knob: float
    kind_given_a: np.ndarray  # [A, S]
    value_given_b: np.ndarray  # [B, D]
    detail_given_kind: np.ndarray  # [S, E]
    codebook: np.ndarray  # int [LENGTH, most values of an owner]: the word each owner's value names at a place
    noise_given_b: np.ndarray  # [B, WORDS]

    @classmethod
    def drawn(cls, seed: int, knob: float) -> Language:
        """A language of its own for each seed; the knob changes nothing else."""
        rng = np.random.default_rng([seed, 20])
        return cls(
            knob,
            kind_given_a=rng.dirichlet(np.full(KINDS, 2.0), CONCEPTS),
            value_given_b=rng.dirichlet(np.full(VALUES, 2.0), CONCEPTS),
            detail_given_kind=rng.dirichlet(np.asarray(NO_DETAIL) * 20, KINDS),
            codebook=np.stack([np.concatenate([rng.permutation(WORDS) for _ in range(KINDS)]) for _ in range(LENGTH)]),
            noise_given_b=rng.dirichlet(np.full(WORDS, 2.0), CONCEPTS),
        )

    @cached_property
    def rationales(self) -> tuple[tuple[int, int, int], ...]:
        """All z as (s, d, e), e = 0 for none; their places are the Z of all arrays."""
        return tuple(product(range(KINDS), range(VALUES), range(DETAILS)))

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """All z as they are written, stop included."""
        return tuple(" ".join((f"s{s}", f"d{d}", *([f"e{e - 1}"] if e else []), STOP)) for s, d, e in self.rationales)

    def log_prior(self, concepts: tuple[int, int]) -> np.ndarray:
        """log p*(z|c) in nats, [Z]."""
        a, b = concepts
        s, d, e = np.array(self.rationales).T
        return np.asarray(np.log(self.kind_given_a[a, s]) + np.log(self.value_given_b[b, d]) + np.log(self.detail_given_kind[s, e]))

    def log_emission(self, concepts: tuple[int, int]) -> np.ndarray:
        """log p*(word | place, z, c) in nats, [Z, LENGTH, WORDS]."""
        a, b = concepts
        value = {"s": [z[0] for z in self.rationales], "d": [z[1] for z in self.rationales], "e": [z[2] for z in self.rationales]}
        value["a"] = [a] * len(self.rationales)
        value["j"] = [z[0] * VALUES + z[1] for z in self.rationales]
        p = np.broadcast_to((1 - self.knob) * self.noise_given_b[b], (len(self.rationales), LENGTH, WORDS)).copy()
        for place, owner in enumerate(OWNERS):
            p[np.arange(len(p)), place, self.codebook[place, value[owner]]] += self.knob
        return np.asarray(np.log(p))

    def log_joint(self, concepts: tuple[int, int], words: tuple[int, ...]) -> np.ndarray:
        """log p*(z,x|c) in nats, [Z]."""
        emission = self.log_emission(concepts)[:, np.arange(LENGTH), list(words)]
        return np.asarray(self.log_prior(concepts) + emission.sum(axis=1))

    def triples(self, count: int, split: str, *, annotated: int = 0) -> tuple[Triple, ...]:
        """`count` draws of (c, z, x), the same for the same language and split; only the first `annotated` keep their rationale."""
        rng = np.random.default_rng([int.from_bytes(split.encode(), "big") % 2**32, int(self.codebook.ravel()[:8] @ 16 ** np.arange(8))])
        rows = []
        for n in range(count):
            concepts = (int(rng.integers(CONCEPTS)), int(rng.integers(CONCEPTS)))
            z = int(rng.choice(len(self.rationales), p=np.exp(self.log_prior(concepts))))
            law = np.exp(self.log_emission(concepts)[z])
            words = [int(rng.choice(WORDS, p=row / row.sum())) for row in law]
            rows.append(
                Triple(
                    id=record_id("middle", (split,), n),
                    split=split,
                    family=f"{split}{n}",
                    concepts=(f"a{concepts[0]}", f"b{concepts[1]}"),
                    level="",
                    rationale=self.texts[z] if n < annotated else None,
                    problem=" ".join(word(place, w) for place, w in enumerate(words)),
                )
            )
        return tuple(rows)


def symbols() -> tuple[str, ...]:
    """Every word of c, z and x."""
    sizes = {"a": CONCEPTS, "b": CONCEPTS, "s": KINDS, "d": VALUES, "e": DETAILS - 1}
    spoken = tuple(f"{letter}{n}" for letter, size in sizes.items() for n in range(size))
    return (STOP, *spoken, *(word(place, w) for place in range(LENGTH) for w in range(WORDS)))


def word(place: int, number: int) -> str:
    """A word of x: each place has words of its own, so that a model need not count places."""
    return f"x{place}.{number}"


def read(triple: Triple) -> tuple[tuple[int, int], tuple[int, ...]]:
    """The numbers (c, x) behind a triple's words."""
    a, b = (int(concept[1:]) for concept in triple.concepts)
    return (a, b), tuple(int(text.partition(".")[2]) for text in triple.problem.split())
