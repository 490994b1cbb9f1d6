"""Traces: what makes one well formed, whether its answer is right, and the tokens that a student learns."""

from __future__ import annotations

from dataclasses import replace

from promptcot.engines.chat_reply import Parted
from promptcot.engines.protocol import ChatTokenizer, FitExample, Tokenizer, Tokens
from promptcot.errors import UsageError
from promptcot.grading import Grader
from promptcot.outcomes import Drop, Verdict
from promptcot.recipe import Form
from promptcot.records import Attempt, Problem, Question, Trace, inherited, record_id
from promptcot.verify.extraction import Fallback, final_answer
from promptcot.verify.program_text import extract

_DROPS = {Verdict.NO_ANSWER: Drop.NO_ANSWER, Verdict.UNDECIDED: Drop.UNVERIFIED, Verdict.VERIFIER_ERROR: Drop.UNVERIFIED}


def well_formed(answer: str, domain: str, form: Form) -> bool:
    """Whether an answer has what the form asks for: a closed code block for programs, else a boxed (or marked) answer."""
    if form is Form.ANY:
        return True
    if domain == "code":
        return extract(answer) is not None
    return final_answer(answer, Fallback.NONE if form is Form.BOXED else Fallback.MARKED) is not None


def verified(attempt: Attempt, answer: str, question: Question, grader: Grader) -> tuple[Verdict, Drop | None, str]:
    """The verdict on a solution's answer, why it is dropped (None: it is right), and what the grader says of it."""
    grade = grader.grade(question, [replace(attempt, text=answer)])[0]
    verdict = Verdict(grade.verdict)
    return verdict, None if verdict is Verdict.CORRECT else _DROPS.get(verdict, Drop.WRONG), grade.detail or grade.answer


def trace_of(
    attempt: Attempt, question: Problem | Question, prompt: str, parts: Parted, *, verdict: str, license: str, teacher: str = ""
) -> Trace:
    """A kept solution of a question as a trace, reasoning and answer apart. `license` is that of all it is made of."""
    return Trace(
        id=record_id("trace", (question.id,), attempt.draw, attempt.id),
        parents=(question.id, attempt.id),
        question=question.id,
        draw=attempt.draw,
        prompt=prompt,
        reasoning=parts.reasoning,
        answer=parts.answer,
        tokens=attempt.tokens or 0,
        verdict=verdict,
        teacher=teacher,
        **{**inherited(question), "license": license},
    )


def chat_tokenizer(tokenizer: Tokenizer, where: str) -> ChatTokenizer:
    """The tokenizer as one that knows conversations. Raises `UsageError` for one that does not."""
    if not isinstance(tokenizer, ChatTokenizer):
        raise UsageError("a student learns conversations, and this model knows none", where=where, remedy="use an instruct model")
    return tokenizer


def learned(tokenizer: ChatTokenizer, trace: Trace) -> FitExample:
    """What a student learns of a trace: the turn after its prompt, as the student's own chat template writes it, then end of sequence."""
    messages = [{"role": "user", "content": trace.prompt}]
    turn = tokenizer.encode(tokenizer.chat_reply(messages, trace.reasoning, trace.answer))
    return FitExample(trace.id, Tokens(tokenizer.chat_prefix(messages), ((*turn, tokenizer.eos),)))
