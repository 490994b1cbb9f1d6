"""Fits of a solver on its own attempts. What it drew is trained on by the ids it drew, after the prompt as it read it, and ends with its
end of sequence; only where ids are unknown (a server that gave text alone) is the text tokenized.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from promptcot.attempts import of_question
from promptcot.engines.conversation import prompt_ids
from promptcot.engines.protocol import FitExample, Ids, Tokenizer, Tokens
from promptcot.engines.tokenizing import open_tokenizer
from promptcot.executors import Workplace
from promptcot.fitting import PairTokens, fit_on_pairs, fit_role
from promptcot.recipe import SelfPlay, Training
from promptcot.records import Attempt, Pair, Question
from promptcot.roles import Role
from promptcot.self_play.form import OPEN


def opening(solver: Role, settings: SelfPlay) -> str:
    """The tag with which the solver's chat template itself opens the thought, and the space after it, so that attempts begin inside; else
    empty."""
    if not settings.chat or not solver.path.is_dir():
        return ""
    tokenizer = open_tokenizer(solver.path)
    prompt = tokenizer.decode(prompt_ids(tokenizer, "?", chat=True))
    return OPEN + prompt[len(prompt.rstrip()) :] if prompt.rstrip().endswith(OPEN) else ""


def tokens_of(tokenizer: Tokenizer, prompt: str, text: str, ids: Ids, *, chat: bool) -> Tokens:
    """A prompt, and an attempt with its end of sequence."""
    return Tokens(prompt_ids(tokenizer, prompt, chat=chat), ((*(ids or tokenizer.encode(text)), tokenizer.eos),))


def fitted(
    place: Workplace,
    name: str,
    solver: Role,
    questions: Sequence[Question],
    chosen: Sequence[Any],
    weights: Mapping[str, float],
    settings: SelfPlay,
    training: Training,
    *,
    seed: int,
) -> Role:
    """The solver, trained on pairs or on right attempts. `weights`: of right attempts, by question; a pair has its own."""
    tokenizer = open_tokenizer(solver.path)
    if settings.method == "sft":
        prompts = {question.id: of_question(question) for question in questions}
        examples = [_example(tokenizer, prompts[a.problem], a, weights[a.problem], settings) for a in chosen]
        return fit_role(place, name, solver, examples, settings.fit, training, seed=seed)
    pairs = [_pair_tokens(tokenizer, pair, settings) for pair in chosen]
    return fit_on_pairs(place, name, solver, pairs, settings.fit, settings.beta, training, seed=seed)


def _example(tokenizer: Tokenizer, prompt: str, attempt: Attempt, weight: float, settings: SelfPlay) -> FitExample:
    return FitExample(attempt.id, tokens_of(tokenizer, prompt, attempt.text, attempt.ids, chat=settings.chat), weight)


def _pair_tokens(tokenizer: Tokenizer, pair: Pair, settings: SelfPlay) -> PairTokens:
    chosen = tokens_of(tokenizer, pair.prompt, pair.chosen, pair.chosen_ids, chat=settings.chat)
    rejected = tokens_of(tokenizer, pair.prompt, pair.rejected, pair.rejected_ids, chat=settings.chat)
    return PairTokens(pair.id, chosen, rejected, pair.weight)
