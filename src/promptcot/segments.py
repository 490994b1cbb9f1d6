"""From (c, z, x) to token sequences, the same in fitting, sampling and scoring.

Prefix, rationale and problem are tokenized apart and concatenated, so the boundary between segments never moves: what is scored as
log p(x|z,c) are exactly the tokens of x and its tags. End-of-sequence closes the last segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from promptcot.engines.protocol import Ids, Tokenizer, Tokens
from promptcot.templates import TAGGED, Template


class Conditioned(Protocol):
    """Anything that has concepts and a level: a triple, a concept set, a problem."""

    @property
    def domain(self) -> str:
        """`math` or `code`."""
        ...

    @property
    def concepts(self) -> Sequence[str]:
        """c."""
        ...

    @property
    def level(self) -> str:
        """The difficulty level."""
        ...

    @property
    def prompt(self) -> str | None:
        """A generator input given with the row, used verbatim."""
        ...


class ConditionedProblem(Conditioned, Protocol):
    """Concepts, level and a problem."""

    @property
    def problem(self) -> str:
        """x."""
        ...


class Shot(ConditionedProblem, Protocol):
    """An annotated problem that is shown in the prompt."""

    @property
    def rationale(self) -> str | None:
        """z."""
        ...


@dataclass(frozen=True, slots=True)
class Segmenter:
    """Builds the token sequences of p and q with one tokenizer and one template. `before_generator` and `before_posterior` are ids that
    stand before every prefix: the examples of a model that was not fitted."""

    tokenizer: Tokenizer
    template: Template = TAGGED
    before_generator: Ids = ()
    before_posterior: Ids = ()

    def showing(self, shots: Sequence[Shot]) -> Segmenter:
        """The same with annotated problems in the prompt, exactly as a fit would see them, each with its end of sequence."""
        gap = self.tokenizer.encode("\n\n")
        p, q = [], []
        for shot in shots:
            z = self.rationale(shot.rationale or "")
            p += [*_flat(self.generator(shot, z)), *gap]
            q += [*_flat(self.posterior(shot, z)), *gap]
        return replace(self, before_generator=tuple(p), before_posterior=tuple(q))

    def generator_prefix(self, c: Conditioned) -> Ids:
        """What p reads, as ids. A row's own `prompt` is passed on verbatim."""
        text = c.prompt if c.prompt is not None else self.template.generator_prefix(c.domain, c.concepts, c.level)
        return (*self.before_generator, *self.tokenizer.encode(text))

    def posterior_prefix(self, row: ConditionedProblem) -> Ids:
        """What q reads, as ids."""
        text = self.template.posterior_prefix(row.domain, row.concepts, row.level, row.problem)
        return (*self.before_posterior, *self.tokenizer.encode(text))

    def rationale(self, text: str) -> Ids:
        """The rationale segment of a text (not of a draw: a draw keeps its sampled ids)."""
        return self.tokenizer.encode(self.template.render_rationale(text))

    def problem(self, text: str) -> Ids:
        """The problem segment with its terminator; its length is |x| in the units of the bound."""
        return (*self.tokenizer.encode(self.template.render_problem(text)), self.tokenizer.eos)

    def generator(self, row: ConditionedProblem, rationale: Ids | None) -> Tokens:
        """p's sequence: prefix | z | x <eos>, or prefix | x <eos> for a generator without rationales."""
        x = self.problem(row.problem)
        return Tokens(self.generator_prefix(row), (x,) if rationale is None else (rationale, x))

    def posterior(self, row: ConditionedProblem, rationale: Ids) -> Tokens:
        """q's sequence: prefix with x | z <eos>."""
        return Tokens(self.posterior_prefix(row), ((*rationale, self.tokenizer.eos),))


def _flat(tokens: Tokens) -> Ids:
    return (*tokens.prefix, *(token for segment in tokens.segments for token in segment))
