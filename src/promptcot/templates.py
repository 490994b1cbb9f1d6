"""Every text that p and q read or write, as render/parse pairs.

The layout, with the segment bars of the token sequences (each segment is tokenized apart):

    p:  instruction, numbered concepts, level | BEGIN R  z  END R | BEGIN P  x  END P  <eos>
    q:  instruction, concepts, level, problem | BEGIN R  z  END R  <eos>

The four tags and `Difficulty Level:` are those of the public PromptCoT 2.0 generator, so its outputs parse here; the
instructions are our own. `PLAIN` writes bare symbols, for the tabular engine.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from promptcot.outcomes import Drop


@dataclass(frozen=True, slots=True)
class Generated:
    """A parsed completion of p: rationale z (empty for a generator without rationales) and problem x."""

    rationale: str
    problem: str


@dataclass(frozen=True, slots=True)
class Template:
    """The words around (c, z, x). Fields are the fixed texts; methods come in render/parse pairs."""

    generator: dict[str, str] = field(
        default_factory=lambda: {
            "math": "Design a math problem that combines the concepts below. Explain the design first, then state the problem.",
            "code": "Design a programming problem that combines the concepts below. Explain the design first, then state the problem.",
        }
    )
    posterior: dict[str, str] = field(
        default_factory=lambda: {
            "math": "Explain how the math problem below was designed from its concepts.",
            "code": "Explain how the programming problem below was designed from its concepts.",
        }
    )
    concepts_heading: str = "Concepts:"
    begin_rationale: str = "<!-- BEGIN RATIONALE -->"
    end_rationale: str = "<!-- END RATIONALE -->"
    begin_problem: str = "<!-- BEGIN PROBLEM -->"
    end_problem: str = "<!-- END PROBLEM -->"

    def conditions(self, concepts: Sequence[str], level: str) -> str:
        """The numbered concepts and the level."""
        listed = "\n".join(f"{n}. {concept}" for n, concept in enumerate(concepts, 1))
        return f"{self.concepts_heading}\n{listed}\nDifficulty Level: {level}"

    def generator_prefix(self, domain: str, concepts: Sequence[str], level: str) -> str:
        """What p reads."""
        return f"{self.generator[domain]}\n{self.conditions(concepts, level)}\n"

    def posterior_prefix(self, domain: str, concepts: Sequence[str], level: str, problem: str) -> str:
        """What q reads."""
        return f"{self.posterior[domain]}\n{self.conditions(concepts, level)}\nProblem: {problem}\n"

    def render_rationale(self, rationale: str) -> str:
        """The rationale segment, the same for p and q."""
        return f"{self.begin_rationale}\n{rationale}\n{self.end_rationale}"

    def render_problem(self, problem: str) -> str:
        """The problem segment of p."""
        return f"\n{self.begin_problem}\n{problem}\n{self.end_problem}"

    def parse_rationale(self, text: str) -> str | Drop:
        """The rationale in a completion of q, or why there is none. Inverse of `render_rationale`."""
        return self._between(text, self.begin_rationale, self.end_rationale)

    def parse_generated(self, text: str, *, with_rationale: bool = True) -> Generated | Drop:
        """The rationale and problem in a completion of p, or why there are none."""
        head, mark, tail = text.partition(self.begin_problem)
        if not mark:
            return Drop.UNPARSABLE
        problem = self._between(mark + tail, self.begin_problem, self.end_problem)
        if isinstance(problem, Drop):
            return problem
        if not with_rationale:
            return Generated("", problem) if not head.strip() else Drop.UNPARSABLE
        rationale = self._between(head, self.begin_rationale, self.end_rationale)
        return rationale if isinstance(rationale, Drop) else Generated(rationale, problem)

    def _between(self, text: str, begin: str, end: str) -> str | Drop:
        text = text.strip()
        if len(text) < len(begin) + len(end) or not (text.startswith(begin) and text.endswith(end)):
            return Drop.UNPARSABLE
        inner = text[len(begin) : len(text) - len(end)].strip()
        if re.search(r"<!--\s*(BEGIN|END) (RATIONALE|PROBLEM)\s*-->", inner):
            return Drop.UNPARSABLE
        return inner or Drop.EMPTY


@dataclass(frozen=True, slots=True)
class PlainTemplate(Template):
    """Bare symbols: p reads `c`, q reads `c x`, and z and x stand alone. For models over a finite vocabulary."""

    def generator_prefix(self, domain: str, concepts: Sequence[str], level: str) -> str:
        """The concepts alone."""
        return " ".join(concepts)

    def posterior_prefix(self, domain: str, concepts: Sequence[str], level: str, problem: str) -> str:
        """The concepts and the problem."""
        return " ".join((*concepts, problem))

    def render_rationale(self, rationale: str) -> str:
        """The rationale itself."""
        return rationale

    def render_problem(self, problem: str) -> str:
        """The problem itself."""
        return problem

    def parse_rationale(self, text: str) -> str | Drop:
        """The text itself."""
        return text.strip() or Drop.EMPTY

    def parse_generated(self, text: str, *, with_rationale: bool = True) -> Generated | Drop:
        """First word rationale, second word problem."""
        words = text.split()
        if len(words) != 1 + with_rationale:
            return Drop.UNPARSABLE
        return Generated(*words) if with_rationale else Generated("", words[0])


TAGGED = Template()
PLAIN = PlainTemplate()
TEMPLATES: dict[str, Template] = {"tagged": TAGGED, "plain": PLAIN}
