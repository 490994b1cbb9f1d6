"""From a question's attempts to what is trained on: pairs of a right and a firmly wrong attempt, or right attempts alone.

Only attempts with a firm verdict are shown as rejected: one that was cut, gave no answer or could not be decided is a failure, but nobody
knows that it is wrong. Attempts are distinct by content, and no two pairs share one. Which are taken, and which
go together, follows from a hash of seed and attempt, so the order of rows and draws changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from promptcot.attempts import of_question
from promptcot.engines.chat_reply import wrapped
from promptcot.executors import Rows
from promptcot.grading import PROGRAMS
from promptcot.licenses import combined
from promptcot.outcomes import Drop, Grading, Verdict
from promptcot.recipe import SelfPlay
from promptcot.records import Attempt, Dropped, Pair, PassRate, Question, Record, content_hash, inherited, record_id
from promptcot.self_play.form import malformed
from promptcot.tables import to_json
from promptcot.verify.verdicts import REJECTED


@dataclass(frozen=True)
class Tried:
    """A question with its attempts, their verdicts by draw, and its pass rate.

    `opening` is the tag, as the prompt ends with it, where the prompt itself opens the thought; `license` that of the solver."""

    question: Question
    attempts: Sequence[Attempt]
    verdicts: Mapping[int, str]
    rate: PassRate
    opening: str = ""
    license: str = ""

    def text(self, attempt: Attempt) -> str:
        """An attempt as it goes on after the prompt, with its thought where a server has kept that apart."""
        return wrapped(self.opening, attempt.reasoning.strip(), attempt.text) if attempt.reasoning.strip() else attempt.text

    @staticmethod
    def ids(attempt: Attempt) -> tuple[int, ...]:
        """The tokens of that text where they are known: a server that keeps the thought apart gives those of the answer alone."""
        return () if attempt.reasoning.strip() else attempt.ids

    def says(self, attempt: Attempt) -> str:
        """What equal attempts have in common: programs all of their text, answers their normal form."""
        text = self.text(attempt)
        return text.strip() if Grading(self.question.grading) in PROGRAMS else content_hash(text)

    @cached_property
    def both(self) -> frozenset[str]:
        """Texts that were judged right once and firmly wrong another time, so that nobody knows which they are."""
        right, wrong = self.with_verdict(frozenset({Verdict.CORRECT})), self.with_verdict(REJECTED)
        return frozenset(map(self.text, right)) & frozenset(map(self.text, wrong))

    def with_verdict(self, verdicts: frozenset[Verdict]) -> list[Attempt]:
        """The attempts with one of these verdicts, in the order of their draws; a limit that cut one is a verdict too."""
        ordered = sorted(self.attempts, key=lambda a: a.draw)
        return [a for a in ordered if self.verdicts.get(a.draw) in verdicts and a.verdict != Verdict.TRUNCATED]


def weight(rate: PassRate, settings: SelfPlay) -> float:
    """What a question's pairs or right attempts weigh: p (1 - p) is largest where the solver is least sure."""
    return rate.rate * (1 - rate.rate) if settings.weigh == "learnability" else 1.0


def pairs(tried: Tried, settings: SelfPlay, seed: int) -> Rows:
    """A question's pairs and what was dropped on the way to them; or why it has none."""
    if not tried.rate.kept:
        return [_out(tried)]
    right, spoiled = _usable(tried, frozenset({Verdict.CORRECT}), settings, seed)
    wrong, more = _usable(tried, REJECTED, settings, seed)
    made: list[Record] = [_pair(tried, *both, settings) for both in list(zip(right, wrong, strict=False))[: settings.pairs]]
    return [*(made or [_lost(tried, right, wrong)]), *spoiled, *more]


def right(tried: Tried, settings: SelfPlay, seed: int) -> Rows:
    """A question's right attempts, at most `right` of them, and what was dropped on the way; or why it has none."""
    if not tried.rate.kept:
        return [_out(tried)]
    found, spoiled = _usable(tried, frozenset({Verdict.CORRECT}), settings, seed)
    facts: dict[str, Any] = {"verdict": Verdict.CORRECT.value, "reasoning": "", "license": combined(tried.question.license, tried.license)}
    made: list[Record] = [
        replace(attempt, text=tried.text(attempt), ids=tried.ids(attempt), **facts) for attempt in found[: settings.right]
    ]
    return [*(made or [_lost(tried, found, None)]), *spoiled]


def _usable(tried: Tried, verdicts: frozenset[Verdict], settings: SelfPlay, seed: int) -> tuple[list[Attempt], list[Dropped]]:
    """Well-formed, distinct attempts with these verdicts, in the order of their hash; and the others of these verdicts."""
    kept, dropped = dict[str, Attempt](), list[Dropped]()
    for attempt in tried.with_verdict(verdicts):
        text, key = tried.text(attempt), tried.says(attempt)
        if why := malformed(text, tried.question.grading, settings.form, opened=bool(tried.opening)):
            dropped.append(_drop(tried, Drop.MALFORMED, why, attempt))
        elif text in tried.both:
            dropped.append(_drop(tried, Drop.UNVERIFIED, "the same text was also judged the other way", attempt))
        elif key in kept:
            dropped.append(_drop(tried, Drop.EXACT_DUPLICATE, f"draw {kept[key].draw} says the same", attempt))
        else:
            kept[key] = attempt
    return sorted(kept.values(), key=lambda a: hashlib.sha256(f"{seed} {a.id}".encode()).hexdigest()), dropped


def _pair(tried: Tried, chosen: Attempt, rejected: Attempt, settings: SelfPlay) -> Pair:
    question = tried.question
    return Pair(
        id=record_id("pair", (question.id, chosen.id, rejected.id), tried.rate.round, chosen.id),
        parents=(question.id, chosen.id, rejected.id),
        question=question.id,
        round=tried.rate.round,
        prompt=of_question(question),
        chosen=tried.text(chosen),
        rejected=tried.text(rejected),
        chosen_ids=tried.ids(chosen),
        rejected_ids=tried.ids(rejected),
        weight=weight(tried.rate, settings),
        **{**inherited(question), "license": combined(question.license, tried.license)},
    )


def _out(tried: Tried) -> Dropped:
    rate = tried.rate
    detail = f"{rate.solved} of {rate.counted} attempts that count are right, {rate.planned} were planned"
    return _dropped(tried, Drop(rate.why), detail, to_json(rate), (rate.id,))


def _lost(tried: Tried, right: Sequence[Attempt], wrong: Sequence[Attempt] | None) -> Dropped:
    beside = "" if wrong is None else f" and {len(wrong)} firmly wrong"
    detail = f"{len(right)} right{beside} attempts are well formed"
    return _dropped(tried, Drop.NO_PAIR, detail, to_json(tried.rate), (tried.rate.id,))


def _drop(tried: Tried, reason: Drop, detail: str, attempt: Attempt) -> Dropped:
    return _dropped(tried, reason, f"draw {attempt.draw}: {detail}", attempt.text, (attempt.id,))


def _dropped(tried: Tried, reason: Drop, detail: str, content: str, parents: tuple[str, ...]) -> Dropped:
    question = tried.question
    identity = record_id("dropped", (question.id, *parents), tried.rate.round, reason)
    return Dropped(id=identity, parents=(question.id, *parents), reason=reason, detail=detail, content=content, **inherited(question))
