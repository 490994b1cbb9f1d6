"""The answer that most draws agree on, and whether that is agreement enough.

Draws fall into clusters by their answers' canonical keys, in O(n). Algebra is asked only about clusters with an answer that has no
canonical form, and only about the few largest. What gives no answer never wins. The whole table is kept: which answer, which draws.

Draws are numbered, and draw i depends on i alone. So a vote may stop as soon as the rest cannot change its outcome (`settled`): the winner
and its status are those of all draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from promptcot.outcomes import Equality
from promptcot.verify.answers import Verifier
from promptcot.verify.forms import Answer

MERGED_AT_MOST = 4
"""Clusters, the largest first, between which algebra is asked."""


class VoteStatus(StrEnum):
    """What a vote came to."""

    AGREED = "agreed"
    TOO_FEW = "too_few"  # the largest cluster is smaller than asked for
    TOO_CLOSE = "too_close"  # the next one comes too near
    NO_ANSWER = "no_answer"  # no draw gave an answer that could be read


@dataclass(frozen=True)
class Rule:
    """When a vote counts: the largest cluster has `agree` draws or more, and `margin` more than the next."""

    agree: int = 5
    margin: int = 1

    def status(self, first: int, second: int) -> VoteStatus:
        """What a vote with these two largest clusters comes to."""
        if not first:
            return VoteStatus.NO_ANSWER
        if first < self.agree:
            return VoteStatus.TOO_FEW
        return VoteStatus.AGREED if first - second >= self.margin else VoteStatus.TOO_CLOSE


@dataclass(frozen=True)
class Cluster:
    """Draws whose answers are the same. `answer` is the text of the first of them."""

    answer: str
    draws: tuple[int, ...]


@dataclass(frozen=True)
class Vote:
    """A vote: the clusters, the largest first (of equal ones the one that came first), and the draws without an answer.

    `answer` is what was agreed on, None unless `status` is `agreed`."""

    clusters: tuple[Cluster, ...]
    silent: tuple[int, ...]
    draws: int
    status: VoteStatus

    @property
    def answer(self) -> str | None:
        """The agreed answer."""
        return self.clusters[0].answer if self.status is VoteStatus.AGREED else None

    @property
    def sizes(self) -> tuple[int, int]:
        """Draws of the two largest clusters."""
        counts = [*(len(c.draws) for c in self.clusters[:2]), 0, 0]
        return counts[0], counts[1]

    @property
    def share(self) -> float:
        """The largest cluster's share of all draws, silent ones included."""
        return self.sizes[0] / self.draws if self.draws else 0.0


class Poll:
    """A vote under way. Draws are added in any order; the outcome does not depend on it."""

    def __init__(self, verifier: Verifier, rule: Rule, planned: int) -> None:
        self.verifier, self.rule, self.planned = verifier, rule, planned
        self.answers: dict[int, Answer | None] = {}

    def add(self, draw: int, text: str) -> None:
        """Count a completion as draw number `draw`."""
        if draw in self.answers:
            raise ValueError(f"draw {draw} was counted already")
        self.answers[draw] = self.verifier.read_completion(text)

    def settled(self) -> bool:
        """Whether no further draw can change who wins and whether that is agreement; only with every answer so far readable, since
        algebra might still merge others."""
        given = [a for a in self.answers.values() if a is not None]
        if not all(a.readable for a in given):
            return len(self.answers) >= self.planned
        first, second = self.vote().sizes
        left = self.planned - len(self.answers)
        lost = 0 < first < self.rule.agree - left
        won = first >= self.rule.agree and first - second - left >= max(self.rule.margin, 1)
        return left <= 0 or lost or won

    def vote(self) -> Vote:
        """The table so far."""
        groups = merged(_by_key(self.answers), self.verifier)
        silent = tuple(sorted(d for d, a in self.answers.items() if a is None))
        clusters = tuple(Cluster(answer.text, tuple(sorted(draws))) for answer, draws in groups)
        counts = [*(len(c.draws) for c in clusters[:2]), 0, 0]
        return Vote(clusters, silent, len(self.answers), self.rule.status(counts[0], counts[1]))


Group = tuple[Answer, list[int]]


def _by_key(answers: dict[int, Answer | None]) -> list[Group]:
    found: dict[object, Group] = {}
    for draw in sorted(answers):
        answer = answers[draw]
        if answer is not None:
            found.setdefault(answer.key, (answer, []))[1].append(draw)
    return _largest_first(found.values())


def _largest_first(groups: object) -> list[Group]:
    return sorted(groups, key=lambda g: (-len(g[1]), min(g[1])))  # type: ignore[call-overload, no-any-return]


def merged(groups: list[Group], verifier: Verifier) -> list[Group]:
    """The clusters after algebra has joined what the keys could not: only clusters among the largest, one of them opaque."""
    out: list[Group] = []
    for group in groups[:MERGED_AT_MOST]:
        same = next((other for other in out if _same(other[0], group[0], verifier)), None)
        if same is None:
            out.append(group)
        else:
            out[out.index(same)] = (same[0] if same[0].readable else group[0], same[1] + group[1])
    return _largest_first(out + groups[MERGED_AT_MOST:])


def _same(a: Answer, b: Answer, verifier: Verifier) -> bool:
    return not (a.readable and b.readable) and verifier.compare(a, b) is Equality.EQUAL


def vote(texts: Sequence[str], rule: Rule = Rule(), verifier: Verifier | None = None) -> Vote:
    """The vote over completions, draw i being `texts[i]`."""
    poll = Poll(verifier or Verifier(), rule, len(texts))
    for draw, text in enumerate(texts):
        poll.add(draw, text)
    return poll.vote()
