"""The work of the stages `self_play` and `distill`, step by step as they do it: attempts in waves, graded programs, the reference of DPO,
fits; a teacher's solutions, and a student's fit.

Attempts end early, so each wave asks the share of questions that `waves` expects to be still open. Both texts of a pair pass through the
model forward and backward, once an epoch, and before that once forward for the reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from promptcot.outcomes import Split
from promptcot.planning.corpus import SPLITS, Corpus, Rows, all_here, rows_in
from promptcot.planning.figures import ZERO, Figures, Range
from promptcot.planning.problems import Asked, Found, asked, at_most, problems_of
from promptcot.planning.waves import Outlook, outlook
from promptcot.planning.work import Kind, Step, Tokens, sent
from promptcot.procedural import Instances
from promptcot.recipe import Distill, Fit, Recipe, SelfPlay
from promptcot.records import Question, Seed
from promptcot.seeds import read_labels, read_pairs, read_seeds, read_traces

PAIR = 2
"""Texts of a pair."""


# self-play


def questions_of(recipe: Recipe, corpus: Corpus, figures: Figures, rows: Rows | None = None) -> Found:
    """The questions that a solver attempts; those that a run has (`rows`) in place of an estimate. None where pairs are given."""
    settings = recipe.self_play
    if settings is None or recipe.inputs.pairs:
        return Found()
    if rows is not None and rows.questions is not None:
        return _questions_here(recipe, settings, rows.questions, figures)
    own, human = _labeled(recipe, settings, corpus, figures, rows), _human(recipe, settings, figures)
    if settings.human == 1:
        own = Found()
    elif own.all.problems.high:
        human = at_most(human, own.all.problems * (settings.human / (1 - settings.human)))
    made = sum(Instances.of(name, None, "").count for name in settings.tasks)
    tasks = Asked(Range.exact(made), figures["question_tokens"]) if made else Asked()
    basis = own.basis or ("questions to attempt: human ones" if human.all.problems.high else "questions to attempt: procedural ones")
    return at_most(Found(own.math + human.math + tasks, own.code + human.code, basis), settings.rows)


def _questions_here(recipe: Recipe, settings: SelfPlay, questions: Sequence[Question], figures: Figures) -> Found:
    parts = [[q.problem for q in questions if (q.domain == "code") is coded] for coded in (False, True)]
    math, code = (asked(recipe, settings.solver, texts, Range.exact(len(texts)), figures) for texts in parts)
    return Found(math, code, f"questions to attempt: {len(questions)} made")


def _labeled(recipe: Recipe, settings: SelfPlay, corpus: Corpus, figures: Figures, rows: Rows | None) -> Found:
    """Problems that bring a label, or get one."""
    given = recipe.inputs.labels
    if not given and recipe.label is None:
        return Found()
    most = recipe.label.rows if recipe.label is not None and not given else None
    found = problems_of(recipe, corpus, figures, rows, role=settings.solver, most=most, what="questions to attempt")
    if all_here(given):
        here = read_labels(given, domain=recipe.domain, seed=recipe.seed).rows
        return at_most(found, len({label.problem for label in here}))
    if given:
        counted = [one.rows for one in given if one.rows is not None]
        return at_most(found, sum(counted)) if len(counted) == len(given) else found
    share = figures["labeled_share"]
    return Found(found.math.share(share), found.code.share(share), f"{found.basis}; how many get a label assumed")


def _human(recipe: Recipe, settings: SelfPlay, figures: Figures) -> Found:
    """Training seeds with something to be graded by; all, before the wanted share is taken."""
    given = recipe.inputs.seeds
    if not settings.human or not given:
        return Found()
    if all_here(given):
        seeds = [s for s in read_seeds(given, domain=recipe.domain, seed=recipe.seed).rows if s.split == Split.TRAIN and _gradable(s)]
        parts = [[s.problem for s in seeds if (s.domain == "code") is coded] for coded in (False, True)]
        math, code = (asked(recipe, settings.solver, texts, Range.exact(len(texts)), figures) for texts in parts)
        return Found(math, code)
    counts = {"math": 0.0, "code": 0.0}
    for number, one in enumerate(given):
        share = SPLITS[0] if one.split not in list(Split) else float(one.split == Split.TRAIN)
        counts[one.domain or recipe.domain] += rows_in(one, f"inputs.seeds.{number}") * share
    math, code = (Asked(Range.exact(count), figures["problem_tokens"]) for count in counts.values())
    return Found(math, code)


def _gradable(seed: Seed) -> bool:
    return bool(seed.tests) or (seed.answer is not None and seed.domain != "code")


def self_play_steps(recipe: Recipe, questions: Found, figures: Figures, rows: Rows | None = None) -> Iterator[Step]:
    """The steps of the stage that ask a model or run programs, in order."""
    if recipe.self_play is None:
        return
    work = _SelfPlay(recipe, recipe.self_play, figures)
    if recipe.inputs.pairs:
        yield from work.fitted(1, *work.given(rows))
        return
    ahead = outlook(recipe.self_play, figures)
    for number in range(1, recipe.self_play.rounds + 1):
        yield from work.attempts(number, questions, ahead)
        yield from work.fitted(number, *work.made(questions, ahead))


class _SelfPlay:
    def __init__(self, recipe: Recipe, settings: SelfPlay, figures: Figures) -> None:
        self.recipe, self.settings, self.figures = recipe, settings, figures
        self.reply = figures["solution_tokens"].at_most(settings.sample.max_tokens) if not recipe.inputs.pairs else ZERO

    def weights(self, number: int) -> str:
        """The weights that round `number` draws from."""
        return f"self_play/{number - 1}/solver" if number > 1 and self.settings.method != "none" else self.settings.solver

    def attempts(self, number: int, questions: Found, ahead: Outlook) -> Iterator[Step]:
        """The waves of a round, each with the programs that grade it."""
        settings, role = self.settings, self.settings.solver
        for wave, share in enumerate(ahead.open, 1):
            draws = min(settings.wave, settings.attempts - (wave - 1) * settings.wave)
            still, name = questions.all.share(share), f"self_play/{number}"
            prompt = self.figures["solving_prompt_tokens"] + still.tokens
            tokens = Tokens(read=still.problems * prompt * sent(self.recipe, role, draws), sampled=still.problems * self.reply * draws)
            longest = still.longest and still.longest + int(self.figures["solving_prompt_tokens"].mid) + settings.sample.max_tokens
            mean = (prompt + self.reply).mid
            yield Step(f"{name}/attempts-{wave}", Kind.SAMPLE, role, self.weights(number), tokens, still.problems * draws, longest, mean)
            if questions.code.problems.high:
                programs = questions.code.problems * share * draws
                yield _graded(f"{name}/grades-{wave}", role, programs, self.figures)

    def made(self, questions: Found, ahead: Outlook) -> tuple[Range, Range, Range]:
        """Of a round: how many pairs or right attempts are fitted, the tokens of their prompt, and of one attempt."""
        each = ahead.right if self.settings.method == "sft" else ahead.pairs
        count = questions.all.problems * each * self.figures["usable_share"]
        return count, self.figures["solving_prompt_tokens"] + questions.all.tokens, self.reply

    def given(self, rows: Rows | None) -> tuple[Range, Range, Range]:
        """The same of pairs from outside."""
        inputs, here = self.recipe.inputs.pairs, rows.pairs if rows is not None else None
        if here is None and all_here(inputs):
            here = read_pairs(inputs, domain=self.recipe.domain, seed=self.recipe.seed).rows
        if here is None:
            count = sum(rows_in(one, f"inputs.pairs.{number}") for number, one in enumerate(inputs))
            return Range.exact(count), self.figures["question_tokens"], self.figures["solution_tokens"]
        texts = [text for pair in here for text in (pair.chosen, pair.rejected)]
        return _read(self.recipe, self.settings.solver, [pair.prompt for pair in here], texts, self.figures)

    def fitted(self, number: int, count: Range, prompt: Range, reply: Range) -> Iterator[Step]:
        """The reference of the pairs, and the fit."""
        settings, name = self.settings, f"self_play/{number}/solver"
        if settings.method == "none":
            return
        texts = 1 if settings.method == "sft" else PAIR
        fit = _fit(self.recipe, name, settings.solver, count, prompt, reply, settings.fit, texts=texts)
        if settings.method == "dpo":
            limit = self.recipe.training.max_tokens
            tokens = Tokens(scored=count * (prompt + reply).at_most(limit) * PAIR)
            mean = (prompt + reply).at_most(limit).mid
            yield Step(f"{name}/reference", Kind.SCORE, settings.solver, name, tokens, count * PAIR, 0, mean, here=True)
        yield fit


# distillation


def taught_of(recipe: Recipe, corpus: Corpus, figures: Figures, rows: Rows | None = None) -> Found:
    """The problems that a teacher solves; none where traces are given."""
    settings = recipe.distill
    if settings is None or recipe.inputs.traces:
        return Found()
    found = problems_of(recipe, corpus, figures, rows, role=settings.teacher, most=settings.rows, what="problems to solve")
    if not settings.verify or recipe.inputs.labels:
        return found
    share = figures["labeled_share"]
    return Found(found.math.share(share), found.code.share(share), f"{found.basis}; how many get a label assumed")


def distill_steps(recipe: Recipe, taught: Found, figures: Figures, rows: Rows | None = None) -> Iterator[Step]:
    """The steps of the stage that ask a model or run programs, in order."""
    settings = recipe.distill
    if settings is None:
        return
    if recipe.inputs.traces:
        if settings.student is None:
            return
        count, prompt, reply = _given_traces(recipe, settings.student, figures, rows)
    else:
        asked = taught.all
        prompt, reply = figures["solving_prompt_tokens"] + asked.tokens, figures["solution_tokens"].at_most(settings.sample.max_tokens)
        yield from _solved(recipe, settings, taught, prompt, reply, figures)
        count = asked.problems * figures["trace_share"] * settings.traces
    if settings.student is not None:
        yield _fit(recipe, "distill/student", settings.student, count, prompt, reply, settings.fit)


def _solved(recipe: Recipe, settings: Distill, taught: Found, prompt: Range, reply: Range, figures: Figures) -> Iterator[Step]:
    asked, role, draws = taught.all, settings.teacher, settings.traces
    tokens = Tokens(read=asked.problems * prompt * sent(recipe, role, draws), sampled=asked.problems * reply * draws)
    longest = asked.longest and asked.longest + int(figures["solving_prompt_tokens"].mid) + settings.sample.max_tokens
    yield Step("distill/attempts", Kind.SAMPLE, role, role, tokens, asked.problems * draws, longest, (prompt + reply).mid)
    if settings.verify and taught.code.problems.high:
        yield _graded("distill/traces", role, taught.code.problems * draws, figures)


def _given_traces(recipe: Recipe, student: str, figures: Figures, rows: Rows | None) -> tuple[Range, Range, Range]:
    inputs, here = recipe.inputs.traces, rows.traces if rows is not None else None
    if here is None and all_here(inputs):
        here = read_traces(inputs, domain=recipe.domain, seed=recipe.seed).rows
    if here is None:
        count = sum(rows_in(one, f"inputs.traces.{number}") for number, one in enumerate(inputs))
        return Range.exact(count), figures["question_tokens"], figures["solution_tokens"]
    return _read(recipe, student, [trace.prompt for trace in here], [trace.reasoning + trace.answer for trace in here], figures)


# both


def _read(recipe: Recipe, role: str, prompts: Sequence[str], replies: Sequence[str], figures: Figures) -> tuple[Range, Range, Range]:
    """Given rows that are here: how many, and the tokens of a prompt and of a reply."""
    count = Range.exact(len(prompts))
    prompt, reply = (asked(recipe, role, texts, count, figures).tokens for texts in (prompts, replies))
    return count, prompt, reply


def _graded(name: str, role: str, attempts: Range, figures: Figures) -> Step:
    """Programs that are run on a suite of tests, up to the first that fails."""
    return Step(name, Kind.RUN, role, "", Tokens(), attempts * figures["program_share"] * figures["suite_tests"], 0, 0.0)


def _fit(recipe: Recipe, name: str, role: str, count: Range, prompt: Range, reply: Range, settings: Fit, *, texts: int = 1) -> Step:
    """A fit on so many examples, of one text or of two. The widest forward pass is that of one example at the limit. The mean is that of
    the shortest replies to be expected: longer ones may be dropped, but a recipe is not refused for a guess."""
    limit = recipe.training.max_tokens
    passes, whole = count * settings.epochs * texts, (prompt + reply).at_most(limit)
    tokens = Tokens(trained=passes * reply.at_most(limit), fitted=passes * whole)
    return Step(name, Kind.FIT, role, name, tokens, count, texts * limit, (prompt + reply).low)
